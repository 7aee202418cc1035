// SPDX-License-Identifier: GPL-2.0
/*
 * kvm_shim.c - kvm.h on the packaged headers of Linux 6.1.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <asm/tsc.h>

#include <corbel/corbel.h>
#include <corbel/irq.h>

#include "guest_tsc.h"
#include "kvm.h"

/* Exported by kvm.ko, declared only in KVM's private lapic.h. */
bool kvm_apic_match_dest(struct kvm_vcpu *vcpu, struct kvm_lapic *source, int shorthand,
			 unsigned int dest, int dest_mode);

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

/*
 * Canaries: never run, they break the build when a prototype that this file
 * relies on changes its shape in another 6.1 package.
 */
#define CORBEL_CANARY(function, ...)                                                               \
	static_assert(__builtin_types_compatible_p(typeof(&function), __VA_ARGS__))

CORBEL_CANARY(file_is_kvm, bool (*)(struct file *));
CORBEL_CANARY(kvm_get_kvm_safe, bool (*)(struct kvm *));
CORBEL_CANARY(kvm_put_kvm, void (*)(struct kvm *));
CORBEL_CANARY(kvm_get_running_vcpu, struct kvm_vcpu *(*)(void));
CORBEL_CANARY(mmu_notifier_register, int (*)(struct mmu_notifier *, struct mm_struct *));
CORBEL_CANARY(mmu_notifier_unregister, void (*)(struct mmu_notifier *, struct mm_struct *));
static_assert(__same_type(((struct kvm *)0)->online_vcpus, atomic_t));
static_assert(__same_type(((struct kvm_vcpu *)0)->arch.apic, struct kvm_lapic *));
static_assert(__same_type(((struct kvm_vcpu *)0)->wants_to_run, bool));
static_assert(__same_type(((struct kvm_vcpu *)0)->preempted, bool));
static_assert(CORBEL_MAX_VCPUS >= KVM_MAX_VCPUS);

/* A module that ours depends on: it is in our list since before we were started. */
static struct module *corbel_dependency(const char *name)
{
	struct module_use *use;

	list_for_each_entry(use, &THIS_MODULE->target_list, target_list)
	{
		if (!strcmp(use->target->name, name))
			return use->target;
	}
	return NULL;
}

/* The address of a variable of kvm.ko, which stays there as long as we do. 0: not found. */
static unsigned long corbel_kvm_variable(const char *name)
{
	struct module *kvm = corbel_dependency("kvm");
	const struct mod_kallsyms *symbols;
	unsigned long found = 0;
	unsigned int i;

	if (!kvm)
		return 0;
	preempt_disable();
	symbols = rcu_dereference_sched(kvm->kallsyms);
	for (i = 0; symbols && i < symbols->num_symtab && !found; i++) {
		if (!strcmp(symbols->strtab + symbols->symtab[i].st_name, name))
			found = symbols->symtab[i].st_value;
	}
	preempt_enable();
	return found;
}

int corbel_kvm_from_fd(s32 fd, struct kvm **vm)
{
	struct file *file = fget(fd);
	int error = 0;

	if (!file)
		return -EBADF;
	if (!file_is_kvm(file))
		error = -EINVAL;
	else if (!kvm_get_kvm_safe(file->private_data))
		error = -ESTALE;
	else
		*vm = file->private_data;
	fput(file);
	return error;
}

int corbel_vcpu_from_fd(s32 fd, struct file **file, struct kvm_vcpu **vcpu)
{
	const unsigned long operations = corbel_kvm_variable("kvm_vcpu_fops");
	struct file *it = fget(fd);

	if (!it)
		return -EBADF;
	if (!operations || (unsigned long)it->f_op != operations) {
		fput(it);
		return operations ? -EINVAL : -EOPNOTSUPP;
	}
	*file = it;
	*vcpu = it->private_data;
	return 0;
}
CORBEL_EXPORT(corbel_vcpu_from_fd);

void corbel_kvm_put(struct kvm *vm)
{
	kvm_put_kvm(vm);
}

