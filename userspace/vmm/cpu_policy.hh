/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cpu_policy.hh - what of the CPU a guest is shown: nothing whose result is not the same each
 * time. Every line of the tables says why it is there, and Documentation/replay.md has them all.
 */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/kvm_abi.hh>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace corbel::vmm {

/* Leaves @first to @last are not there. */
struct HiddenLeaves {
	std::uint32_t first, last;
	std::string_view why;
};

enum class Output : std::uint8_t { eax, ebx, ecx, edx };

/* Bits of a leaf's output that read as 0, and such that read as 1. */
struct MaskedBits {
	std::uint32_t leaf;
	Output output;
	std::uint32_t cleared, set;
	std::string_view why;
};

/* Reads and writes of these leave the guest; reads give the guest's time, zero, or a fault. */
struct TrappedMsrs {
	enum class Answer : std::uint8_t { time, fault };

	std::uint32_t first, count;
	Answer answer;
	std::string_view why;
};

[[nodiscard]] std::span<const HiddenLeaves> hidden_leaves();
[[nodiscard]] std::span<const MaskedBits> masked_bits();
[[nodiscard]] std::span<const TrappedMsrs> trapped_msrs();
/* What a vCPU's state has of them. */
[[nodiscard]] std::span<const std::uint32_t> kept_msrs();

using CpuidTable = std::vector<kvm_cpuid_entry2>;

/* @offered: what KVM has, KVM_GET_SUPPORTED_CPUID. */
[[nodiscard]] CpuidTable shown_cpuid(std::span<const kvm_cpuid_entry2> offered);

/* The error names each leaf and bit in which this CPU is not the one of the recording. */
[[nodiscard]] Result<void> same_cpuid(const CpuidTable &recorded, const CpuidTable &here);

/* Null: the guest may use it as it likes. */
[[nodiscard]] const TrappedMsrs *trap_of(std::uint32_t msr);

} /* namespace corbel::vmm */
