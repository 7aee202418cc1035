// SPDX-License-Identifier: GPL-2.0
/*
 * guest_tsc_shim.c - guest_tsc.h on KVM of Linux 6.1.
 *
 * SVM: the VMCB is memory. Its address is in KVM's private struct vcpu_svm, by BTF. It is always
 * vmcb01, the guest's own, never the one of a guest's guest. KVM marks the intercepts clean after
 * each exit; so what changes them marks them dirty.
 *
 * VMX: the VMCS is reached by instructions, while it is loaded. KVM keeps a copy of the execution
 * controls and writes the whole field from it, for instance to open an interrupt window: the bit
 * is then gone, and is set again at the next entry. The exit's reason is in KVM's private struct
 * vcpu_vmx, by BTF. Written from the SDM (volume 3, 25.6.2, 26.1.3) and KVM's source.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <asm/cpufeature.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "guest_tsc.h"
#include "hooks.h"

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

/* Exported by kvm.ko, declared only in KVM's private cpuid.h and x86.h. */
struct x86_exception;
struct kvm_cpuid_entry2 *kvm_find_cpuid_entry(struct kvm_vcpu *vcpu, u32 function);
int kvm_read_guest_virt(struct kvm_vcpu *vcpu, gva_t address, void *value, unsigned int bytes,
			struct x86_exception *exception);

static_assert(__builtin_types_compatible_p(typeof(&kvm_skip_emulated_instruction),
					   int (*)(struct kvm_vcpu *)));
static_assert(__builtin_types_compatible_p(typeof(&kvm_get_linear_rip),
					   unsigned long (*)(struct kvm_vcpu *)));
static_assert(__same_type(((struct kvm_vcpu *)0)->mutex, struct mutex));
static_assert(__same_type(((struct kvm_vcpu *)0)->arch.hflags, u32));
static_assert(__same_type(((struct kvm_vcpu *)0)->run, struct kvm_run *));
/* The hook tells the function that it has been handled by a 2. */
static_assert(EXIT_FASTPATH_NONE == 0 && EXIT_FASTPATH_EXIT_HANDLED == 2);

/* Of the VMCB's address, or of the exit's reason, in KVM's struct; set before it is used. */
static u64 corbel_vendor_offset __read_mostly;
static bool corbel_is_svm __read_mostly;

static bool corbel_runs_nested(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags & HF_GUEST_MASK;
}

/* A guest that is not to have RDTSCP gets #UD from KVM, which intercepts it for that. */
static bool corbel_has_rdtscp(struct kvm_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entry = kvm_find_cpuid_entry(vcpu, 0x80000001);

	return entry && entry->edx & BIT(X86_FEATURE_RDTSCP & 31);
}

/* ---- SVM ----------------------------------------------------------------------- */

/* Bit 0 of the clean field: intercepts (APM volume 2, 15.15.3). */
#define CORBEL_VMCB_CLEAN_INTERCEPTS BIT(0)

static struct vmcb *corbel_vmcb(const struct kvm_vcpu *vcpu)
{
	return *(struct vmcb *const *)((const u8 *)vcpu + corbel_vendor_offset);
}

static bool corbel_svm_set(struct vmcb_control_area *control, unsigned int bit, bool on)
{
	u32 *word = &control->intercepts[bit / 32];
	const u32 mask = BIT(bit % 32);

	if (!!(*word & mask) == on)
		return false;
	*word ^= mask;
	control->clean &= ~CORBEL_VMCB_CLEAN_INTERCEPTS;
	return true;
}

static u32 corbel_svm_intercept(struct kvm_vcpu *vcpu, bool on)
{
	struct vmcb_control_area *control = &corbel_vmcb(vcpu)->control;
	bool changed = corbel_svm_set(control, INTERCEPT_RDTSC, on);

	/* KVM never intercepts RDTSC by itself, and RDTSCP of those that lack it. */
	if (on || corbel_has_rdtscp(vcpu))
		changed |= corbel_svm_set(control, INTERCEPT_RDTSCP, on);
	return changed ? CORBEL_TSC_CHANGED : CORBEL_TSC_SAME;
}

