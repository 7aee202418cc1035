// SPDX-License-Identifier: GPL-2.0-or-later
#include "vcpu_state.hh"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

/* KVM leaves holes in these as it finds them, so what is compared is copied out of them. */
struct Control {
	std::array<std::uint64_t, 8 * 4> segments;
	std::array<std::uint64_t, 2 * 2> tables;
	std::array<std::uint64_t, 7> registers;
};

Control control_of(const kvm_sregs &sregs)
{
	Control control{};
	std::size_t at = 0;

	for (const auto *segment : {&sregs.cs, &sregs.ds, &sregs.es, &sregs.fs, &sregs.gs,
				    &sregs.ss, &sregs.tr, &sregs.ldt}) {
		control.segments[at++] = segment->base;
		control.segments[at++] = segment->limit;
		control.segments[at++] = segment->selector;
		control.segments[at++] = static_cast<std::uint64_t>(
			segment->type | segment->present << 8 | segment->dpl << 9 |
			segment->db << 11 | segment->s << 12 | segment->l << 13 | segment->g << 14 |
			segment->unusable << 15);
	}
	control.tables = {sregs.gdt.base, sregs.gdt.limit, sregs.idt.base, sregs.idt.limit};
	control.registers = {sregs.cr0, sregs.cr2,  sregs.cr3,	    sregs.cr4,
			     sregs.cr8, sregs.efer, sregs.apic_base};
	return control;
}

/*
 * x87, SSE and MXCSR: the rest of the area is for what guests are not shown. Between the two
 * pieces is where the last x87 instruction was, which AMD's CPUs save only with an exception
 * pending: otherwise it is what somebody else left there.
 */
constexpr std::size_t fpu_bytes = 416, fpu_gap = 6, fpu_gap_end = 24;

/*
 * KVM also keeps what it injected last. That is the host's affair: an exception that met a page of
 * the guest's that the host had not mapped, or had write-protected, is injected again.
 */
kvm_vcpu_events waiting_of(kvm_vcpu_events events)
{
	if (!events.exception.injected && !events.exception.pending) {
		events.exception = {};
		events.exception_has_payload = 0;
		events.exception_payload = 0;
	}
	if (!events.interrupt.injected)
		events.interrupt.nr = events.interrupt.soft = 0;
	return events;
}

} /* namespace */

std::string_view name_of(Part part)
{
	switch (part) {
	case Part::registers:
		return "general registers";
	case Part::control:
		return "segments and control registers";
	case Part::fpu:
		return "FPU and SSE registers";
	case Part::msrs:
		return "model-specific registers";
	case Part::events:
		return "pending events";
	case Part::debug:
		return "debug registers";
	case Part::devices:
		return "devices";
	case Part::memory:
		return "memory";
	}
	return "a part that is not known";
}

/*
 * KVM shows all of the SYSENTER_ESP that a guest of AMD's wrote, and takes 32 bits of it when it
 * is put back: the rest, which no such guest can use, is not compared.
 */
std::uint64_t VcpuState::msrs_digest() const
{
	constexpr std::uint32_t sysenter_esp = 0x175, sysenter_eip = 0x176;
	auto shown = msrs;

	for (auto &msr : shown)
		if (msr.index == sysenter_esp || msr.index == sysenter_eip)
			msr.data &= ~std::uint32_t{0};
	return XXH3_64bits(shown.data(), nr_msrs * sizeof(shown[0]));
}

std::uint64_t VcpuState::digest(Part part) const
{
	switch (part) {
	case Part::registers:
		return XXH3_64bits(&regs, sizeof(regs));
	case Part::control: {
		const auto control = control_of(sregs);

		return XXH3_64bits(&control, sizeof(control));
	}
	case Part::fpu:
		return XXH3_64bits(xsave.data(), fpu_gap) ^
		       XXH3_64bits_withSeed(xsave.data() + fpu_gap_end, fpu_bytes - fpu_gap_end, 1);
	case Part::msrs:
		return msrs_digest();
	case Part::events: {
		const auto waiting = waiting_of(events);

		return XXH3_64bits(&waiting, sizeof(waiting));
	}
	case Part::debug:
		return XXH3_64bits(&debug, sizeof(debug));
	default:
		return 0;
	}
}

} /* namespace corbel::vmm */
