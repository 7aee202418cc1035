/* SPDX-License-Identifier: GPL-2.0 */
/*
 * delivery.hh - the hot path: what the hooks do, and settling what they left.
 */
#pragma once

#include "vcpu.hh"

extern "C" {

struct corbel_event;

/* hooks.S, which calls what stands at the end of delivery.cc. */
void corbel_irq_accept_hook(void);
void corbel_irq_state_hook(void);
void corbel_irq_reset_hook(void);

/* Probes of kvm_inj_virq and kvm_entry; preemption is off. */
void corbel_irq_inject_probe(void *, unsigned int vector, bool soft, bool reinjected);
void corbel_irq_entry_probe(void *, kvm_vcpu *running, bool force_immediate_exit);

} /* extern "C" */

namespace corbel::irq {

/* Values the hot path needs; set before the first hook is installed. */
struct DeliveryConstants {
	kvm_vcpu *const *running; /* kvm_running_vcpu of all CPUs; nullptr: not found */
	u64 local_deliver; /* start and length of kvm_apic_local_deliver */
	u64 local_deliver_bytes;
};
void set_delivery_constants(const DeliveryConstants &constants);

/* Drop what is stale and add what is missing. Any context but NMI. */
void settle(ObservedVcpu *vcpu);
/* The same because somebody asked for it: counted and told to the rings. */
void resync(ObservedVcpu *vcpu);

/*
 * Begin to keep the record: add what the IRR has. Deliveries have been seen for some
 * time, and the vCPU may be between taking a vector and injecting it. Task context.
 */
void begin(ObservedVcpu *vcpu);

/*
 * Take the record from the IRR. Task context. Not to be called while the vCPU
 * may be between taking a vector and injecting it, but for a vCPU that has not
 * been exact before.
 */
void reload(ObservedVcpu *vcpu);

/*
 * Hardware began or stopped posting interrupts to this vCPU, or it is new: set
 * its sampled bit accordingly. Task context or the vCPU's thread.
 */
void follow_posting(ObservedVcpu *vcpu);

} /* namespace corbel::irq */
