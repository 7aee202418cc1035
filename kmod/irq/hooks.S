/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooks.S - the trampolines of the interrupt observer.
 */
#include "../compat/direct_hook.h"

	.text
	/* __apic_accept_irq(apic, delivery_mode, vector, level, trig_mode, dest_map) */
	CORBEL_HOOK_AROUND corbel_irq_accept_hook corbel_irq_accept_enter corbel_irq_accept_exit
	/* kvm_apic_set_state(vcpu, state) */
	CORBEL_HOOK_AROUND corbel_irq_state_hook corbel_irq_sleeping_enter corbel_irq_sleeping_exit
	/* kvm_lapic_reset(vcpu, init_event) */
	CORBEL_HOOK_AROUND corbel_irq_reset_hook corbel_irq_sleeping_enter corbel_irq_sleeping_exit
