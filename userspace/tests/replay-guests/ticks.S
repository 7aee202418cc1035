/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ticks.S - a guest of corbel-vmm without a kernel: takes TICKS interrupts of the timer at 1 kHz
 * and folds what it can know of the world into a sum, which it prints and ends with: the counter
 * (COUNTER), the timer's count, what it was doing when it was interrupted, and how often.
 *
 * SPIN: between interrupts it does not leave, its registers are always the same, and only a
 * number in memory grows.
 * FAULTS: it reads once where nothing is, and writes there all the time.
 * DENIED: between interrupts it reads MSRs, one that it may not read and the counter's, until it
 * has been interrupted often enough or has tried often enough.
 */
.code64
.text
.globl _start
_start:
	lea	idt + 0x20 * 16(%rip), %rdi
	lea	on_tick(%rip), %rax
	call	set_gate
	lea	idt + 13 * 16(%rip), %rdi
	lea	on_fault(%rip), %rax
	call	set_gate
	lea	idt + 14 * 16(%rip), %rdi
	lea	on_page_fault(%rip), %rax
	call	set_gate
	lidt	idtr(%rip)
	/* As Linux does: a state that is put back has to be the one that was taken. */
	mov	$0x175, %ecx
	mov	$0x3000, %eax
	mov	$0xfffffe00, %edx
	wrmsr
	/* The interrupt controller: vectors from 0x20, only line 0. */
	mov	$0x11, %al
	out	%al, $0x20
	mov	$0x20, %al
	out	%al, $0x21
	mov	$4, %al
	out	%al, $0x21
	mov	$1, %al
	out	%al, $0x21
	mov	$0xfe, %al
	out	%al, $0x21
	/* The timer: channel 0, rate generator, 1193 ticks. */
	mov	$0x34, %al
	out	%al, $0x43
	mov	$0xa9, %al
	out	%al, $0x40
	mov	$0x04, %al
	out	%al, $0x40
	xor	%ebx, %ebx
	xor	%r13d, %r13d
	sti
#ifdef FAULTS
	movabs	0x7f0000000000, %rax
#endif
1:
#ifdef SPIN
	incq	turns(%rip)
	.rept 300
	lock addq $0, scratch(%rip)
	.endr
#elif defined DENIED
	mov	$0xc0010000, %ecx
	rdmsr
	mov	$0x10, %ecx
	rdmsr
	xor	%rax, %rbx
	rol	$7, %rbx
	inc	%r13d
	cmp	$20000, %r13d
	ja	5f
#else
#ifdef COUNTER
	rdtsc
	xor	%rax, %rbx
	rol	$7, %rbx
	add	%rdx, %rbx
#elif defined FAULTS
	movabs	%rax, 0x7f0000000000
#else
	incq	turns(%rip)
#endif
	inc	%r13
	test	$63, %r13d
	jnz	2f
	in	$0x40, %al
	movzx	%al, %eax
	add	%rax, %rbx
	test	$1023, %r13d
	jnz	2f
	hlt
2:
#endif
	cmpq	$TICKS, ticks(%rip)
	jb	1b
5:	cli
	xor	turns(%rip), %rbx
	xor	sum(%rip), %rbx
#include "end.inc"

/* RAX: where the gate at RDI leads. */
set_gate:
	mov	%ax, (%rdi)
	movw	$0x10, 2(%rdi)
	movw	$0x8e00, 4(%rdi)
	shr	$16, %rax
	mov	%ax, 6(%rdi)
	movl	$0, 8(%rdi)
	ret

/* Goes on behind the RDMSR. */
on_fault:
	add	$8, %rsp
	addq	$2, (%rsp)
	incq	turns(%rip)
	iretq

/* Goes on behind the MOV. */
on_page_fault:
	add	$8, %rsp
	addq	$10, (%rsp)
	incq	turns(%rip)
	iretq

on_tick:
	push	%rax
	push	%rdx
	incq	ticks(%rip)
	mov	sum(%rip), %rax
	rol	$5, %rax
	xor	turns(%rip), %rax
	xor	16(%rsp), %rax /* where it was interrupted */
	mov	%rax, sum(%rip)
	mov	$0x20, %al
	out	%al, $0x20
	pop	%rdx
	pop	%rax
	iretq

.data
.balign 16
idtr:
	.word 4095
	.quad idt
.balign 4096
turns:
	.quad 0
scratch:
	.quad 0
.balign 4096
ticks:
	.quad 0
sum:
	.quad 0x1234
.balign 4096
idt:
	.fill 4096, 1, 0
.section .note.GNU-stack, "", @progbits
