/* SPDX-License-Identifier: GPL-2.0 */
/*
 * guest_tsc.h - a vCPU's reads of the time stamp counter: making them leave the guest, telling
 * such an exit from others, and ending it in KVM's stead. The same for SVM and VMX.
 *
 * DOC: who may call what
 *
 * "At entry" is in a probe of kvm_entry, "at exit" in the hook of svm_handle_exit or
 * vmx_handle_exit (CORBEL_HOOK_GUEST_EXIT): both are on the vCPU's thread inside KVM_RUN, which
 * has the vCPU loaded and its mutex. At entry interrupts are off; at exit one may sleep.
 */
#ifndef CORBEL_COMPAT_GUEST_TSC_H
#define CORBEL_COMPAT_GUEST_TSC_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct file;
struct kvm_vcpu;

/*
 * The vCPU behind a descriptor of the calling task, with a reference to its file, which keeps
 * the vCPU. Task. -EBADF not open, -EINVAL not a kvm-vcpu descriptor, -EOPNOTSUPP: kvm.ko has no
 * symbol to tell one by.
 */
int corbel_vcpu_from_fd(s32 fd, struct file **file, struct kvm_vcpu **vcpu);
/* Task. */
void corbel_vcpu_file_put(struct file *file);
/* Nobody else has it, so nobody will run the vCPU again. Atomic. */
bool corbel_vcpu_file_is_last(struct file *file);

/*
 * Can the reads of this vCPU be intercepted? Looks whether things are where the inventory says.
 * Task, with a reference. -EOPNOTSUPP.
 */
int corbel_tsc_check(struct kvm_vcpu *vcpu);

/* What corbel_tsc_intercept() has found. */
#define CORBEL_TSC_SAME 0
#define CORBEL_TSC_CHANGED 1
#define CORBEL_TSC_NOT_NOW 2 /* a guest of the guest's own is to run: it was left alone */

/*
 * Intercept or not, from this entry on. Only what was set by this is taken back: KVM itself
 * intercepts RDTSCP where the guest is not to have it. At entry.
 */
u32 corbel_tsc_intercept(struct kvm_vcpu *vcpu, bool on);
/*
 * No interception, of a vCPU that nobody runs. False: somebody is in one of its ioctls, or it
 * cannot be reached now. Task.
 */
bool corbel_tsc_release(struct kvm_vcpu *vcpu);

#define CORBEL_EXIT_OTHER 0
#define CORBEL_EXIT_RDTSC 1
#define CORBEL_EXIT_RDTSCP 2
#define CORBEL_EXIT_UD 3 /* #UD */

/* At exit: what it is. OTHER also while a guest of the guest's own runs. */
u32 corbel_exit_kind(struct kvm_vcpu *vcpu);
/* At exit. */
u64 corbel_exit_rip(struct kvm_vcpu *vcpu);
/*
 * At exit: the instruction is done. What KVM makes of it: above 0 the guest goes on, 0 KVM_RUN
 * ends for a reason that KVM has set. If RIP has not moved, it could not be done.
 */
int corbel_exit_skip(struct kvm_vcpu *vcpu);
/*
 * After that: was it RDTSCP? Not every implementation tells by the exit: QEMU's translator
 * reports both as RDTSC. May sleep.
 */
bool corbel_exit_was_rdtscp(struct kvm_vcpu *vcpu, u32 kind, u64 rip_before);
/* What the instruction gives. */
void corbel_exit_give(struct kvm_vcpu *vcpu, u64 value);
void corbel_exit_give_aux(struct kvm_vcpu *vcpu, u32 value);
/* KVM_RUN will end for @reason; answers what the hooked function is to return. */
int corbel_exit_leave(struct kvm_vcpu *vcpu, u32 reason);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_COMPAT_GUEST_TSC_H */
