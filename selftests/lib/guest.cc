// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest.hh"
#include "pattern.hh"

#include <cstddef>

namespace corbel::selftest {

static_assert(offsetof(guest_cpu, total) == 0);
static_assert(offsetof(guest_cpu, last_vector) == 8);
static_assert(offsetof(guest_cpu, last_tsc) == 16);
static_assert(offsetof(guest_cpu, exception) == 24);
static_assert(offsetof(guest_cpu, handled) == 32);

static_assert(offsetof(guest_cpu, handled[nmi_vector]) == 48);

/*
 * The counters of a vCPU are its own, and a handler is not interrupted, so plain
 * increments do. The time stamp comes first: it is what latency is measured by.
 */
asm(R"(
	.macro	entry_points name, handler
	.balign	4096
	.globl	\name
\name:
	vector = 0
	.rept	256
	.balign	16
	push	$vector
	.if	vector == 2
	jmp	guest_nmi
	.elseif	vector < 32
	jmp	guest_exception
	.else
	jmp	\handler
	.endif
	vector = vector + 1
	.endr
	.endm

	.macro	count_interrupt
	push	%rax
	push	%rcx
	push	%rdx
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, %gs:16
	movzbl	24(%rsp), %ecx
	mov	%rcx, %gs:8
	incq	%gs:32(,%rcx,8)
	incq	%gs:0
	.endm

	.macro	leave_interrupt
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$8, %rsp
	iretq
	.endm

	.pushsection .text
	entry_points guest_vectors, guest_interrupt
	entry_points guest_xapic_vectors, guest_xapic_interrupt

	.balign	16
guest_interrupt:
	count_interrupt
	mov	$0x80b, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	leave_interrupt

	.balign	16
guest_xapic_interrupt:
	count_interrupt
	mov	$0xfee000b0, %ecx
	movl	$0, (%rcx)
	leave_interrupt

guest_nmi:
	incq	%gs:48
	add	$8, %rsp
	iretq

guest_exception:
	pop	%rax
	or	$0x100, %rax
	mov	%rax, %gs:24
1:	out	%al, $0x11
	jmp	1b
	.popsection
)");

namespace {

inline void write_xapic(uint32_t reg, uint32_t value)
{
	asm volatile("movl %1, (%0)" : : "r"(uint64_t{xapic::base + reg}), "r"(value) : "memory");
}

inline void send_ipi(guest_cpu *cpu, uint32_t target, uint32_t command)
{
	if (!cpu->xapic) {
		guest::write_msr(msr::x2apic_icr, static_cast<uint64_t>(target) << 32 | command);
		return;
	}
	write_xapic(xapic::icr_high, target << 24);
	write_xapic(xapic::icr_low, command);
}

inline void run_one(guest_cpu *cpu, const guest_job &job, uint32_t vector)
{
	uint64_t before = cpu->handled[vector];

	switch (job.kind) {
	case job_kind::self_ipi:
		guest::write_msr(msr::x2apic_self_ipi, vector);
		return;
	case job_kind::ipi:
		send_ipi(cpu, job.target, job.command | vector);
		return;
	case job_kind::timer:
		guest::write_msr(msr::x2apic_timer_divide, 0xb);
		guest::write_msr(msr::x2apic_lvt_timer, vector);
		guest::write_msr(msr::x2apic_timer_count, job.ticks);
		break;
	case job_kind::tsc_deadline:
		guest::write_msr(msr::x2apic_lvt_timer, 2 << 17 | vector);
		guest::write_msr(msr::tsc_deadline, guest::read_tsc() + job.ticks);
		break;
	default:
		return;
	}

	/* STI takes effect after the next instruction: no wake-up is lost. */
	asm volatile("cli");
	while (cpu->handled[vector] == before) {
		if (cpu->mode.load(std::memory_order_relaxed) == guest_mode::halt)
			asm volatile("sti; hlt; cli" : : : "memory");
		else
			asm volatile("sti; pause; cli" : : : "memory");
	}
	asm volatile("sti");
}

/* Each page's last word becomes its complement: it was seen, and stays seen. */
inline void check_pages(guest_cpu *cpu, const guest_job &job)
{
	for (uint64_t page = 0; page < job.count; page++) {
		volatile uint64_t *words = job.memory + page * words_of_page;

		for (uint64_t i = 0; i < words_of_page; i++)
			if (words[i] != pattern_word(page, i, job.seed))
				cpu->wrong_words.fetch_add(1, std::memory_order_relaxed);
		words[words_of_page - 1] = ~words[words_of_page - 1];
	}
}

inline void write_pages(const guest_job &job)
{
	for (uint64_t page = 0; page < job.count; page += job.stride)
		job.memory[page * words_of_page] = job.memory[page * words_of_page] + 1;
}

inline void read_pages(const guest_job &job)
{
	for (uint64_t i = 0; i < job.count * words_of_page; i++)
		(void)job.memory[i];
}

inline void run_job(guest_cpu *cpu)
{
	uint64_t number = cpu->job_number.load(std::memory_order_acquire);

	if (number == cpu->job_finished.load(std::memory_order_relaxed))
		return;
	uint32_t vector = cpu->job.first;
	if (cpu->job.kind == job_kind::check_pages)
		check_pages(cpu, cpu->job);
	else if (cpu->job.kind == job_kind::write_pages)
		write_pages(cpu->job);
	else if (cpu->job.kind == job_kind::read_pages)
		read_pages(cpu->job);
	else
		for (uint64_t i = 0; i < cpu->job.count; i++) {
			run_one(cpu, cpu->job, vector);
			vector = vector == cpu->job.last ? cpu->job.first : vector + 1;
		}
	cpu->job_finished.store(number, std::memory_order_release);
}

} // namespace

GUEST_CODE void guest_main(guest_cpu *cpu)
{
	for (;;) {
		guest_mode mode = cpu->mode.load(std::memory_order_acquire);

		if (mode != cpu->mode_seen.load(std::memory_order_relaxed)) {
			if (mode == guest_mode::masked)
				asm volatile("cli");
			else
				asm volatile("sti");
			cpu->mode_seen.store(mode, std::memory_order_release);
		}
		cpu->loops.store(cpu->loops.load(std::memory_order_relaxed) + 1,
				 std::memory_order_relaxed);
		run_job(cpu);

		if (mode == guest_mode::halt)
			asm volatile("hlt" : : : "memory");
		else if (mode == guest_mode::exits)
			guest::read_msr(msr::x2apic_esr);
		else if (mode == guest_mode::leave)
			guest::out(port_leave, 0);
		else
			asm volatile("pause" : : : "memory");
	}
}

} // namespace corbel::selftest