u32 corbel_kvm_pid(struct kvm *vm)
{
	u32 pid;

	/* KVM remembers the number in the initial namespace, not the struct pid. */
	rcu_read_lock();
	pid = pid_vnr(find_pid_ns(vm->userspace_pid, &init_pid_ns));
	rcu_read_unlock();
	return pid;
}

u32 corbel_kvm_vcpus(struct kvm *vm)
{
	return atomic_read(&vm->online_vcpus);
}
CORBEL_EXPORT(corbel_kvm_vcpus);

struct kvm_vcpu *corbel_kvm_vcpu(struct kvm *vm, u32 index)
{
	return kvm_get_vcpu(vm, index);
}
CORBEL_EXPORT(corbel_kvm_vcpu);

bool corbel_kvm_has_lapic(struct kvm *vm)
{
	return READ_ONCE(vm->arch.irqchip_mode) != KVM_IRQCHIP_NONE;
}
CORBEL_EXPORT(corbel_kvm_has_lapic);

struct kvm_lapic *corbel_vcpu_lapic(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.apic;
}
CORBEL_EXPORT(corbel_vcpu_lapic);

u32 corbel_vcpu_id(struct kvm_vcpu *vcpu)
{
	return vcpu->vcpu_id;
}
CORBEL_EXPORT(corbel_vcpu_id);

u32 corbel_vcpu_residency(struct kvm_vcpu *vcpu)
{
	struct task_struct *task;
	bool on_cpu = false;

	/* mode is IN_GUEST_MODE between VM entry and exit, and only there. */
	if (READ_ONCE(vcpu->mode) == IN_GUEST_MODE)
		return CORBEL_RES_RESIDENT;
	if (!READ_ONCE(vcpu->wants_to_run))
		return CORBEL_RES_USER;
	if (READ_ONCE(vcpu->preempted))
		return CORBEL_RES_PREEMPTED;
	rcu_read_lock();
	task = pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	if (task)
		on_cpu = READ_ONCE(task->on_cpu);
	rcu_read_unlock();
	if (on_cpu)
		return CORBEL_RES_RESIDENT;
	return rcuwait_active(&vcpu->wait) ? CORBEL_RES_HALTED : CORBEL_RES_PREEMPTED;
}
CORBEL_EXPORT(corbel_vcpu_residency);

u64 corbel_vcpu_preemptions(struct kvm_vcpu *vcpu)
{
	struct task_struct *task;
	u64 count = 0;

	rcu_read_lock();
	task = pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	if (task)
		count = READ_ONCE(task->nivcsw);
	rcu_read_unlock();
	return count;
}
CORBEL_EXPORT(corbel_vcpu_preemptions);

struct task_struct *corbel_vcpu_task(struct kvm_vcpu *vcpu)
{
	struct task_struct *task;

	rcu_read_lock();
	task = get_pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	rcu_read_unlock();
	return task;
}
CORBEL_EXPORT(corbel_vcpu_task);

bool corbel_vcpu_takes(struct kvm_vcpu *vcpu, const u8 *registers,
		       const struct kvm_lapic_irq *request, u32 *apic_id)
{
	const u64 base = READ_ONCE(vcpu->arch.apic_base);
	const u32 id = READ_ONCE(*(const u32 *)(registers + APIC_ID));

	if (!(base & MSR_IA32_APICBASE_ENABLE) ||
	    !(READ_ONCE(*(const u32 *)(registers + APIC_SPIV)) & APIC_SPIV_APIC_ENABLED) ||
	    !kvm_apic_match_dest(vcpu, NULL, request->shorthand, request->dest_id,
				 request->dest_mode))
		return false;
	/* KVM gives it to everybody: there is no lowest priority of a physical broadcast. */
	if (request->dest_mode == APIC_DEST_PHYSICAL && request->dest_id == 0xff &&
	    request->delivery_mode == APIC_DM_LOWEST && !request->msi_redir_hint)
		return false;
	*apic_id = base & X2APIC_ENABLE ? id : id >> 24;
	/* 0xff is everybody; and is it this one's, while the guest may be changing it? */
	return *apic_id != 0xff && kvm_apic_match_dest(vcpu, NULL, 0, *apic_id, APIC_DEST_PHYSICAL);
}
CORBEL_EXPORT(corbel_vcpu_takes);

