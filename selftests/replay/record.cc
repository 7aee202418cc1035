// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest is given for its reads of the time stamp counter, and where KVM_RUN ends for
 * them: recorded, replayed, from the clock, and left alone.
 */
#include "module.hh"
#include "recorder.hh"
#include "tap.hh"

#include <cstring>

using namespace corbel::selftest;

namespace {

constexpr unsigned reads = 16; /* before each exit */
constexpr unsigned aux = 0x1234567;

extern "C" const char replay_marker[];

GUEST_CODE uint64_t fold(uint64_t sum, uint64_t value)
{
	return (sum << 7 | sum >> 57) ^ value;
}

/* The sum of all it was given, in memory at each exit; every fourth one by RDTSCP. */
GUEST_CODE void fold_counter(guest_cpu *cpu)
{
	uint64_t sum = 0;

	for (;;) {
		for (unsigned i = 0; i < reads; i++) {
			uint32_t ecx = 0;

			if (i % 4)
				sum = fold(sum, guest::read_tsc());
			else
				sum = fold(sum, guest::read_tscp(ecx));
			sum = fold(sum, ecx);
		}
		cpu->loops.store(sum, std::memory_order_relaxed);
		guest::out(port_done, 0);
	}
}

/* One value at each exit. */
GUEST_CODE void tell_counter(guest_cpu *cpu)
{
	for (;;) {
		cpu->last_tsc = guest::read_tsc();
		guest::out(port_done, 0);
	}
}

/* What RCX is after each: RDTSC, RDTSC with a prefix, RDTSCP, RDTSCP with one. */
GUEST_CODE void tell_rcx(guest_cpu *cpu)
{
	for (;;) {
		uint64_t a = ~0ull, b = ~0ull, c = ~0ull, d = ~0ull;

		asm volatile("rdtsc" : "+c"(a) : : "rax", "rdx");
		asm volatile(".byte 0x66; rdtsc" : "+c"(b) : : "rax", "rdx");
		asm volatile("rdtscp" : "+c"(c) : : "rax", "rdx");
		asm volatile(".byte 0x66; rdtscp" : "+c"(d) : : "rax", "rdx");
		cpu->handled[0] = a;
		cpu->handled[1] = b;
		cpu->handled[2] = c;
		cpu->handled[3] = d;
		guest::out(port_done, 0);
	}
}

GUEST_CODE void run_into_ud(guest_cpu *cpu)
{
	for (;;) {
		cpu->loops.store(cpu->loops.load(std::memory_order_relaxed) + 1,
				 std::memory_order_relaxed);
		asm volatile(".globl replay_marker\nreplay_marker: ud2");
		cpu->last_tsc = guest::read_tsc();
	}
}

struct exit_state {
	kvm_regs registers;
	uint64_t sum;

	bool operator==(const exit_state &other) const
	{
		return !std::memcmp(&registers, &other.registers, sizeof(registers)) &&
		       sum == other.sum;
	}
};

std::vector<exit_state> run_exits(recorded_vm &guest, unsigned exits)
{
	std::vector<exit_state> states;

	for (unsigned i = 0; i < exits; i++) {
		guest.run_to_port();
		states.push_back({guest.cpu().registers(), guest.memory().loops});
	}
	return states;
}

std::vector<exit_state> record(recorded_vm &guest, unsigned exits)
{
	guest.restart();
	guest.log.area().tsc_aux = aux;
	guest.log.begin(CORBEL_REPLAY_RECORD);
	auto states = run_exits(guest, exits);

	CHECK_EQ(guest.log.area().head, exits * reads, "entries");
	return states;
}

/* What `record` has left in the log, once more. */
void rewind(recorded_vm &guest, uint64_t entries)
{
	guest.restart();
	guest.log.begin(CORBEL_REPLAY_REPLAY, entries);
}

void write_entry(recorded_vm &guest, uint64_t index, corbel_replay_entry entry)
{
	guest.log.log()[index].value = entry.value;
	guest.log.log()[index].tag = entry.tag;
}

struct session {
	explicit session(void (*entry)(guest_cpu *)) : guest(device.get(), entry) {}

