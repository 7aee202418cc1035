/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooks.S - the trampoline of the recorders.
 */
#include <asm/unwind_hints.h>

#include "../compat/direct_hook.h"
#include "layout.h"

	.text

/*
 * Around svm_handle_exit(vcpu, exit_fastpath) or vmx_handle_exit(the same), in KVM's stead where
 * the exit is ours:
 *
 *  - a vCPU whose bucket is empty, which is nearly every one that has no recorder, pays four
 *    instructions and the return;
 *  - corbel_replay_exit_enter(vcpu, exit_fastpath) answers the recorder if the exit is for it,
 *    else the function runs as it would have;
 *  - ours: the function runs all the same, but is told that the exit has been handled. It does
 *    what it does at every exit (SVM: takes CR0 and CR3 from the VMCB; VMX: empties the log of
 *    written pages; failed entries; exits of a guest's guest), and returns 1. Then
 *    corbel_replay_exit(recorder, what it returned) does our part and gives the result.
 */
SYM_FUNC_START(corbel_replay_exit_hook)
	imull	$CORBEL_BUCKET_FACTOR, %edi, %eax
	shrl	$CORBEL_BUCKET_SHIFT, %eax
	cmpq	$0, corbel_replay_buckets(,%rax,8)
	jne	.Lsome
	RET

.Lsome:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rdi
	pushq	%rsi
	call	corbel_replay_exit_enter
	popq	%rsi
	popq	%rdi
	testq	%rax, %rax
	jnz	.Lours
	popq	%rbp
	RET

.Lours:
	pushq	%rax
	movl	$CORBEL_EXIT_HANDLED, %esi
	movq	8(%rbp), %rax
	CALL_NOSPEC rax
	popq	%rdi
	movl	%eax, %esi
	call	corbel_replay_exit
	/* To the caller: the function has run. */
	popq	%rbp
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(corbel_replay_exit_hook)
