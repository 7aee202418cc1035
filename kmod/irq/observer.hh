/* SPDX-License-Identifier: GPL-2.0 */
/*
 * observer.hh - the interrupt observer of one VM.
 *
 * DOC: how an observer becomes exact
 *
 * 1. The vCPUs go into the table, and the hooks are put in place if this is the
 *    first observer of the host. 2. Deliveries that began before are waited out
 *    (a grace period of tasks: they run in any context). 3. Each record is taken
 *    from the IRR; from then on enter and exit of every delivery is seen, and
 *    only then is the vCPU shown as present. A vCPU made later goes the same way.
 *
 * The core serialises make, vcpus_changed, ended and destroy of one observer.
 * Requests of descriptors run at any time; lock_ keeps the VM from ending under
 * those that look at KVM's structures. Records live until destroy, so that the
 * last counts can be read after the VM has ended.
 */
#pragma once

#include <corbel/irq.h>

#include "../core/feature.h"
#include "../rt/atomic.hh"
#include "../rt/intrusive_list.hh"
#include "../rt/lock.hh"
#include "../rt/memory.hh"
#include "../rt/percpu_counter.hh"
#include "../rt/result.hh"
#include "boost.hh"
#include "distributor.hh"
#include "policy.hh"
#include "vcpu.hh"

namespace corbel::irq {

using rt::Error;
using rt::Result;

/* Sums over vectors and vCPUs; what a stats descriptor reads as, in its order. */
struct Ledger {
	u64 posted[CORBEL_IRQ_PATHS];
	u64 restored;
	u64 delivered; /* injected, but for the PIC's */
	u64 coalesced;
	u64 refused;
	u64 vanished;
	u64 pending;
	u64 extint;
	u64 vcpus;
	u64 sampled_vcpus;
	/* Of vCPUs as a whole. */
	u64 reinjected;
	u64 other_modes;
	/* Of the VM as a whole. */
	u64 resyncs;
};

class Observer {
public:
	/* For the module. Task. */
	static Result<void> init_all();
	static void exit_all();

	/* Task. not_supported: a needed offset is missing or wrong. */
	static Result<Observer *> make(corbel_vm *vm, kvm *kvm);
	void vcpus_changed();
	void ended();
	static void destroy(Observer *observer);

	/* ---- requests, task --------------------------------------------------- */

	void describe(corbel_irq_info *info);
	Result<void> read_vcpu(corbel_irq_vcpu *out);
	/* Valid until destroy. */
	Result<ObservedVcpu *> find(u32 index) const;
	/* Adds up, for one vCPU and vector or CORBEL_IRQ_ALL_*. */
	void sum_ledger(u32 of_vcpu, u32 of_vector, Ledger *ledger);
	/* By its slot, which is one. */
	Result<void> describe_distributor(corbel_irq_dist_get *out);
	Result<void> check(corbel_irq_check *check);
	Result<void> policy(corbel_irq_policy *policy);
	Result<void> boost(corbel_irq_boost *boost);
	/* Takes over @ring on success. */
	Result<void> add_ring(corbel_ring *ring, u32 events);
	/* Nobody produces into it any more when this returns. */
	void remove_ring(corbel_ring *ring);
	/*
	 * From now on vCPUs that become present look at its status. busy: there are as many
	 * as there can be. Task.
	 */
	Result<void> add_distributor(Distributor *distributor);
	/* No load hook finds it any more when this returns. Task. */
	void remove_distributor(Distributor *distributor);
	int map_status(corbel_area *area);
	[[nodiscard]] corbel_vm *vm() const { return vm_; }

	/* ---- from the hot path ------------------------------------------------- */

	/* Preemption off. */
	void emit(const corbel_event &event);
	void set_sampled(const ObservedVcpu *vcpu, bool sampled);
	void count_resync() { resyncs_.add(1); }
	/* A vCPU that the scheduler or KVM_RUN has just made present. Preemption off. */
	void becoming_present(u32 index);
	[[nodiscard]] Booster &booster() { return booster_; }
	[[nodiscard]] bool is_checking() const { return checking_.load(Order::relaxed); }

	/* All observers, guarded by their lock. */
	rt::ListHook hook{};
	[[nodiscard]] u32 count() const { return count_.load(Order::acquire); }
	[[nodiscard]] ObservedVcpu *at(u32 index) const { return vcpus_[index]; }
	[[nodiscard]] bool is_hooked() const { return hooked_; }

private:
	struct RingSlot {
		rt::Atomic<corbel_ring *> ring;
		u32 events;
	};

	Result<void> init(corbel_vm *vm, kvm *kvm);
	Result<ObservedVcpu *> make_vcpu(u32 index);
	void add_vcpus();
	void go_live(u32 from, u32 to);
	void update_wanted_events();
	Result<void> hook_policy(bool on);
	corbel_irq_line *line(u32 index) { return status_.as<corbel_irq_line>() + index / 64; }

	rt::Mutex lock_{};
	corbel_vm *vm_{};
	kvm *kvm_{};
	bool ended_{}; /* under lock_ */
	bool hooked_{}; /* the hooks are there; otherwise every vCPU is sampled */
	rt::Pages status_{};
	rt::Pages vcpu_pointers_{};
	ObservedVcpu **vcpus_{};
	rt::Atomic<u32> count_{};
	rt::PerCpuCounter resyncs_{};
	rt::Atomic<bool> checking_{};
	Policy policy_{this};
	bool policy_hooked_{}; /* under lock_ */
	Booster booster_{}; /* set under lock_ */
	RingSlot rings_[CORBEL_IRQ_MAX_RINGS]{};
	rt::Atomic<Distributor *> distributors_[CORBEL_DIST_MAX]{}; /* written under lock_ */
};

} /* namespace corbel::irq */
