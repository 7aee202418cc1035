/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest side of the test VM.
 *
 * The guest is part of the program itself. Programs are linked at a fixed low
 * address; their image and an arena of memory below 2 GiB are memory slots whose
 * guest physical address is the host's virtual one, and the guest's page tables
 * map all of it one to one. So a pointer means the same on both sides, and guest
 * code is any function of the program that keeps to two rules: no library calls,
 * and no write to a global (the image is read-only to the guest; what changes
 * lives in the arena). The compiler's part, no red zone and no stack protector,
 * is in the Makefile.
 *
 * Each vCPU finds its `guest_cpu` through the GS base. Every vector from 0x20 on
 * has a handler that counts, notes the time and ends the interrupt at the local
 * APIC; NMIs are counted; exceptions stop the vCPU and tell the host.
 */
#pragma once

#include <atomic>
#include <cstdint>

namespace corbel::selftest {

/* Marks a function that the guest runs. */
#define GUEST_CODE [[gnu::noinline, gnu::used]]

inline constexpr unsigned nmi_vector = 2;
inline constexpr unsigned first_vector = 0x20;
inline constexpr unsigned nr_vectors = 256;

enum class guest_mode : uint32_t {
	none,
	spin, /* interrupts on, never leaves by itself */
	halt, /* HLT with interrupts on */
	masked, /* interrupts off, spinning: what arrives stays pending */
	exits, /* a loop of RDMSR, each one a VM exit handled in the kernel */
	leave, /* exits to user space, which keeps it until the mode changes */
};

enum class job_kind : uint32_t {
	none,
	self_ipi, /* through the SELF_IPI register; x2APIC only, as the timers are */
	ipi, /* through the ICR, to `target`: an APIC id, or what `command` makes of it */
	timer, /* one-shot APIC timer of `ticks`, waits for each to arrive */
	tsc_deadline, /* the same through IA32_TSC_DEADLINE */
	check_pages, /* `count` pages at `memory` hold the pattern of `seed`; then writes its last word */
	write_pages, /* one more in the first word of each `stride`th of `count` pages at `memory` */
	read_pages, /* all words of `count` pages at `memory` */
};

/* What an ICR's low word holds beside the vector. */
namespace icr {
inline constexpr uint32_t nmi = 4 << 8;
inline constexpr uint32_t lowest_priority = 1 << 8;
inline constexpr uint32_t logical = 1 << 11;
inline constexpr uint32_t assert_level = 1 << 14;
inline constexpr uint32_t to_self = 1 << 18;
inline constexpr uint32_t to_all = 2 << 18;
inline constexpr uint32_t to_others = 3 << 18;
} // namespace icr

/* `count` times `kind` with vectors first, first + 1, ... last, and again. */
struct guest_job {
	job_kind kind = job_kind::none;
	uint32_t target = 0;
	uint32_t command = icr::assert_level;
	uint32_t first = 0x30;
	uint32_t last = 0x30;
	uint64_t ticks = 20000;
	uint64_t count = 0;
	volatile uint64_t *memory = nullptr;
	uint64_t seed = 0;
	uint64_t stride = 1;
};

/* Ports the guest writes to when it has something to tell. */
inline constexpr uint16_t port_leave = 0x10;
inline constexpr uint16_t port_exception = 0x11;
inline constexpr uint16_t port_done = 0x12;

/* The first members are known to the assembly in guest.cc by their offsets. */
struct alignas(4096) guest_cpu {
	volatile uint64_t total;
	volatile uint64_t last_vector;
	volatile uint64_t last_tsc;
	volatile uint64_t exception;
	volatile uint64_t handled[nr_vectors];

	std::atomic<guest_mode> mode;
	std::atomic<guest_mode> mode_seen;
	std::atomic<uint64_t> loops;
	guest_job job;
	std::atomic<uint64_t> job_number;
	std::atomic<uint64_t> job_finished;
	std::atomic<uint64_t> wrong_words; /* that check_pages found */
	bool xapic; /* the local APIC is where it was before x2APIC: in memory */
};

extern "C" void guest_main(guest_cpu *cpu);

/* The 256 entry points, 16 bytes each, for either mode of the local APIC. */
extern "C" const char guest_vectors[], guest_xapic_vectors[];
inline constexpr unsigned guest_vector_size = 16;

namespace guest {

static inline uint64_t read_msr(uint32_t number)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number) : "memory");
	return low | static_cast<uint64_t>(high) << 32;
}

static inline void write_msr(uint32_t number, uint64_t value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(number), "a"(static_cast<uint32_t>(value)),
		       "d"(static_cast<uint32_t>(value >> 32))
		     : "memory");
}

static inline void out(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t read_tsc()
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | static_cast<uint64_t>(high) << 32;
}

/* What the CPU, or whoever answers for it, has in IA32_TSC_AUX comes with it. */
static inline uint64_t read_tscp(uint32_t &aux)
{
	uint32_t low, high;

	asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
	return low | static_cast<uint64_t>(high) << 32;
}

} // namespace guest

/* Registers of the local APIC in memory. */
namespace xapic {
inline constexpr uint32_t base = 0xfee00000;
inline constexpr uint32_t id = 0x20;
inline constexpr uint32_t ldr = 0xd0;
inline constexpr uint32_t dfr = 0xe0;
inline constexpr uint32_t icr_low = 0x300;
inline constexpr uint32_t icr_high = 0x310;
} // namespace xapic

namespace msr {
inline constexpr uint32_t tsc_deadline = 0x6e0;
inline constexpr uint32_t x2apic_tpr = 0x808;
inline constexpr uint32_t x2apic_svr = 0x80f;
inline constexpr uint32_t x2apic_esr = 0x828;
inline constexpr uint32_t x2apic_icr = 0x830;
inline constexpr uint32_t x2apic_lvt_timer = 0x832;
inline constexpr uint32_t x2apic_lvt_lint0 = 0x835;
inline constexpr uint32_t x2apic_timer_count = 0x838;
inline constexpr uint32_t x2apic_timer_divide = 0x83e;
inline constexpr uint32_t x2apic_self_ipi = 0x83f;
} // namespace msr

} // namespace corbel::selftest
