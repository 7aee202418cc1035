/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vcpu.hh - all that is kept about one observed vCPU.
 *
 * About 150 KiB: latency histograms for each of the 256 vectors dominate. They
 * are only touched for vectors that come, so little of it is ever in a cache.
 */
#pragma once

#include <corbel/irq.h>

#include "../compat/kvm.h"
#include "../rt/atomic.hh"
#include "boost.hh"
#include "layout.h"
#include "record.hh"

namespace corbel::irq {

class Observer;

/* Truth: the local APIC's IRR, 8 registers of 32 bits, 16 bytes apart. */
class Irr {
public:
	constexpr explicit Irr(const u8 *registers) : registers_(registers) {}

	/* Bits 64 i .. 64 i + 63. A plain load each; any context. */
	[[gnu::always_inline]] u64 operator()(unsigned i) const
	{
		return half(2 * i) | static_cast<u64>(half(2 * i + 1)) << 32;
	}

private:
	static constexpr unsigned apic_irr = 0x200;

	[[gnu::always_inline]] u32 half(unsigned i) const
	{
		return rt::atomic_load(
			reinterpret_cast<const u32 *>(registers_ + apic_irr + 16 * i),
			Order::relaxed);
	}
	const u8 *registers_;
};

/*
 * Counts of one vector. Deliveries come from any CPU, hence the atomics;
 * injections only from the vCPU's own thread.
 */
struct VectorCounts {
	rt::Atomic<u64> accepted[CORBEL_IRQ_PATHS];
	rt::Atomic<u64> refused; /* by a disabled local APIC */
	rt::Atomic<u64> restored;
	rt::Atomic<u64> injected;
	rt::Atomic<u64> extint; /* of these, the PIC's */
	rt::Atomic<u64> latency_sum;
	rt::Atomic<u64> latency_max;
};

/* Counted at VM entries while checking is on, by the vCPU's thread alone. */
struct CheckCounts {
	rt::Atomic<u64> entries;
	rt::Atomic<u64> nonempty;
	rt::Atomic<u64> missing;
	rt::Atomic<u64> extra;
	rt::Atomic<u64> status_wrong;
};

/* In wanted_events, so that a delivery looks once: boosting is on. */
constexpr u32 wants_boost = 1U << 31;

/* Starts at a page, so that twelve low bits of its address are free for a token. */
struct alignas(64) ObservedVcpu {
	PendingRecord<> pending;
	kvm_lapic *lapic;
	const u8 *registers;
	const bool *apicv_active;
	rt::Atomic<u32> wanted_events; /* by any ring, 1 << CORBEL_EVENT_*; wants_boost */
	rt::Atomic<bool> sampled;
	u32 index;
	u32 id;
	Observer *observer;
	kvm_vcpu *vcpu;
	kvm *vm;

	rt::Atomic<u64> reinjected;
	rt::Atomic<u64> other_modes; /* NMI, SMI, INIT, SIPI */
	/* Calls of KVM's sleeping functions that will come back to this record. */
	rt::Atomic<u32> returning;
	/* For policies: the scheduler's count when last seen, and when it had changed. */
	rt::Atomic<u64> preemptions;
	rt::Atomic<u64> preempted_at;
	Boost boost;
	CheckCounts checks;
	/* The IRR when the VM ended. */
	u64 last_irr[CORBEL_IRQ_WORDS];

	/* When the delivery that set the record's bit came, in TSC ticks. */
	rt::Atomic<u64> since[CORBEL_IRQ_VECTORS];
	VectorCounts counts[CORBEL_IRQ_VECTORS];
	/* Written by the vCPU's thread alone. */
	rt::Atomic<u32> latency[CORBEL_IRQ_VECTORS][CORBEL_IRQ_HIST_BUCKETS];
	/*
	 * Dropped, but not by the local APIC: pending when KVM_SET_LAPIC or a reset took
	 * it away. Apart from the other counts, whose size the hot path multiplies by.
	 */
	rt::Atomic<u64> vanished[CORBEL_IRQ_VECTORS];

	[[nodiscard, gnu::always_inline]] Irr irr() const { return Irr(registers); }
	/* How many vectors wait. Any context. */
	[[nodiscard]] u32 pending_vectors() const
	{
		const bool known = !sampled.load(Order::relaxed);
		u32 count = 0;

		for (unsigned i = 0; i < CORBEL_IRQ_WORDS; i++)
			count += static_cast<u32>(
				__builtin_popcountll(known ? pending.word(i) : irr()(i)));
		return count;
	}
	/* Refused, or vanished. */
	[[nodiscard]] u64 dropped(u8 vector) const
	{
		return counts[vector].refused.load(Order::relaxed) +
		       vanished[vector].load(Order::relaxed);
	}
	/* Is it in the record? */
	[[nodiscard]] bool is_pending(u8 vector) const
	{
		return pending.word(vector / 64) >> (vector % 64) & 1;
	}
	/*
	 * Deliveries of @vector that met it pending: what is left when all else is
	 * taken off, see delivery.cc. Below zero for the length of an injection, which
	 * is counted before its vector leaves the record.
	 */
	[[nodiscard]] u64 coalesced(u8 vector) const
	{
		const VectorCounts &of = counts[vector];
		u64 came = of.restored.load(Order::relaxed);

		if (sampled.load(Order::relaxed))
			return 0;
		for (const rt::Atomic<u64> &path : of.accepted)
			came += path.load(Order::relaxed);
		const u64 gone = of.injected.load(Order::relaxed) - of.extint.load(Order::relaxed) +
				 dropped(vector) + is_pending(vector);

		return came > gone ? came - gone : 0;
	}
	/* Is @vector in the local APIC's ISR, 256 bits like the IRR? */
	[[nodiscard]] bool in_service(u8 vector) const
	{
		constexpr unsigned apic_isr = 0x100;
		const u8 *word = registers + apic_isr + 16 * (vector / 32);

		return rt::atomic_load(reinterpret_cast<const u32 *>(word), Order::relaxed) >>
			       (vector % 32) &
		       1;
	}
	[[nodiscard, gnu::always_inline]] bool hardware_posts() const
	{
		return rt::atomic_load(apicv_active, Order::relaxed);
	}
};

static_assert(offsetof(ObservedVcpu, pending) == 0);
static_assert(PendingRecord<>::suspect == CORBEL_GATE_SUSPECT);

} /* namespace corbel::irq */
