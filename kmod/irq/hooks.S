/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooks.S - the trampolines of the interrupt observer.
 */
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#include "../compat/direct_hook.h"
#include "layout.h"

	.text

/*
 * Around __apic_accept_irq(apic, delivery_mode, vector, level, trig_mode, dest_map),
 * as CORBEL_HOOK_AROUND but for what every delivery of the host pays:
 *
 *  - the lookup, with preemption off as an RCU reader, is done before a register
 *    is saved; a VM that is not observed costs this and nothing more;
 *  - corbel_irq_accept_enter(vcpu, mode, vector, level, trigger, caller) preserves
 *    all registers but %rax and %r11 (clang's preserve_most);
 *  - what it returns has the sign of a kernel address, unless a boost is to be asked
 *    for afterwards, which is then left to C++ as a whole;
 *  - PendingRecord::accept_exit() stands here: one instruction on the gate, whose
 *    result says whether this was the last delivery out of a suspect gate.
 */
SYM_FUNC_START(corbel_irq_accept_hook)
	incl	PER_CPU_VAR(__preempt_count)
	movq	corbel_irq_current_table(%rip), %r10
	movq	%rdi, %rax
	shrq	$CORBEL_TABLE_SHIFT, %rax
.Lprobe:
	andl	(%r10), %eax
	shlq	$CORBEL_TABLE_SLOT_SHIFT, %rax
	movq	CORBEL_TABLE_SLOTS(%r10, %rax), %r11
	cmpq	%rdi, %r11
	je	.Lfound
	testq	%r11, %r11
	jnz	.Lnext
.Lmiss:
	decl	PER_CPU_VAR(__preempt_count)
	RET
.Lnext:
	shrq	$CORBEL_TABLE_SLOT_SHIFT, %rax
	incl	%eax
	jmp	.Lprobe

.Lfound:
	movq	CORBEL_TABLE_SLOTS + 8(%r10, %rax), %rax
	testq	%rax, %rax
	jz	.Lmiss
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rdi
	pushq	%r9
	movq	%rax, %rdi
	movq	16(%rbp), %r9
	call	corbel_irq_accept_enter
	popq	%r9
	popq	%rdi
	decl	PER_CPU_VAR(__preempt_count)
	testq	%rax, %rax
	js	.Lbody
	jnz	.Lboosted
	popq	%rbp
	RET

.Lboosted:
	btsq	$63, %rax
	pushq	%rax
	movq	8(%rbp), %rax
	CALL_NOSPEC rax
	popq	%rdi
	movl	%eax, %esi
	pushq	%rax
	call	corbel_irq_accept_boosted
	popq	%rax
	jmp	.Lreturn
.Lbody:
	pushq	%rax
	movq	8(%rbp), %rax
	CALL_NOSPEC rax
	popq	%rdi
	testl	%eax, %eax
	jz	.Lrefused
	andq	$~CORBEL_TOKEN_LOW_BITS, %rdi
	movl	$-1, %ecx
	lock xaddl %ecx, (%rdi)
	cmpl	$(CORBEL_GATE_SUSPECT + 1), %ecx
	je	.Lsettle
.Lreturn:
	/* To the caller: the function has run. */
	popq	%rbp
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET

.Lrefused:
	pushq	%rax
	call	corbel_irq_accept_refused
	popq	%rax
	jmp	.Lreturn
.Lsettle:
	pushq	%rax
	call	corbel_irq_accept_settle
	popq	%rax
	jmp	.Lreturn
SYM_FUNC_END(corbel_irq_accept_hook)

	/* kvm_irq_delivery_to_apic_fast(vm, source, request, result, dest_map) */
	CORBEL_HOOK_ENTER corbel_irq_choose_hook corbel_irq_choose
	/* kvm_apic_set_state(vcpu, state) */
	CORBEL_HOOK_AROUND corbel_irq_state_hook corbel_irq_sleeping_enter corbel_irq_sleeping_exit
	/* kvm_lapic_reset(vcpu, init_event) */
	CORBEL_HOOK_AROUND corbel_irq_reset_hook corbel_irq_sleeping_enter corbel_irq_sleeping_exit
	/* kvm_arch_vcpu_load(vcpu, cpu) */
	CORBEL_HOOK_ENTER corbel_irq_load_hook corbel_irq_vcpu_loading
