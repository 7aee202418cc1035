// SPDX-License-Identifier: GPL-2.0-or-later
/* systemd_scope.cc - a scope of systemd's with one process in it. */
#include "cgroup.hh"

#include <libcorbel/text_file.hh>

#include <systemd/sd-bus.h>

#include <poll.h>

#include <cerrno>
#include <memory>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

struct Unref {
	void operator()(sd_bus *bus) const { sd_bus_flush_close_unref(bus); }
	void operator()(sd_bus_message *message) const { sd_bus_message_unref(message); }
};

constexpr std::uint64_t call_limit_us = 10'000'000;

std::unexpected<Error> refused(const std::string &unit, int number, const char *why)
{
	return failure(number,
		       fmt::format("systemd does not start {}: {}.", unit,
				   why && *why ? std::string(why) : describe_errno(number)));
}

/* The functions return a negative errno; the first one is kept. */
int describe(sd_bus_message *message, const Description &vm, pid_t pid, const std::string &slice,
	     const std::string &unit)
{
	int error = sd_bus_message_append(message, "ss", unit.c_str(), "fail");
	const auto also = [&](int result) { error = error < 0 ? error : result; };

	also(sd_bus_message_open_container(message, 'a', "(sv)"));
	also(sd_bus_message_append(message, "(sv)", "Description", "s",
				   fmt::format("VM {}", vm.name).c_str()));
	also(sd_bus_message_append(message, "(sv)", "Slice", "s",
				   fmt::format("{}.slice", slice).c_str()));
	also(sd_bus_message_append(message, "(sv)", "CollectMode", "s", "inactive-or-failed"));
	also(sd_bus_message_append(message, "(sv)", "PIDs", "au", 1,
				   static_cast<std::uint32_t>(pid)));
	if (vm.cpu_weight)
		also(sd_bus_message_append(message, "(sv)", "CPUWeight", "t", *vm.cpu_weight));
	if (vm.memory_max)
		also(sd_bus_message_append(message, "(sv)", "MemoryMax", "t", *vm.memory_max));
	also(sd_bus_message_close_container(message));
	also(sd_bus_message_append(message, "a(sa(sv))", 0));
	return error;
}

} /* namespace */

Result<void> start_scope(const Description &vm, pid_t pid, const std::string &slice)
{
	constexpr int most_attempts = 250;
	const auto unit = scope_of(slice, vm.name);
	sd_bus *bus_pointer = nullptr;
	sd_bus_message *message_pointer = nullptr;

	if (const int error = sd_bus_open_system(&bus_pointer); error < 0)
		return refused(unit, -error, "its bus cannot be reached");
	const std::unique_ptr<sd_bus, Unref> bus(bus_pointer);
	if (const int error = sd_bus_message_new_method_call(
		    bus.get(), &message_pointer, "org.freedesktop.systemd1",
		    "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
		    "StartTransientUnit");
	    error < 0)
		return refused(unit, -error, nullptr);
	const std::unique_ptr<sd_bus_message, Unref> message(message_pointer);
	if (const int error = describe(message.get(), vm, pid, slice, unit); error < 0)
		return refused(unit, -error, nullptr);

	sd_bus_error why = SD_BUS_ERROR_NULL;
	const int called = sd_bus_call(bus.get(), message.get(), call_limit_us, &why, nullptr);
	const auto answer = called < 0
				    ? refused(unit, -called, why.message)
				    : failure(ETIMEDOUT, fmt::format("systemd has not put process "
								     "{} into {}.",
								     pid, unit));
	sd_bus_error_free(&why);
	if (called < 0)
		return answer;
	/* It answers when the job is queued; it is done when the process is in the scope. */
	for (int attempt = 0; attempt < most_attempts; attempt++) {
		if (text_of_file(fmt::format("/proc/{}/cgroup", pid)).value_or("").find(unit) !=
		    std::string::npos)
			return {};
		::poll(nullptr, 0, 20);
	}
	return answer;
}

} /* namespace corbel::qemu */