	unique_fd device = (ensure_corbel(), connect_device());
	recorded_vm guest;
	volatile corbel_replay_area &area = guest.log.area();
};

void replay_alike()
{
	session s(fold_counter);
	constexpr unsigned exits = 100;
	std::vector<uint64_t> sums;

	for (unsigned recording = 0; recording < 2; recording++) {
		const auto states = record(s.guest, exits);
		const auto entries = s.guest.log.entries();

		for (size_t i = 0; i < entries.size(); i++) {
			CHECK_EQ(entries[i].tag >> 48, CORBEL_REPLAY_TSC << 8, "entry {}", i);
			CHECK(!i || entries[i].value > entries[i - 1].value,
			      "entry {} has {} after {}", i, entries[i].value,
			      entries[i - 1].value);
		}
		for (unsigned replay = 0; replay < 2; replay++) {
			rewind(s.guest, entries.size());
			const auto again = run_exits(s.guest, exits);

			for (unsigned i = 0; i < exits; i++)
				CHECK(again[i] == states[i],
				      "replay {} of recording {} differs at exit {}: sum {:#x}, "
				      "recorded {:#x}",
				      replay, recording, i, again[i].sum, states[i].sum);
			CHECK_EQ(s.area.head, entries.size(), "entries taken");
			CHECK_EQ(s.area.last, entries.back().value, "the last value");
		}
		sums.push_back(states.back().sum);
	}
	CHECK(sums[0] != sums[1], "two recordings have the same sum {:#x}", sums[0]);
	CHECK_EQ(s.area.nr_tsc, 6u * exits * reads, "reads answered");
	CHECK(s.area.nr_armed >= 1, "the interception was never set");
	CHECK(s.area.nr_entries >= 6u * exits * reads, "VM entries");
	comment("{} reads, {} VM entries, interception set {} times", __u64{s.area.nr_tsc},
		__u64{s.area.nr_entries}, __u64{s.area.nr_armed});
}

/* Each bit of some entries; a kind of the monitor's that happens between exits is told of before. */
void find_flipped_bits()
{
	session s(fold_counter);
	constexpr unsigned exits = 4;
	const auto states = record(s.guest, exits);
	const auto entries = s.guest.log.entries();
	unsigned by_tag = 0, by_sum = 0;

	for (size_t index : {size_t{0}, size_t{1}, entries.size() / 2, entries.size() - 1}) {
		for (unsigned bit = 0; bit < 128; bit++) {
			corbel_replay_entry changed = entries[index];
			(bit < 64 ? changed.value : changed.tag) ^= 1ull << bit % 64;
			write_entry(s.guest, index, changed);
			rewind(s.guest, entries.size());
			if (bit < 64) {
				CHECK(run_exits(s.guest, exits).back().sum != states.back().sum,
				      "bit {} of value {} is not seen", bit, index);
				by_sum++;
			} else {
				uint32_t reason;

				do
					reason = s.guest.run();
				while (reason == KVM_EXIT_IO || reason == CORBEL_REPLAY_EXIT_NEXT);
				CHECK_EQ(reason, CORBEL_REPLAY_EXIT_DIVERGED, "bit {} of tag {}",
					 bit - 64, index);
				CHECK_EQ(s.area.head, index, "where bit {} is seen", bit - 64);
				CHECK_EQ(s.area.seen, entries[index].tag, "bit {} of tag {}",
					 bit - 64, index);
				by_tag++;
			}
			write_entry(s.guest, index, entries[index]);
		}
	}
	comment("{} bits of tags ended the replay, {} bits of values changed the sum", by_tag,
		by_sum);
}

/* The log is full at every place where it can be, and goes on. */
void go_on_when_full()
{
	session s(fold_counter);
	constexpr unsigned exits = 3;
	unsigned full = 0;

	s.guest.log.begin(CORBEL_REPLAY_RECORD, 0);
	for (unsigned port = 0; port < exits;) {
		const uint64_t head = s.area.head;
		const kvm_regs before = s.guest.cpu().registers();
		const uint32_t reason = s.guest.run();

		if (reason == KVM_EXIT_IO) {
			port++;
			continue;
		}
		CHECK_EQ(reason, CORBEL_REPLAY_EXIT_FULL, "with {} entries", head);
		CHECK_EQ(s.area.head, s.area.end, "full");
		const kvm_regs at = s.guest.cpu().registers();
		/* Asked again without room, it is at the same place. */
		CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_FULL, "again");
		const kvm_regs again = s.guest.cpu().registers();
		CHECK(!std::memcmp(&at, &again, sizeof(at)), "it has moved from {:#x} to {:#x}",
		      at.rip, again.rip);
		CHECK(full == 0 || at.rip != before.rip || s.area.end != head, "no progress");
		s.area.end = s.area.end + 1;
		full++;
	}
	CHECK_EQ(full, exits * reads, "times that it was full");
	const auto entries = s.guest.log.entries();
	CHECK_EQ(entries.size(), exits * reads, "entries");
	rewind(s.guest, entries.size());
	(void)run_exits(s.guest, exits);
}

