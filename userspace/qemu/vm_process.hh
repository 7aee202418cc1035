/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm_process.hh - the process of a VM that Corbel runs: whether it is there, making it, and
 * ending it. All of it with the VM's lock held.
 */
#pragma once

#include "command.hh"
#include "runner.hh"

#include <functional>
#include <optional>

namespace corbel::qemu {

struct Found {
	std::optional<Launch> running;
	std::optional<ScopedFd> alive; /* if it does not run and has a folder */
};

/* EBUSY: something that is not its QEMU has its lock. */
[[nodiscard]] Result<Found> look(const Runtime &runtime);

/* False: it goes on for longer than @limit, or @stop became true. */
[[nodiscard]] bool wait_for_end(const Launch &launch, std::chrono::milliseconds limit,
				const std::function<bool()> &stop = {});
/* Kills it. EBUSY: it does not end all the same. */
[[nodiscard]] Result<void> end_now(const Launch &launch);
/* Of a VM that does not run: cgroup and folder. */
[[nodiscard]] Result<void> clear(const RunnerOptions &options, const Runtime &runtime);
/* What is in the folder of the time before. */
[[nodiscard]] Result<void> remove_traces(const RunnerOptions &options, const Runtime &runtime);

struct StartWish {
	Description vm;
	std::string token; /* kept in the launch record */
	std::string migration{}; /* that too */
	CommandOptions command{};
	std::uint32_t memory_flags = 0; /* CORBEL_MEMORY_*, of a memory object */
	std::function<void(jobs::Severity, std::string)> warn{};
};

/* @alive as of look(). Errors as of launch(). */
[[nodiscard]] Result<void> start_qemu(const RunnerOptions &options, const Runtime &runtime,
				      ScopedFd alive, const StartWish &wish);

} /* namespace corbel::qemu */
