/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * launcher.hh - a QEMU that runs with its lock, its record and its cgroup, or not at all.
 *
 *   launcher                         process of QEMU
 *     has the lock of `alive`
 *     forks twice                      has the lock, says its number, waits
 *     puts it into its cgroup
 *     writes pid and launch.json
 *     says go                          makes its memory object, says its number, waits
 *     writes launch.json again
 *     says go                          becomes QEMU
 *
 * The memory object is made by that process, so that it is charged to the VM's cgroup, and it
 * keeps a descriptor of it, so that it is there for as long as QEMU is. If the launcher dies the process sees the end of the pipe and ends, too.
 */
#pragma once

#include "runtime.hh"

namespace corbel::qemu {

struct Program {
	std::string path; /* absolute */
	std::vector<std::string> arguments; /* the first one is its name */
};

/* The program called @name, in the folders of PATH if it has no slash. */
[[nodiscard]] Result<std::string> find_program(const std::string &name);

/* In arguments: what becomes the node of the memory object; the end of its argument. */
inline constexpr const char *node_to_come = "/dev/corbel-ram##########";

struct MemoryWish {
	std::uint64_t bytes = 0; /* 0: QEMU has ordinary memory */
	std::uint32_t flags = 0; /* CORBEL_MEMORY_* */
	/* Gets the number of the object, before QEMU has it. */
	std::function<Result<void>(std::uint32_t)> made{};
};

/*
 * Starts it with @alive, which lock_alive() gave. @prepare gets the process while it waits,
 * and keeps it in launch.json; an error of it is that of the launch. ENOMEM: there is not as
 * much memory as is wished; EOPNOTSUPP, ENOENT: the modules are not loaded.
 */
[[nodiscard]] Result<void> launch(const Runtime &runtime, ScopedFd alive, const Program &program,
				  const std::function<Result<void>(pid_t)> &prepare,
				  const MemoryWish &memory = {});

/* It was not told to go yet; it ends if its launcher has ended. */
[[nodiscard]] bool waits_for_launcher(pid_t pid);

} /* namespace corbel::qemu */
