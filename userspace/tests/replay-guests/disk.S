/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.S - a guest of corbel-vmm without a kernel that uses its disk ROUNDS times: reads a
 * sector, mixes the timer's count and a random number into it and writes it to another, whole
 * blocks away. It folds what it got, and each status, into a sum, prints that and ends.
 *
 * The devices are where the board has them: random numbers are device 1, the disk is device 2.
 */
.code64
.set entropy_ports, 0xc000
.set disk_ports, 0xc100
.set sectors, 64

.text
.globl _start
_start:
	mov	$0x80000804, %eax
	mov	$entropy_ports, %esi
	mov	$entropy_rings, %edi
	call	set_up
	mov	$0x80001004, %eax
	mov	$disk_ports, %esi
	mov	$disk_rings, %edi
	call	set_up
	xor	%ebx, %ebx
	xor	%r13d, %r13d
1:
	mov	$entropy_ports, %esi
	mov	$entropy_rings, %edi
	call	request
	/* Read: the data are the device's to write. */
	movl	$0, header
	mov	%r13, %rax
	and	$(sectors - 1), %eax
	mov	%rax, header + 8
	movw	$3, disk_rings + 16 + 12
	mov	$disk_ports, %esi
	mov	$disk_rings, %edi
	call	request
	call	fold
	/* Write. */
	in	$0x40, %al
	xor	%al, data + 100
	mov	random, %rax
	xor	%rax, data + 200
	movl	$1, header
	mov	%r13, %rax
	imul	$29, %rax
	and	$(sectors - 1), %eax
	mov	%rax, header + 8
	movw	$1, disk_rings + 16 + 12
	call	request
	call	fold
	inc	%r13
	cmp	$ROUNDS, %r13
	jb	1b
#include "end.inc"

/* EAX: where its command is in configuration space; ESI: its ports; EDI: its rings. */
set_up:
	mov	$0xcf8, %edx
	out	%eax, %dx
	mov	$0xcfc, %edx
	mov	$5, %eax /* ports and memory */
	out	%ax, %dx
	lea	0x14(%rsi), %edx
	mov	$3, %al /* there is a driver */
	out	%al, %dx
	lea	0x08(%rsi), %edx
	mov	$1, %eax /* of the upper features the first, version 1 */
	out	%eax, %dx
	lea	0x0c(%rsi), %edx
	out	%eax, %dx
	lea	0x14(%rsi), %edx
	mov	$11, %al
	out	%al, %dx
	lea	0x18(%rsi), %edx
	mov	$8, %eax
	out	%ax, %dx
	lea	0x20(%rsi), %edx
	mov	%edi, %eax
	out	%eax, %dx
	lea	0x28(%rsi), %edx
	lea	0x400(%rdi), %eax
	out	%eax, %dx
	lea	0x30(%rsi), %edx
	lea	0x800(%rdi), %eax
	out	%eax, %dx
	lea	0x1c(%rsi), %edx
	mov	$1, %eax
	out	%ax, %dx
	lea	0x14(%rsi), %edx
	mov	$15, %al
	out	%al, %dx
	ret

/* Of descriptor 0, and it is done when the device has been told. */
request:
	incw	0x402(%rdi)
	lea	0x48(%rsi), %edx
	xor	%eax, %eax
	out	%ax, %dx
	mov	0x402(%rdi), %ax
	cmp	0x802(%rdi), %ax
	jne	failed
	ret

failed:
	mov	$9, %al
	out	%al, $0xf4
	hlt

fold:
	movzbl	status, %eax
	add	%rax, %rbx
	mov	$data, %eax
	mov	$64, %ecx
5:	rol	$5, %rbx
	xor	(%rax), %rbx
	add	$8, %rax
	loop	5b
	ret

.data
.balign 4096
disk_rings:
	.quad	header
	.long	16
	.word	1, 1
	.quad	data
	.long	512
	.word	1, 2
	.quad	status
	.long	1
	.word	2, 0
.balign 4096
entropy_rings:
	.quad	random
	.long	64
	.word	2, 0
.balign 4096
header:
	.quad	0, 0
status:
	.byte	0xee
.balign 64
random:
	.fill	64, 1, 0
data:
	.fill	512, 1, 0
.section .note.GNU-stack, "", @progbits