/* Given one entry at a time, the guest does the same. */
void go_on_when_empty()
{
	session s(fold_counter);
	constexpr unsigned exits = 3;
	const auto states = record(s.guest, exits);
	const uint64_t entries = s.area.head;
	unsigned empty = 0, port = 0;

	rewind(s.guest, 0);
	while (port < exits) {
		const uint32_t reason = s.guest.run();

		if (reason == KVM_EXIT_IO) {
			const exit_state now = {s.guest.cpu().registers(), s.guest.memory().loops};

			CHECK(now == states[port], "exit {} differs", port);
			port++;
			continue;
		}
		CHECK_EQ(reason, CORBEL_REPLAY_EXIT_EMPTY, "with {} entries", __u64{s.area.head});
		s.area.end = s.area.end + 1;
		empty++;
	}
	CHECK_EQ(empty, entries, "times that it was empty");
}

/* The first read that reaches the deadline ends KVM_RUN, and that one alone, in all modes. */
void stop_at_deadline()
{
	session s(fold_counter);
	constexpr unsigned exits = 4;

	(void)record(s.guest, exits);
	const auto entries = s.guest.log.entries();
	const size_t index = entries.size() / 2;

	for (uint64_t deadline : {entries[index].value, entries[index - 1].value + 1}) {
		s.area.deadline = deadline;
		rewind(s.guest, entries.size());
		while (s.guest.run() == KVM_EXIT_IO)
			;
		CHECK_EQ(s.guest.cpu().exit().exit_reason, CORBEL_REPLAY_EXIT_DEADLINE, "exit");
		CHECK_EQ(s.area.head, index + 1, "entries taken at the deadline");
		CHECK_EQ(s.area.last, entries[index].value, "the value at the deadline");
		const kvm_regs at = s.guest.cpu().registers();
		CHECK_EQ(at.rax | at.rdx << 32, entries[index].value, "RAX and RDX");
		CHECK(CORBEL_REPLAY_TAG(CORBEL_REPLAY_TSC, 0, at.rip) > entries[index].tag &&
			      at.rip - (entries[index].tag & 0xffffffffffff) <= 3,
		      "RIP {:#x} is not behind the instruction", at.rip);
		s.area.deadline = ~0ull;
		while (s.area.head < entries.size())
			s.guest.run_to_port();
	}
	for (uint32_t mode : {CORBEL_REPLAY_CLOCK, CORBEL_REPLAY_RECORD}) {
		s.guest.restart();
		s.guest.log.begin(mode);
		s.area.deadline = 1'000'000;
		while (s.guest.run() == KVM_EXIT_IO)
			;
		CHECK_EQ(s.guest.cpu().exit().exit_reason, CORBEL_REPLAY_EXIT_DEADLINE, "mode {}",
			 mode);
		CHECK(s.area.last >= 1'000'000, "it ends at {}", __u64{s.area.last});
		if (mode == CORBEL_REPLAY_RECORD && s.area.head > 1)
			CHECK(s.guest.log.log()[s.area.head - 2].value < 1'000'000,
			      "the read before had reached it");
		s.area.deadline = ~0ull;
	}
}

