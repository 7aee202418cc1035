/* SPDX-License-Identifier: GPL-2.0 */
/*
 * boost.hh - a CPU for a vCPU that has lost its own and gets an interrupt.
 *
 * DOC: how
 *
 * A delivery that meets its vCPU preempted, and that the policy counts, goes the rare
 * way through the hook: once the interrupt is in the local APIC it asks the VM's
 * booster, a real-time thread. That one looks again (does it still wait for a CPU, is
 * anything still pending?), asks the budget, and makes the vCPU's thread SCHED_FIFO;
 * a timer calls it back after the slice, and it sets the thread back. Nobody else
 * changes the thread, and what it was is kept by the kernel alone, so nothing depends
 * on whoever set the policy.
 *
 * The thread is held by a reference while it is boosted. It may end meanwhile, or run
 * no vCPU any more: it is set back all the same.
 *
 * All that is done to one vCPU is done in its job, and the worker does one job at a
 * time: nothing here but what is asked and counted is shared.
 */
#pragma once

#include <corbel/irq.h>

#include "../compat/kvm.h"
#include "../rt/atomic.hh"
#include "../rt/result.hh"
#include "budget.hh"

namespace corbel::irq {

struct ObservedVcpu;
class Booster;

/* Of one vCPU. */
struct Boost {
	Booster *booster;
	ObservedVcpu *vcpu;
	rt::Atomic<corbel_job *> job;
	rt::Atomic<u32> asked; /* bits of CORBEL_IRQ_BOOST_SOURCES */

	/* The job's, while it is boosted: */
	task_struct *task;
	corbel_scheduling was;
	u32 priority;
	u64 runtime;
	u64 until;
};

class Booster {
public:
	/* Is boosting on? Any context. */
	[[nodiscard]] bool is_on() const { return sources_.load(rt::Order::relaxed); }

	/* ---- task, the caller serialises ------------------------------------------ */

	/* The worker, if there is none yet. Needed before the first two. */
	rt::Result<void> start();
	rt::Result<void> add(ObservedVcpu *vcpu);
	/* Takes over what @wanted says, which is valid; off: all are set back on return. */
	void set(const corbel_irq_boost &wanted, ObservedVcpu *const *vcpus, u32 count);
	void get(corbel_irq_boost *out) const;
	/* The end: nobody asks any more. All are set back. */
	void stop(ObservedVcpu *const *vcpus, u32 count);

	/* ---- from deliveries, any context but NMI ----------------------------------- */

	/* Is a delivery by @path one to ask for? */
	[[nodiscard]] bool counts(const ObservedVcpu *vcpu, u8 vector, u8 path) const;
	/* @source: a bit of CORBEL_IRQ_BOOST_SOURCES. May wake the worker. */
	void ask(const ObservedVcpu *vcpu, u32 source);

private:
	static void run(void *boost);
	void begin(Boost *boost, u64 now);
	void end(Boost *boost);
	[[nodiscard]] static bool is_of_use(const Boost *boost, u32 asked);
	[[nodiscard]] static bool raise(Boost *boost);

	corbel_worker *worker_{};
	rt::Atomic<u32> sources_{};
	rt::Atomic<u32> priority_{};
	rt::Atomic<u32> slice_us_{};
	rt::Atomic<u32> budget_us_{};
	rt::Atomic<u32> period_ms_{};
	rt::Atomic<u64> vectors_[CORBEL_IRQ_WORDS]{};
	rt::Atomic<bool> new_budget_{};
	Budget budget_{}; /* the worker's */

	/* Written by the worker alone, but for the first. */
	rt::Atomic<u64> asked_{};
	rt::Atomic<u64> boosted_{};
	rt::Atomic<u64> needless_{};
	rt::Atomic<u64> over_budget_{};
	rt::Atomic<u64> refused_{};
	rt::Atomic<u64> restored_{};
	rt::Atomic<u64> foreign_{};
	rt::Atomic<u64> used_ns_{};
	rt::Atomic<u64> longest_ns_{};
};

} /* namespace corbel::irq */
