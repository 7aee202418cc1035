/* SPDX-License-Identifier: GPL-2.0 */
/*
 * policy.hh - where a VM's interrupts go when the guest leaves a choice.
 *
 * DOC: what is a choice
 *
 * An interrupt of a device (MSI by irqfd or ioctl, IOAPIC pin) that the guest has
 * declared lowest-priority, or fixed in an MSI with the redirection hint, and whose
 * destination more than one vCPU with an enabled local APIC matches. KVM takes one of
 * them by its vector's number or, with vector_hashing=N, by the processor priority;
 * where their threads are plays no part. kvm_irq_delivery_to_apic_fast() is the first
 * thing that every one of them comes by, with the request in memory of its caller.
 * The hook replaces the destination by one of the matching vCPUs, and KVM then delivers
 * as it always does. IPIs, interrupts for one vCPU and broadcasts of another delivery
 * mode are never touched.
 *
 * A level-triggered IOAPIC interrupt is the same: KVM expects the EOI from any vCPU
 * that its redirection entry matches (kvm_ioapic_scan_entry()).
 */
#pragma once

#include <corbel/irq.h>

#include "../compat/kvm.h"
#include "../rt/atomic.hh"
#include "../rt/percpu_counter.hh"
#include "../rt/result.hh"

namespace corbel::irq {

class Observer;

class Policy {
public:
	explicit Policy(const Observer *observer) : observer_(observer) {}

	/* Task. */
	rt::Result<void> init();

	/* Takes over what @wanted says, which is valid. The caller serialises. */
	void set(const corbel_irq_policy &wanted);
	void get(corbel_irq_policy *out) const;
	/* Of the VM or any vector. */
	[[nodiscard]] bool is_any_on() const;

	/* The hook. Any context but NMI, preemption off. */
	void choose(kvm_lapic_irq *request);

private:
	[[nodiscard]] u32 of(u32 vector) const;

	const Observer *observer_;
	rt::Atomic<u32> of_vm_{CORBEL_IRQ_POLICY_OFF};
	rt::Atomic<u8> of_vector_[CORBEL_IRQ_VECTORS]{};
	rt::PerCpuCounter offered_{};
	rt::PerCpuCounter chosen_[CORBEL_RES_COUNT]{};
	rt::PerCpuCounter avoidable_{};
};

/*
 * From a VM to its policy, for the hook. Publishing waits for hooks that run to end,
 * so that what was found before is not used any more when they return. Task, one at a
 * time (under the lock of all observers).
 */
rt::Result<void> publish_policy(const kvm *vm, Policy *policy);
void withdraw_policy(const kvm *vm);

/* hooks.S */
extern "C" void corbel_irq_choose_hook(void);

} /* namespace corbel::irq */