static u32 corbel_svm_exit_kind(const struct kvm_vcpu *vcpu)
{
	switch (corbel_vmcb(vcpu)->control.exit_code) {
	case SVM_EXIT_RDTSC:
		return CORBEL_EXIT_RDTSC;
	case SVM_EXIT_RDTSCP:
		return CORBEL_EXIT_RDTSCP;
	case SVM_EXIT_EXCP_BASE + UD_VECTOR:
		return CORBEL_EXIT_UD;
	default:
		return CORBEL_EXIT_OTHER;
	}
}

/* ---- VMX ----------------------------------------------------------------------- */

static u64 corbel_vmcs_read(unsigned long field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

static void corbel_vmcs_write(unsigned long field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

/* Its VMCS is loaded. */
static u32 corbel_vmx_intercept(bool on)
{
	const u64 controls = corbel_vmcs_read(CPU_BASED_VM_EXEC_CONTROL);

	if (!!(controls & CPU_BASED_RDTSC_EXITING) == on)
		return CORBEL_TSC_SAME;
	corbel_vmcs_write(CPU_BASED_VM_EXEC_CONTROL, controls ^ CPU_BASED_RDTSC_EXITING);
	return CORBEL_TSC_CHANGED;
}

static u32 corbel_vmx_exit_kind(const struct kvm_vcpu *vcpu)
{
	const u32 reason = *(const u32 *)((const u8 *)vcpu + corbel_vendor_offset);
	u32 info;

	if (reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return CORBEL_EXIT_OTHER;
	switch ((u16)reason) {
	case EXIT_REASON_RDTSC:
		return CORBEL_EXIT_RDTSC;
	case EXIT_REASON_RDTSCP:
		return CORBEL_EXIT_RDTSCP;
	case EXIT_REASON_EXCEPTION_NMI:
		info = corbel_vmcs_read(VM_EXIT_INTR_INFO);
		return (info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK |
				INTR_INFO_VALID_MASK)) ==
				       (INTR_TYPE_HARD_EXCEPTION | UD_VECTOR | INTR_INFO_VALID_MASK)
			       ? CORBEL_EXIT_UD
			       : CORBEL_EXIT_OTHER;
	default:
		return CORBEL_EXIT_OTHER;
	}
}

/* ---- both ------------------------------------------------------------------------ */

void corbel_vcpu_file_put(struct file *file)
{
	fput(file);
}
CORBEL_EXPORT(corbel_vcpu_file_put);

bool corbel_vcpu_file_is_last(struct file *file)
{
	return file_count(file) == 1;
}
CORBEL_EXPORT(corbel_vcpu_file_is_last);

int corbel_tsc_check(struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb;

	if (!corbel_hook_usable(CORBEL_HOOK_OFF_EXIT_STATE) || vcpu->arch.guest_state_protected)
		return -EOPNOTSUPP;
	corbel_is_svm = boot_cpu_has(X86_FEATURE_SVM);
	corbel_vendor_offset = corbel_hook_value(CORBEL_HOOK_OFF_EXIT_STATE);
	/* KVM's private struct begins with the public one: so it is behind that. */
	if (corbel_vendor_offset < sizeof(struct kvm_vcpu))
		return -EOPNOTSUPP;
	if (!corbel_is_svm)
		return 0;
	/* A page of the kernel's, that intercepts VMRUN as every VMCB has to. */
	vmcb = corbel_vmcb(vcpu);
	if (!virt_addr_valid(vmcb) || !PAGE_ALIGNED((unsigned long)vmcb) ||
	    !(vmcb->control.intercepts[INTERCEPT_VMRUN / 32] & BIT(INTERCEPT_VMRUN % 32)))
		return -EOPNOTSUPP;
	return 0;
}
CORBEL_EXPORT(corbel_tsc_check);

u32 corbel_tsc_intercept(struct kvm_vcpu *vcpu, bool on)
{
	if (corbel_is_svm && (!on || !corbel_runs_nested(vcpu)))
		return corbel_svm_intercept(vcpu, on);
	return corbel_runs_nested(vcpu) ? CORBEL_TSC_NOT_NOW : corbel_vmx_intercept(on);
}
CORBEL_EXPORT(corbel_tsc_intercept);

bool corbel_tsc_release(struct kvm_vcpu *vcpu)
{
	u32 done;

	if (!mutex_trylock(&vcpu->mutex))
		return false;
	if (corbel_is_svm) {
		done = corbel_svm_intercept(vcpu, false);
	} else {
		vcpu_load(vcpu);
		preempt_disable();
		done = corbel_tsc_intercept(vcpu, false);
		preempt_enable();
		vcpu_put(vcpu);
	}
	mutex_unlock(&vcpu->mutex);
	return done != CORBEL_TSC_NOT_NOW;
}
CORBEL_EXPORT(corbel_tsc_release);

u32 corbel_exit_kind(struct kvm_vcpu *vcpu)
{
	u32 kind;

	if (corbel_runs_nested(vcpu))
		return CORBEL_EXIT_OTHER;
	kind = corbel_is_svm ? corbel_svm_exit_kind(vcpu) : corbel_vmx_exit_kind(vcpu);
	if (kind == CORBEL_EXIT_RDTSCP && !corbel_has_rdtscp(vcpu))
		return CORBEL_EXIT_OTHER;
	return kind;
}
CORBEL_EXPORT(corbel_exit_kind);

u64 corbel_exit_rip(struct kvm_vcpu *vcpu)
{
	/* VMX reads it from the VMCS when it is asked for; then it is among the registers. */
	if (!corbel_is_svm)
		(void)kvm_get_linear_rip(vcpu);
	return vcpu->arch.regs[VCPU_REGS_RIP];
}
CORBEL_EXPORT(corbel_exit_rip);

int corbel_exit_skip(struct kvm_vcpu *vcpu)
{
	return kvm_skip_emulated_instruction(vcpu);
}
CORBEL_EXPORT(corbel_exit_skip);

bool corbel_exit_was_rdtscp(struct kvm_vcpu *vcpu, u32 kind, u64 rip_before)
{
	const u64 length = vcpu->arch.regs[VCPU_REGS_RIP] - rip_before;
	u64 exception[8]; /* more than struct x86_exception takes */
	u8 code[15];

	if (kind == CORBEL_EXIT_RDTSCP)
		return true;
	/* RDTSC is 0f 31, RDTSCP 0f 01 f9; either may have prefixes. */
	if (length < 3 || length > sizeof(code))
		return false;
	if (kvm_read_guest_virt(vcpu, kvm_get_linear_rip(vcpu) - length, code, length,
				(struct x86_exception *)exception))
		return false;
	return code[length - 3] == 0x0f && code[length - 2] == 0x01 && code[length - 1] == 0xf9;
}
CORBEL_EXPORT(corbel_exit_was_rdtscp);

void corbel_exit_give(struct kvm_vcpu *vcpu, u64 value)
{
	vcpu->arch.regs[VCPU_REGS_RAX] = (u32)value;
	vcpu->arch.regs[VCPU_REGS_RDX] = value >> 32;
}
CORBEL_EXPORT(corbel_exit_give);

void corbel_exit_give_aux(struct kvm_vcpu *vcpu, u32 value)
{
	vcpu->arch.regs[VCPU_REGS_RCX] = value;
}
CORBEL_EXPORT(corbel_exit_give_aux);

int corbel_exit_leave(struct kvm_vcpu *vcpu, u32 reason)
{
	vcpu->run->exit_reason = reason;
	return 0;
}
CORBEL_EXPORT(corbel_exit_leave);
