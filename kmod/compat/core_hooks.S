/* SPDX-License-Identifier: GPL-2.0 */
/*
 * core_hooks.S - the trampolines of the core.
 */
#include "direct_hook.h"

	.text
	/* kvm_arch_vcpu_postcreate(vcpu) */
	CORBEL_HOOK_ENTER corbel_vcpu_created_hook corbel_vcpu_created
	/* kvm_vm_release(inode, file) */
	CORBEL_HOOK_ENTER corbel_vm_closed_hook corbel_vm_closed
