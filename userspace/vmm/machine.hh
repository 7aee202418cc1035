/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine.hh - a VM of KVM with one vCPU and no interrupt controller of the kernel's: a local
 * APIC would interrupt the guest wherever its timer happens to fire.
 */
#pragma once

#include "guest_memory.hh"
#include "vcpu_state.hh"

#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/scoped_fd.hh>

#include <corbel/kvm_abi.hh>

#include <cstdint>
#include <span>
#include <vector>

namespace corbel::vmm {

/* What KVM_RUN came back with. */
enum class Stop : std::uint8_t {
	exit, /* kvm_run says why */
	interrupted, /* by a signal, or asked to settle: between two instructions */
};

class Machine {
public:
	/* Its guest is shown what shown_cpuid() leaves of KVM's CPU. */
	[[nodiscard]] static Result<Machine> create(std::uint64_t memory_bytes);

	[[nodiscard]] GuestMemory &memory() { return memory_; }
	[[nodiscard]] const GuestMemory &memory() const { return memory_; }
	[[nodiscard]] const CpuidTable &cpuid() const { return cpuid_; }
	[[nodiscard]] int vcpu_fd() const { return vcpu_.get(); }
	/* Of the CPU's own counter, as the guest sees it without corbel_replay.ko. */
	[[nodiscard]] std::uint32_t tsc_khz() const;

	[[nodiscard]] Result<Stop> run();
	/* Completes the I/O of the last exit, without running the guest. */
	[[nodiscard]] Result<Stop> settle();

	[[nodiscard]] kvm_run &area() { return *static_cast<kvm_run *>(area_.data()); }
	/* Registers as of the last exit. */
	[[nodiscard]] const kvm_regs &regs() { return area().s.regs.regs; }
	/* Data of a port I/O exit. */
	[[nodiscard]] std::byte *io_data();

	[[nodiscard]] bool takes_interrupts();
	[[nodiscard]] Result<void> interrupt(std::uint8_t vector);

	[[nodiscard]] Result<VcpuState> state() const;
	[[nodiscard]] Result<void> set_state(const VcpuState &state);
	/* Those that are in no VcpuState, as no guest is expected to use them: but it might. */
	[[nodiscard]] Result<std::vector<kvm_msr_entry>> other_msrs() const;
	[[nodiscard]] Result<void> set_other_msrs(std::span<const kvm_msr_entry> msrs);
	/*
	 * Memory may have other page tables than those the CPU has walked: to be called before the
	 * guest runs with them, and before set_state().
	 */
	[[nodiscard]] Result<void> forget_translations();
	[[nodiscard]] Result<void> set_start(const kvm_regs &regs, const kvm_sregs &sregs);
	[[nodiscard]] Result<kvm_sregs> sregs() const;

	/* Has the memory know what the guest wrote since this was last called; if it did. */
	Result<bool> gather_written();

private:
	Machine(GuestMemory memory, ScopedFd kvm, ScopedFd vm, ScopedFd vcpu, Mapping area,
		CpuidTable cpuid);

	GuestMemory memory_;
	ScopedFd kvm_, vm_, vcpu_;
	Mapping area_;
	CpuidTable cpuid_;
	std::vector<std::uint64_t> bitmap_;
};

} /* namespace corbel::vmm */
