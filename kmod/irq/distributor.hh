/* SPDX-License-Identifier: GPL-2.0 */
/*
 * distributor.hh - a distributor device: the memory, eventfds and doorbells around a
 * Distribution, which holds the rules.
 *
 * DOC: when a vCPU becomes present
 *
 * The hook is kvm_arch_vcpu_load(), which KVM calls whenever the vCPU's thread begins
 * KVM_RUN and whenever the scheduler puts it on a CPU again in the middle of it: after
 * wants_to_run and preempted say so, with preemption off. What is delivered there sets
 * KVM_REQ_EVENT. vcpu_enter_guest() looks at requests, then turns preemption off, then
 * interrupts, and then looks at requests once more (kvm_vcpu_exit_request()) and turns
 * back if there are any. A load in the middle of KVM_RUN can only happen before
 * preemption is off, so no entry overlooks what its load delivered. In the tracepoint
 * kvm_entry that would not be so: it stands behind the last look.
 *
 * Other ioctls of the vCPU load it too, some of which copy the local APIC out or in.
 * What were delivered there might be overwritten; hence only with wants_to_run.
 *
 * DOC: life
 *
 * A distributor is there for its own descriptor and those of its stats.
 *
 * The observer lists its distributors under its lock, gives each vCPU a seat when it
 * is there and takes all seats away when the VM ends; from then on deliveries fail and
 * KVM's structures are not touched. Closing the descriptor unbinds eventfds first (no
 * raise is under way any more), then leaves the observer's list and waits for a grace
 * period of RCU (no load hook is), then frees.
 */
#pragma once

#include <corbel/dist.h>

#include "../compat/kvm.h"
#include "../rt/atomic.hh"
#include "../rt/intrusive_list.hh"
#include "../rt/lock.hh"
#include "../rt/memory.hh"
#include "../rt/percpu_counter.hh"
#include "../rt/result.hh"
#include "distribution.hh"
#include "submission.hh"

namespace corbel::irq {

using rt::Error;
using rt::Result;

class Observer;
struct ObservedVcpu;

/* What the Distribution knows of the kernel. */
struct KernelPlatform {
	using Atomics = rt::HardwareAtomics;
	using Lock = rt::SpinLock;
	static constexpr unsigned priorities = 256;

	struct Seat {
		kvm_vcpu *vcpu; /* nullptr: there is none */
		const u8 *registers;
		const ObservedVcpu *observed;
		corbel_doorbell *doorbell; /* its own */
		corbel_doorbell *common; /* the VM's */
		rt::PerCpuCounter *rung;
	};

	static Presence presence(const Seat &seat);
	static bool deliver(const Seat &seat, u8 vector);
	static void ring(const Seat &seat);
};

class Distributor {
public:
	using Rules = Distribution<KernelPlatform>;

	/* Task. */
	static Result<Distributor *> make(Observer *observer, u32 ids, u32 vcpus);
	/* Unbinds every eventfd. Nobody calls a request any more. Task. */
	void close();
	/* After close(), and once the load hook cannot find it. Task. */
	static void destroy(Distributor *distributor);

	/* ---- for the observer, under its lock ------------------------------------ */

	void seat(const ObservedVcpu *vcpu);
	void ended();

	/* ---- from the load hook, preemption off ---------------------------------- */

	void becoming_present(u32 vcpu);

	/* ---- requests, task ------------------------------------------------------- */

	[[nodiscard]] Observer *observer() const { return observer_; }
	[[nodiscard]] bool has_ended() const { return ended_.load(Order::acquire); }
	[[nodiscard]] u32 ids() const { return ids_; }
	[[nodiscard]] u32 vcpus() const { return vcpus_; }
	[[nodiscard]] u64 doorbells() const { return rung_.sum(); }
	/* Descriptors that it is there for; put() says whether that was the last one. */
	void get() { users_.fetch_add(1, Order::relaxed); }
	[[nodiscard]] bool put() { return users_.fetch_sub(1, Order::acq_rel) == 1; }
	/* first .. first + count - 1 are ids, and some. */
	[[nodiscard]] bool has(u32 first, u32 count) const
	{
		return count && first < ids_ && count <= ids_ - first;
	}
	/*
	 * Of ids that has() is true of. Rules is used in distributor.cc alone: a function of
	 * a template in two objects would be one that objtool's tables name twice.
	 */
	Raised raise(u32 id);
	bool set_masked(u32 id, bool masked);
	corbel_dist_counts counts(u32 id);
	void unmap(u32 id);

	void describe(corbel_dist_info *info);
	/* Whether what the entry says can be put in force. */
	Result<void> check(const corbel_dist_entry &entry, bool restore) const;
	void map(const corbel_dist_entry &entry, bool restore);
	[[nodiscard]] corbel_dist_entry read(u32 id) const;
	Result<void> bind(u32 id, s32 fd);
	Result<void> unbind(u32 id);
	/* @fd below zero: none any more. */
	Result<void> set_doorbell(u32 vcpu, s32 fd);
	Result<void> make_ring(u32 order);
	Result<u32> kick();
	int mmap(corbel_area *area);

private:
	/* An eventfd and the id that it raises. */
	struct Binding {
		rt::ListHook hook;
		Distributor *distributor;
		corbel_source *source;
		u32 id;
		rt::Atomic<bool> hung_up;
	};

	~Distributor();
	friend class rt::Box<Distributor>;

	Result<void> init(Observer *observer, u32 ids, u32 vcpus);
	static void signalled(void *binding);
	static void hung_up(void *binding);
	static void reap(void *distributor);
	void drop(Binding *binding);
	Rules::Desk *desk(u32 vcpu) { return desk_pages_.as<Rules::Desk>() + vcpu + 1; }

	Observer *observer_{};
	u32 ids_{};
	u32 vcpus_{};
	u32 record_bytes_{};
	rt::Atomic<bool> ended_{};
	Rules rules_{};
	rt::Pages id_pages_{};
	rt::Pages desk_pages_{};
	rt::Pages status_{};
	rt::Pages records_{};
	rt::PerCpuCounter rung_{};

	rt::Mutex lock_{};
	/* Guarded by lock_ from here. */
	rt::List<Binding, &Binding::hook> bindings_{};
	u32 bound_{};
	corbel_work *reaper_{};
	corbel_doorbell *common_{};
	rt::Pages ring_pages_{};
	u64 ring_bytes_{};
	u32 ring_order_{};
	SubmissionRing ring_{};
	u64 refused_{};

	rt::Atomic<u32> users_{1};
};

/* The load hook, in hooks.S. */
extern "C" void corbel_irq_load_hook(void);

/* Ends one with the last descriptor that it is there for. Task. */
void put_distributor(Distributor *distributor);

/* For requests.cc: makes one and its descriptor. */
Result<long> new_distributor(Observer *observer, u64 user, module *module);

} /* namespace corbel::irq */
