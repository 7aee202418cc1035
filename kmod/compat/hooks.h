/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooks.h - every dependency on KVM's inside, by number.
 *
 * An entry is a function that gets a direct call, a tracepoint that gets a
 * probe, a member offset, or an address range. At load each is looked up and its
 * shape is compared with the running kernel's BTF; what does not fit is MISSING
 * and whoever needs it degrades as Documentation/hooks.md says. Nothing is
 * installed until somebody asks.
 *
 * Entries of the vendor module (kvm_amd, kvm_intel) are looked up again when that has been
 * loaded anew. They stay as they are while somebody has a vCPU, which holds that module.
 */
#ifndef CORBEL_COMPAT_HOOKS_H
#define CORBEL_COMPAT_HOOKS_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Order is the index of CORBEL_HOOK_INFO: append only. */
enum corbel_hook {
	CORBEL_HOOK_ACCEPT, /* __apic_accept_irq: every delivery to a local APIC */
	CORBEL_HOOK_LAPIC_STATE, /* kvm_apic_set_state: KVM_SET_LAPIC */
	CORBEL_HOOK_LAPIC_RESET, /* kvm_lapic_reset: INIT and power-up */
	CORBEL_HOOK_VCPU_CREATED, /* kvm_arch_vcpu_postcreate */
	CORBEL_HOOK_VM_CLOSED, /* kvm_vm_release: last close of the kvm-vm file */
	CORBEL_HOOK_INJECT, /* tracepoint kvm_inj_virq */
	CORBEL_HOOK_ENTRY, /* tracepoint kvm_entry */
	CORBEL_HOOK_OFF_LAPIC_VCPU, /* struct kvm_lapic: vcpu */
	CORBEL_HOOK_OFF_LAPIC_REGS, /* struct kvm_lapic: regs */
	CORBEL_HOOK_OFF_LAPIC_APICV, /* struct kvm_lapic: apicv_active */
	CORBEL_HOOK_LOCAL_DELIVER, /* range of kvm_apic_local_deliver */
	CORBEL_HOOK_OWNER_EXIT, /* mmu notifier of the VM's owner */
	CORBEL_HOOK_CHOOSE, /* kvm_irq_delivery_to_apic_fast: where an interrupt goes */
	CORBEL_HOOK_VCPU_LOAD, /* kvm_arch_vcpu_load: a vCPU gets a physical CPU */
	CORBEL_HOOK_GUEST_EXIT, /* svm_handle_exit or vmx_handle_exit: what ended the guest's turn */
	CORBEL_HOOK_OFF_EXIT_STATE, /* struct vcpu_svm: vmcb01.ptr, or struct vcpu_vmx: exit_reason */
	CORBEL_HOOK_COUNT,
};

/* Was it found, with the shape expected? Atomic. */
bool corbel_hook_usable(enum corbel_hook hook);
/* Offset in bytes, or start of the range. 0 if not usable. Atomic. */
u64 corbel_hook_value(enum corbel_hook hook);
/* Length of the range in bytes. Atomic. */
u64 corbel_hook_length(enum corbel_hook hook);

/* Look what the vendor module has, if it has been loaded anew since. Task. */
void corbel_hooks_follow_vendor(void);

/*
 * Put @handler (a trampoline or a probe) in place, or count one more user of it. A tracepoint
 * can have two handlers.
 * Task. -ENOENT: not usable; -EBUSY: somebody else has a direct call there.
 */
int corbel_hook_install(enum corbel_hook hook, void *handler);
/* Task. With the last user gone, returns once nobody is inside @handler. */
void corbel_hook_remove(enum corbel_hook hook, void *handler);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_COMPAT_HOOKS_H */
