// SPDX-License-Identifier: GPL-2.0-or-later
#include "recorder.hh"
#include "tap.hh"

#include <cstring>
#include <ctime>

namespace corbel::selftest {

int try_enrol(int device, int vcpu_fd, unsigned entries, __u64 *bytes)
{
	corbel_replay_enrol enrol = {.vcpu_fd = vcpu_fd, .entries = entries};
	const int result = request(device, CORBEL_REPLAY_ENROL, enrol);

	if (bytes)
		*bytes = enrol.area_bytes;
	return result;
}

uint64_t monotonic_ns()
{
	timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

recorder::recorder(int device, int vcpu_fd, unsigned entries)
{
	__u64 bytes = 0;
	const int result = try_enrol(device, vcpu_fd, entries, &bytes);

	CHECK(result >= 0, "CORBEL_REPLAY_ENROL answers {}", error_name(result));
	descriptor.reset(result);
	map.emplace(descriptor.get(), bytes);
	CHECK_EQ(area().entries, entries, "room in the log");
	CHECK(area().log_offset + entries * sizeof(corbel_replay_entry) <= bytes,
	      "a log at {} of {} bytes", __u64{area().log_offset}, bytes);
}

void recorder::begin(uint32_t mode, uint64_t end) const
{
	area().head = 0;
	area().end = end;
	area().last = 0;
	area().base = monotonic_ns();
	area().mode = mode;
}

std::vector<corbel_replay_entry> recorder::entries() const
{
	std::vector<corbel_replay_entry> all(area().head);

	for (size_t i = 0; i < all.size(); i++)
		all[i] = {log()[i].value, log()[i].tag};
	return all;
}

recorded_vm::recorded_vm(int device, void (*entry)(guest_cpu *), unsigned entries)
	: log(device, vm.at(0).fd(), entries), entry(entry)
{
	restart();
}

void recorded_vm::restart()
{
	std::memset(static_cast<void *>(&memory()), 0, sizeof(guest_cpu));
	cpu().set_entry(entry, vm.stack_top(0));
}

void recorded_vm::run_to_port()
{
	const uint32_t reason = run();

	CHECK(reason == KVM_EXIT_IO, "KVM_RUN ends for {}", exit_name(reason));
	CHECK(cpu().exit().io.port != port_exception, "exception {} in the guest",
	      memory().exception & 0xff);
}

std::string exit_name(uint32_t reason)
{
	constexpr const char *ours[] = {"DEADLINE",   "FULL", "EMPTY", "DIVERGED",
					"BREAKPOINT", "NEXT", "BAD"};
	const uint32_t number = reason - CORBEL_REPLAY_EXIT_DEADLINE;

	return number < std::size(ours) ? ours[number] : fmt::format("exit {:#x}", reason);
}

} // namespace corbel::selftest