void corbel_lapic_irq_send_to(struct kvm_lapic_irq *request, u32 apic_id)
{
	request->dest_mode = APIC_DEST_PHYSICAL;
	request->dest_id = apic_id;
	request->delivery_mode = APIC_DM_FIXED;
	request->msi_redir_hint = false;
}
CORBEL_EXPORT(corbel_lapic_irq_send_to);

struct kvm_vcpu *const *corbel_running_vcpus(void)
{
	struct kvm_vcpu *__percpu *found =
		(struct kvm_vcpu * __percpu *)corbel_kvm_variable("kvm_running_vcpu");

	preempt_disable();
	/* Of a per-CPU variable the symbol is the base that this_cpu_read() takes. */
	if (found && this_cpu_read(*found) != kvm_get_running_vcpu())
		found = NULL;
	preempt_enable();
	return (struct kvm_vcpu *const *)(uintptr_t)found;
}
CORBEL_EXPORT(corbel_running_vcpus);

/* Exported by kvm.ko, declared only in KVM's private lapic.h. */
void kvm_apic_send_ipi(struct kvm_lapic *apic, u32 icr_low, u32 icr_high);

bool corbel_vcpu_deliver(struct kvm_vcpu *vcpu, const u8 *registers, u8 vector)
{
	if (!(READ_ONCE(vcpu->arch.apic_base) & MSR_IA32_APICBASE_ENABLE) ||
	    !(READ_ONCE(*(const u32 *)(registers + APIC_SPIV)) & APIC_SPIV_APIC_ENABLED))
		return false;
	/* To itself by shorthand: no APIC id, which the guest may change, is looked up. */
	kvm_apic_send_ipi(vcpu->arch.apic,
			  APIC_DEST_SELF | APIC_DM_FIXED | APIC_INT_ASSERT | vector, 0);
	return true;
}
CORBEL_EXPORT(corbel_vcpu_deliver);

u32 corbel_tsc_khz(void)
{
	return tsc_khz;
}
CORBEL_EXPORT(corbel_tsc_khz);

u32 corbel_kvm_vendor(void)
{
	if (boot_cpu_has(X86_FEATURE_SVM))
		return CORBEL_VENDOR_AMD;
	if (boot_cpu_has(X86_FEATURE_VMX))
		return CORBEL_VENDOR_INTEL;
	return CORBEL_VENDOR_NONE;
}

struct corbel_vm_watch {
	struct mmu_notifier notifier;
	struct mm_struct *mm;
	void (*ended)(void *);
	void *argument;
};

/* Also called by mmu_notifier_unregister() itself: only says so, never tears down. */
static void corbel_vm_watch_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct corbel_vm_watch *watch = container_of(notifier, struct corbel_vm_watch, notifier);

	watch->ended(watch->argument);
}

static const struct mmu_notifier_ops corbel_vm_watch_ops = {
	.release = corbel_vm_watch_release,
};

int corbel_vm_watch_new(struct kvm *vm, void (*ended)(void *), void *argument,
			struct corbel_vm_watch **out)
{
	struct corbel_vm_watch *watch;
	int error = -ENOMEM;

	/* Registering needs a live address space; a reference to the VM is none. */
	if (!mmget_not_zero(vm->mm))
		return -ESTALE;
	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (watch) {
		watch->notifier.ops = &corbel_vm_watch_ops;
		watch->mm = vm->mm;
		watch->ended = ended;
		watch->argument = argument;
		error = mmu_notifier_register(&watch->notifier, vm->mm);
	}
	mmput(vm->mm);
	if (error)
		kfree(watch);
	else
		*out = watch;
	return error;
}

void corbel_vm_watch_free(struct corbel_vm_watch *watch)
{
	if (!watch)
		return;
	mmu_notifier_unregister(&watch->notifier, watch->mm);
	kfree(watch);
}