/* An entry of the monitor's that happens between exits is told of before it. */
void stop_before_next()
{
	session s(fold_counter);
	constexpr unsigned exits = 2;
	const auto states = record(s.guest, exits);
	auto entries = s.guest.log.entries();
	const size_t index = reads + 3;

	entries.insert(entries.begin() + index,
		       {0x55, CORBEL_REPLAY_TAG(CORBEL_REPLAY_FIRST_ASYNC, 9, 0x1000)});
	for (size_t i = 0; i < entries.size(); i++)
		write_entry(s.guest, i, entries[i]);
	for (bool deadline : {false, true}) {
		rewind(s.guest, entries.size());
		if (deadline)
			s.area.deadline = entries[index - 1].value;
		while (s.guest.run() == KVM_EXIT_IO)
			;
		CHECK_EQ(s.guest.cpu().exit().exit_reason, CORBEL_REPLAY_EXIT_NEXT, "exit");
		CHECK_EQ(s.area.head, index, "where it is told");
		s.area.deadline = ~0ull;
		/* Not taken by who it is for, the guest has left the path. */
		CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_DIVERGED, "not taken");
		s.area.head = index + 1;
		s.guest.run_to_port();
		const exit_state now = {s.guest.cpu().registers(), s.guest.memory().loops};
		CHECK(now == states.back(), "the end differs");
	}
	/* A kind that is not between exits is nothing to be told of. */
	entries[index].tag = CORBEL_REPLAY_TAG(CORBEL_REPLAY_FIRST_ASYNC - 1, 9, 0x1000);
	write_entry(s.guest, index, entries[index]);
	rewind(s.guest, entries.size());
	while (s.guest.run() == KVM_EXIT_IO)
		;
	CHECK_EQ(s.guest.cpu().exit().exit_reason, CORBEL_REPLAY_EXIT_DIVERGED, "exit");
	CHECK_EQ(s.area.head, index, "where");
}

void stop_at_breakpoint()
{
	session s(run_into_ud);
	const auto marker = reinterpret_cast<uint64_t>(replay_marker);

	for (uint32_t mode : {CORBEL_REPLAY_CLOCK, CORBEL_REPLAY_RECORD}) {
		s.guest.restart();
		s.guest.log.begin(mode);
		s.area.breakpoint = marker;
		for (unsigned turn = 1; turn < 5; turn++) {
			CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_BREAKPOINT, "turn {}", turn);
			CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_BREAKPOINT, "again");
			kvm_regs at = s.guest.cpu().registers();
			CHECK_EQ(at.rip, marker, "where");
			CHECK_EQ(s.guest.memory().loops.load(), turn, "turns");
			at.rip += 2;
			s.guest.cpu().set_registers(at);
		}
	}
	/* Elsewhere, nowhere and in mode OFF it is the guest's own. */
	const struct {
		uint64_t breakpoint;
		uint32_t mode;
	} others[] = {{marker + 1, CORBEL_REPLAY_CLOCK}, {0, CORBEL_REPLAY_CLOCK}, {marker, 0}};
	for (auto [breakpoint, mode] : others) {
		s.guest.restart();
		s.guest.log.begin(mode);
		s.area.breakpoint = breakpoint;
		CHECK_EQ(s.guest.run(), KVM_EXIT_IO, "breakpoint {:#x}", breakpoint);
		CHECK_EQ(s.guest.memory().exception & 0xff, 6u, "exception");
	}
}

