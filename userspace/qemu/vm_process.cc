// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm_process.hh"

#include "launcher.hh"
#include "process.hh"
#include "unix_socket.hh"

#include <poll.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

using namespace std::chrono_literals;
using jobs::Severity;

constexpr auto settle_limit = 20s;

} /* namespace */

/*
 * A process that waits for its launcher, who is dead as we have his lock, is about to end;
 * and who only looks whether QEMU lives has its lock for a moment.
 */
Result<Found> look(const Runtime &runtime)
{
	const Deadline deadline(settle_limit);
	std::error_code error;

	if (!std::filesystem::exists(runtime.folder(), error))
		return Found{};
	for (;;) {
		if (auto alive = CORBEL_EXPECT(runtime.lock_alive()))
			return Found{.running = {}, .alive = std::move(alive)};
		const auto launch = runtime.launch();
		if (launch && is_alive(launch->pid, launch->started) &&
		    !waits_for_launcher(launch->pid))
			return Found{.running = launch, .alive = {}};
		if (deadline.passed())
			return failure(EBUSY, fmt::format("Something that is not known to be its "
							  "QEMU holds {}.",
							  runtime.file("alive").string()));
		::poll(nullptr, 0, 10);
	}
}

bool wait_for_end(const Launch &launch, std::chrono::milliseconds limit,
		  const std::function<bool()> &stop)
{
	const Deadline deadline(limit);

	while (is_alive(launch.pid, launch.started)) {
		if (deadline.passed() || (stop && stop()))
			return false;
		::poll(nullptr, 0, 10);
	}
	return true;
}

Result<void> end_now(const Launch &launch)
{
	CORBEL_EXPECT(kill_process(launch.pid, launch.started));
	if (!wait_for_end(launch, settle_limit))
		return failure(EBUSY, fmt::format("Process {} does not end though it was killed: "
						  "the kernel waits for something of it.",
						  launch.pid));
	return {};
}

Result<void> clear(const RunnerOptions &options, const Runtime &runtime)
{
	CORBEL_EXPECT(options.cgroups.remove(runtime.name()));
	return runtime.remove();
}

Result<void> remove_traces(const RunnerOptions &options, const Runtime &runtime)
{
	std::error_code error;

	CORBEL_EXPECT(options.cgroups.remove(runtime.name()));
	for (const char *file : {"launch.json", "pid", "daemon.qmp", "qmp", "console",
				 "console.log", "qemu.log", "lease"})
		if (!std::filesystem::remove(runtime.file(file), error) && error)
			return failure(error.value(),
				       fmt::format("{} cannot be removed: {}.",
						   runtime.file(file).string(), error.message()));
	return {};
}

Result<void> start_qemu(const RunnerOptions &options, const Runtime &runtime, ScopedFd alive,
			const StartWish &wish)
{
	const auto path = CORBEL_EXPECT(find_program(options.program));
	Launch launched;

	launched.token = wish.token;
	launched.migration = wish.migration;
	const auto record = [&](pid_t pid) -> Result<void> {
		const auto started = start_of(pid);
		std::vector<std::string> missed;
		auto cgroup = options.cgroups.enter(wish.vm, pid, missed);

		if (!started)
			return failure(ECHILD, "QEMU's process ended before it was told to go.");
		if (!cgroup) {
			wish.warn(Severity::warning, cgroup.error().sentence);
			cgroup = std::string();
		}
		for (auto &limit : missed)
			wish.warn(Severity::warning, std::move(limit));
		launched.pid = pid;
		launched.started = *started;
		launched.cgroup = *cgroup;
		return runtime.write(launched);
	};
	const auto made = [&](std::uint32_t number) {
		launched.memory = number;
		return runtime.write(launched);
	};

	return launch(runtime, std::move(alive),
		      {path, command_of(wish.vm, runtime, options.program, wish.command)}, record,
		      {.bytes = wish.command.memory_object ? wish.vm.memory : 0,
		       .flags = wish.memory_flags,
		       .made = made});
}

} /* namespace corbel::qemu */
