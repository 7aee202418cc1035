/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vcpu_state.hh - all of a vCPU, as it is compared at checkpoints and put back at landmarks. */
#pragma once

#include "cpu_policy.hh"

#include <corbel/kvm_abi.hh>

#include <array>
#include <cstdint>
#include <string_view>

namespace corbel::vmm {

/* What a checkpoint is made of, each with a digest of its own. */
enum class Part : std::uint8_t {
	registers,
	control,
	fpu,
	msrs,
	events,
	debug,
	devices,
	memory,
};

inline constexpr std::array all_parts{Part::registers, Part::control, Part::fpu,     Part::msrs,
				      Part::events,    Part::debug,   Part::devices, Part::memory};

[[nodiscard]] std::string_view name_of(Part part);

struct VcpuState {
	static constexpr std::size_t most_msrs = 16;

	kvm_regs regs;
	kvm_sregs sregs;
	std::array<std::byte, 4096> xsave; /* as KVM_GET_XSAVE has it */
	kvm_vcpu_events events;
	kvm_debugregs debug;
	std::uint32_t nr_msrs, pad;
	std::array<kvm_msr_entry, most_msrs> msrs;

	/* Of one of the vCPU's own parts: all but devices and memory. */
	[[nodiscard]] std::uint64_t digest(Part part) const;

private:
	[[nodiscard]] std::uint64_t msrs_digest() const;
};

} /* namespace corbel::vmm */