void answer_from_clock()
{
	session s(tell_counter);
	uint64_t last = 0;

	for (unsigned shift : {0u, 3u, 31u}) {
		s.guest.log.begin(CORBEL_REPLAY_CLOCK);
		s.area.shift = shift;
		last = 0;
		for (unsigned i = 0; i < 50; i++) {
			const uint64_t before = (monotonic_ns() - s.area.base) >> shift;
			s.guest.run_to_port();
			const uint64_t after = (monotonic_ns() - s.area.base) >> shift;
			const uint64_t value = s.guest.memory().last_tsc;

			CHECK(value > last, "{} after {}", value, last);
			CHECK(value >= before && value <= std::max(after, last + 1),
			      "{} is not between {} and {}", value, before, after);
			CHECK_EQ(s.area.last, value, "last");
			last = value;
		}
		CHECK_EQ(s.area.head, 0u, "entries");
	}
	/* What the monitor takes for the last one holds, also against the clock. */
	s.guest.log.begin(CORBEL_REPLAY_CLOCK);
	s.area.shift = 0;
	s.area.last = 1ull << 60;
	s.guest.run_to_port();
	CHECK_EQ(s.guest.memory().last_tsc, (1ull << 60) + 1, "after a last one of the monitor's");
	/* Before its beginning, time stands still. */
	s.guest.log.begin(CORBEL_REPLAY_CLOCK);
	s.area.base = ~0ull;
	for (uint64_t value : {1, 2, 3}) {
		s.guest.run_to_port();
		CHECK_EQ(s.guest.memory().last_tsc, value, "before time begins");
	}
}

void leave_alone_when_off()
{
	session s(tell_counter);

	for (unsigned turn = 0; turn < 3; turn++) {
		s.guest.log.begin(CORBEL_REPLAY_CLOCK);
		s.guest.run_to_port();
		CHECK_EQ(s.guest.memory().last_tsc, s.area.last, "ours");
		const uint64_t answered = s.area.nr_tsc, entries = s.area.nr_entries;
		s.area.mode = CORBEL_REPLAY_OFF;
		for (unsigned i = 0; i < 3; i++) {
			const uint64_t before = guest::read_tsc();
			s.guest.run_to_port();
			const uint64_t value = s.guest.memory().last_tsc;

			CHECK(is_own_counter(value, before), "{} is not the CPU's counter {}",
			      value, before);
		}
		CHECK_EQ(s.area.nr_tsc, answered, "answered while off");
		CHECK(s.area.nr_entries >= entries + 3, "entries are counted while off");
	}
	CHECK_EQ(s.area.nr_armed, 3u, "times that the interception was set");
}

void give_rcx_to_rdtscp_alone()
{
	session s(tell_rcx);

	s.area.tsc_aux = 0xffff'ffff'8765'4321;
	for (unsigned turn = 0; turn < 2; turn++) {
		s.guest.restart();
		s.guest.log.begin(turn ? CORBEL_REPLAY_REPLAY : CORBEL_REPLAY_RECORD,
				  turn ? 4 : 4096);
		s.guest.run_to_port();
		CHECK_EQ(s.guest.memory().handled[0], ~0ull, "RDTSC");
		CHECK_EQ(s.guest.memory().handled[1], ~0ull, "RDTSC with a prefix");
		CHECK_EQ(s.guest.memory().handled[2], 0x87654321u, "RDTSCP");
		CHECK_EQ(s.guest.memory().handled[3], 0x87654321u, "RDTSCP with a prefix");
	}
}

