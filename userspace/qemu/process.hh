/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process.hh - a process that is not our child, told from a later one of the same number. */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace corbel::qemu {

/* When it was started, in ticks after boot; nothing if it has ended, waited for or not. */
[[nodiscard]] std::optional<std::uint64_t> start_of(pid_t pid);

[[nodiscard]] inline bool is_alive(pid_t pid, std::uint64_t started)
{
	return pid > 0 && start_of(pid) == started;
}

/* SIGKILL to that very process. One that has ended is no error. */
[[nodiscard]] Result<void> kill_process(pid_t pid, std::uint64_t started);

/* A process that is nobody's child whom somebody must wait for. @arguments: with its name. */
[[nodiscard]] Result<void> start_apart(const std::string &program,
				       const std::vector<std::string> &arguments);

} /* namespace corbel::qemu */
