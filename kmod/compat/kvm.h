/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvm.h - what Corbel asks of KVM's public structures and exported functions.
 *
 * A struct kvm * is only valid while the caller holds a reference to it; the
 * struct kvm_vcpu * and struct kvm_lapic * reached from it are then valid too,
 * because KVM frees vCPUs only when it destroys the VM.
 */
#ifndef CORBEL_COMPAT_KVM_H
#define CORBEL_COMPAT_KVM_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kvm;
struct kvm_vcpu;
struct kvm_lapic;
struct kvm_lapic_irq;

/*
 * The VM behind a descriptor of the calling task, with a reference. Task.
 * -EBADF not open, -EINVAL not a kvm-vm descriptor, -ESTALE being torn down.
 */
int corbel_kvm_from_fd(s32 fd, struct kvm **vm);
/* Task, no locks of ours held: the last one destroys the VM here. */
void corbel_kvm_put(struct kvm *vm);

/* Who created it, as the calling task sees it; 0 if it does not. Task. */
u32 corbel_kvm_pid(struct kvm *vm);
/* vCPUs that exist; indices below it have one. Atomic. */
u32 corbel_kvm_vcpus(struct kvm *vm);
struct kvm_vcpu *corbel_kvm_vcpu(struct kvm *vm, u32 index);
/* Are the local APICs in the kernel? Decided by the time a vCPU exists. */
bool corbel_kvm_has_lapic(struct kvm *vm);
/* NULL without a local APIC in the kernel. Atomic. */
struct kvm_lapic *corbel_vcpu_lapic(struct kvm_vcpu *vcpu);
u32 corbel_vcpu_id(struct kvm_vcpu *vcpu);
/* CORBEL_RES_*: a hint from plain loads. Atomic. */
u32 corbel_vcpu_residency(struct kvm_vcpu *vcpu);
/* How often its thread has lost its CPU against its will; 0 without one. Atomic. */
u64 corbel_vcpu_preemptions(struct kvm_vcpu *vcpu);
/* The thread that runs it, with a reference (corbel_task_put()); NULL: none. Atomic. */
struct task_struct *corbel_vcpu_task(struct kvm_vcpu *vcpu);
/* KVM's own, without a shim between: the vCPU loaded on this CPU, or NULL. Atomic. */
struct kvm_vcpu *kvm_get_running_vcpu(void);
/*
 * Is @vcpu, whose local APIC's registers are @registers, enabled and one of those
 * that @request may go to? Then @apic_id is what reaches it and nobody else. Atomic.
 */
bool corbel_vcpu_takes(struct kvm_vcpu *vcpu, const u8 *registers,
		       const struct kvm_lapic_irq *request, u32 *apic_id);
/* Make @request one for that local APIC alone, delivered as it is. */
void corbel_lapic_irq_send_to(struct kvm_lapic_irq *request, u32 apic_id);
/*
 * The per-CPU variable behind it, for paths that cannot afford the call: its value
 * on a CPU stands at %gs plus this address. NULL: not found in kvm.ko. Task.
 */
struct kvm_vcpu *const *corbel_running_vcpus(void);

/*
 * Give @vector to the local APIC of @vcpu, whose registers are @registers: fixed, edge,
 * to that vCPU alone. It is kicked or woken if need be. False: its APIC is disabled.
 * Any context but NMI.
 */
bool corbel_vcpu_deliver(struct kvm_vcpu *vcpu, const u8 *registers, u8 vector);

u32 corbel_tsc_khz(void);
/* CORBEL_VENDOR_* of this machine's CPU. */
u32 corbel_kvm_vendor(void);

/*
 * Tells when the address space of the VM's owner goes: @ended(@argument), task
 * or exiting task, may not sleep long, may be called more than once and also
 * while the watch is being freed. -ESTALE: it is gone already; -ENOMEM. Task.
 */
struct corbel_vm_watch;
int corbel_vm_watch_new(struct kvm *vm, void (*ended)(void *), void *argument,
			struct corbel_vm_watch **watch);
/* Task. No call of @ended is running or will come after it. NULL is fine. */
void corbel_vm_watch_free(struct corbel_vm_watch *watch);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_COMPAT_KVM_H */
