/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hook.h - the machinery under the hook inventory: finding a function, putting
 * a direct call or a tracepoint probe in place, reading the kernel's BTF.
 *
 * Only inventory.cc calls these; everybody else asks the inventory.
 */
#ifndef CORBEL_COMPAT_HOOK_H
#define CORBEL_COMPAT_HOOK_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct corbel_symbol {
	u64 address;
	u64 bytes;
};

/*
 * Address and size of a function by its "module:name". Task. -ENOENT: none, or
 * it cannot be traced.
 */
int corbel_symbol_find(const char *name, struct corbel_symbol *symbol);

#define CORBEL_DIRECT_SLOTS 8
#define CORBEL_TRACEPOINT_KVM_INJ_VIRQ 0
#define CORBEL_TRACEPOINT_KVM_ENTRY 1
#define CORBEL_TRACEPOINTS 2

/*
 * Make the function at @address call @trampoline at its first instruction, by
 * an ftrace direct call. Task. -EBUSY: somebody else has a direct call there.
 */
int corbel_direct_install(u32 slot, u64 address, const void *trampoline);
/*
 * Task. Returns once nobody is inside the trampoline or, if it does not sleep,
 * in the function body that the trampoline called.
 */
void corbel_direct_remove(u32 slot, const void *trampoline);

int corbel_tracepoint_install(u32 tracepoint, void *probe);
/* Task. Returns once nobody is inside the probe. */
void corbel_tracepoint_remove(u32 tracepoint, void *probe);

/* @changed() whenever @module is coming or going; may not sleep. Task. 0 or -errno. */
int corbel_vendor_watch(const char *module, void (*changed)(void));
void corbel_vendor_unwatch(void);

/* A file of /sys/kernel/btf. Task. Free with corbel_free_pages. */
int corbel_btf_read(const char *path, void **data, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_COMPAT_HOOK_H */
