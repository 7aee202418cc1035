// SPDX-License-Identifier: GPL-2.0
/*
 * hook_shim.c - hook.h on ftrace, tracepoints and kprobes of Linux 6.1.
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/tracepoint.h>

#include "hook.h"

/*
 * Defined and exported by kvm.ko, declared only in KVM's private trace.h. The
 * prototypes of the probes are compared with BTF before they are installed.
 */
extern struct tracepoint __tracepoint_kvm_inj_virq;
extern struct tracepoint __tracepoint_kvm_entry;

static struct tracepoint *const corbel_tracepoints[CORBEL_TRACEPOINTS] = {
	[CORBEL_TRACEPOINT_KVM_INJ_VIRQ] = &__tracepoint_kvm_inj_virq,
	[CORBEL_TRACEPOINT_KVM_ENTRY] = &__tracepoint_kvm_entry,
};

static struct ftrace_ops corbel_direct_ops[CORBEL_DIRECT_SLOTS];

int corbel_symbol_find(const char *name, struct corbel_symbol *symbol)
{
	/* A disabled kprobe patches nothing; it is the public way to an address. */
	struct kprobe probe = {.symbol_name = name, .flags = KPROBE_FLAG_DISABLED};
	char text[KSYM_SYMBOL_LEN];
	unsigned long address;
	char *size;
	int error;

	error = register_kprobe(&probe);
	if (error)
		return -ENOENT;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	/* "name+0x0/0x3d0 [kvm]"; anything else is not the start of a function. */
	sprint_symbol(text, address);
	size = strstr(text, "+0x0/0x");
	if (!size)
		return -ENOENT;
	size += strlen("+0x0/");
	size[strcspn(size, " ")] = '\0';
	symbol->address = address;
	return kstrtou64(size, 16, &symbol->bytes) ? -ENOENT : 0;
}

int corbel_direct_install(u32 slot, u64 address, const void *trampoline)
{
	struct ftrace_ops *ops = &corbel_direct_ops[slot];
	int error;

	memset(ops, 0, sizeof(*ops));
	error = ftrace_set_filter_ip(ops, (unsigned long)address, 0, 1);
	if (error)
		return error;
	error = register_ftrace_direct_multi(ops, (unsigned long)trampoline);
	if (error)
		ftrace_free_filter(ops);
	return error;
}

void corbel_direct_remove(u32 slot, const void *trampoline)
{
	struct ftrace_ops *ops = &corbel_direct_ops[slot];

	/*
	 * Waits itself: ops in a module are dynamic to ftrace, which then lets a
	 * grace period of tasks pass (ftrace_shutdown()).
	 */
	if (WARN_ON_ONCE(unregister_ftrace_direct_multi(ops, (unsigned long)trampoline)))
		return;
	ftrace_free_filter(ops);
}

int corbel_tracepoint_install(u32 tracepoint, void *probe)
{
	return tracepoint_probe_register(corbel_tracepoints[tracepoint], probe, NULL);
}

void corbel_tracepoint_remove(u32 tracepoint, void *probe)
{
	tracepoint_probe_unregister(corbel_tracepoints[tracepoint], probe, NULL);
	tracepoint_synchronize_unregister();
}

static const char *corbel_vendor_module;
static void (*corbel_vendor_changed)(void);

static int corbel_vendor_event(struct notifier_block *block, unsigned long event, void *data)
{
	const struct module *module = data;

	if (event != MODULE_STATE_LIVE && !strcmp(module->name, corbel_vendor_module))
		corbel_vendor_changed();
	return NOTIFY_DONE;
}

static struct notifier_block corbel_vendor_notifier = {
	.notifier_call = corbel_vendor_event,
};

int corbel_vendor_watch(const char *module, void (*changed)(void))
{
	corbel_vendor_module = module;
	corbel_vendor_changed = changed;
	return register_module_notifier(&corbel_vendor_notifier);
}

void corbel_vendor_unwatch(void)
{
	unregister_module_notifier(&corbel_vendor_notifier);
}