void tell_bad_areas()
{
	session s(fold_counter);
	constexpr uint64_t room = recorder::usual_entries;
	const struct {
		const char *what;
		uint32_t mode, shift;
		uint64_t head, end, last;
	} bad[] = {
		{"mode 4", 4, 0, 0, room, 0},
		{"all modes", ~0u, 0, 0, room, 0},
		{"shift 32", CORBEL_REPLAY_CLOCK, 32, 0, room, 0},
		{"shift 64", CORBEL_REPLAY_RECORD, 64, 0, room, 0},
		{"the largest shift", CORBEL_REPLAY_REPLAY, ~0u, 0, room, 0},
		{"record: head behind end", CORBEL_REPLAY_RECORD, 0, 5, 4, 0},
		{"record: end behind the log", CORBEL_REPLAY_RECORD, 0, 0, room + 1, 0},
		{"record: both behind the log", CORBEL_REPLAY_RECORD, 0, room + 1, room + 2, 0},
		{"record: far away", CORBEL_REPLAY_RECORD, 0, ~0ull, ~0ull, 0},
		{"record: around the corner", CORBEL_REPLAY_RECORD, 0, 1ull << 60, ~0ull, 0},
		{"record: no value is left", CORBEL_REPLAY_RECORD, 0, 0, room, ~0ull},
		{"clock: no value is left", CORBEL_REPLAY_CLOCK, 0, 0, room, ~0ull},
		{"replay: head behind end", CORBEL_REPLAY_REPLAY, 0, 5, 4, 0},
		{"replay: end behind the log", CORBEL_REPLAY_REPLAY, 0, 0, room + 1, 0},
		{"replay: far away", CORBEL_REPLAY_REPLAY, 0, ~0ull - 1, ~0ull, 0},
	};

	for (const auto &one : bad) {
		s.guest.restart();
		s.guest.log.begin(one.mode, one.end);
		s.area.shift = one.shift;
		s.area.head = one.head;
		s.area.last = one.last;
		const uint64_t answered = s.area.nr_tsc;
		CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_BAD, "{}", one.what);
		CHECK_EQ(s.guest.run(), CORBEL_REPLAY_EXIT_BAD, "{}, again", one.what);
		CHECK_EQ(s.area.head, one.head, "{}: head", one.what);
		CHECK_EQ(s.area.last, one.last, "{}: last", one.what);
		CHECK_EQ(s.area.nr_tsc, answered, "{}: answered", one.what);
		s.area.shift = 0;
		s.guest.log.begin(CORBEL_REPLAY_RECORD);
		s.guest.run_to_port();
	}
}

/* A monitor that steps through a read is told so by KVM, with the read done. */
void step_through()
{
	session s(tell_counter);
	kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};

	s.guest.log.begin(CORBEL_REPLAY_RECORD);
	KVM_CALL(s.guest.cpu().fd(), KVM_SET_GUEST_DEBUG, &debug);
	for (unsigned step = 0; step < 1000 && !s.area.head; step++)
		CHECK_EQ(s.guest.run(), KVM_EXIT_DEBUG, "step {}", step);
	CHECK_EQ(s.area.head, 1u, "entries");
	const kvm_regs at = s.guest.cpu().registers();
	CHECK_EQ(at.rax | at.rdx << 32, s.area.last, "RAX and RDX");
	CHECK_EQ(at.rip & 0xffffffffffff, (s.guest.log.log()[0].tag & 0xffffffffffff) + 2, "RIP");
	debug.control = 0;
	KVM_CALL(s.guest.cpu().fd(), KVM_SET_GUEST_DEBUG, &debug);
	s.guest.run_to_port();
	CHECK_EQ(s.guest.memory().last_tsc, s.area.last, "the value");
}

constexpr test_case cases[] = {
	{"a recording replays as it was", replay_alike},
	{"a flipped bit anywhere is seen", find_flipped_bits},
	{"a full log", go_on_when_full},
	{"an empty log", go_on_when_empty},
	{"a deadline", stop_at_deadline},
	{"an entry between exits", stop_before_next},
	{"a breakpoint", stop_at_breakpoint},
	{"from the clock", answer_from_clock},
	{"off", leave_alone_when_off},
	{"RCX", give_rcx_to_rdtscp_alone},
	{"an area that makes no sense", tell_bad_areas},
	{"single steps", step_through},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
