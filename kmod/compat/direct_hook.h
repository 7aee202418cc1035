/* SPDX-License-Identifier: GPL-2.0 */
/*
 * direct_hook.h - trampolines for ftrace direct calls, for use in .S files.
 *
 * At a hooked function's first instruction ftrace has put a call to the
 * trampoline, so on entry the stack is
 *
 *	0(%rsp)  the rest of the hooked function (its second instruction)
 *	8(%rsp)  the caller of the hooked function
 *
 * and the argument registers hold the hooked function's arguments.
 *
 * CORBEL_HOOK_ENTER: calls the handler with the same arguments, then lets the
 * function run. Whatever the handler returns is ignored.
 *
 * CORBEL_HOOK_AROUND: calls enter(arg1 .. arg5, caller); if it returns 0 the
 * function runs and nothing more happens. Otherwise the trampoline calls the
 * rest of the function itself and then exit(what enter returned, what the
 * function returned). Only for functions with at most six arguments, all
 * integers, and an integer result.
 *
 * A trampoline that called the function skips the return into it by putting a
 * bare return instruction in its place: the stack then is what objtool and the
 * unwinder expect at every instruction.
 *
 * The form is that of BPF's fentry / fexit trampolines; see also
 * samples/ftrace/ftrace-direct.c in the kernel source.
 */
/* clang-format off */
#ifndef CORBEL_COMPAT_DIRECT_HOOK_H
#define CORBEL_COMPAT_DIRECT_HOOK_H

#include <linux/linkage.h>
#include <asm/nospec-branch.h>

.macro CORBEL_PUSH_ARGUMENTS
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	pushq	%r9
.endm

.macro CORBEL_POP_ARGUMENTS
	popq	%r9
	popq	%r8
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
.endm

.macro CORBEL_HOOK_ENTER name:req handler:req
SYM_FUNC_START(\name)
	pushq	%rbp
	movq	%rsp, %rbp
	CORBEL_PUSH_ARGUMENTS
	call	\handler
	CORBEL_POP_ARGUMENTS
	popq	%rbp
	RET
SYM_FUNC_END(\name)
.endm

.macro CORBEL_HOOK_AROUND name:req enter:req exit:req
SYM_FUNC_START_LOCAL(\name\()_return)
	RET
SYM_FUNC_END(\name\()_return)

SYM_FUNC_START(\name)
	pushq	%rbp
	movq	%rsp, %rbp
	CORBEL_PUSH_ARGUMENTS
	movq	16(%rbp), %r9
	call	\enter
	CORBEL_POP_ARGUMENTS
	testq	%rax, %rax
	jnz	.Laround_\name
	popq	%rbp
	RET
.Laround_\name:
	pushq	%rax
	movq	8(%rbp), %rax
	CALL_NOSPEC rax
	popq	%rdi
	pushq	%rax
	movl	%eax, %esi
	call	\exit
	popq	%rax
	leaq	\name\()_return(%rip), %rcx
	movq	%rcx, 8(%rbp)
	popq	%rbp
	RET
SYM_FUNC_END(\name)
.endm

#endif /* CORBEL_COMPAT_DIRECT_HOOK_H */
