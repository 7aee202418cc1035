/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runtime.hh - the folder of a VM that Corbel runs, and what tells that it runs.
 *
 *   ROOT/NAME/daemon.qmp    QMP, for the daemon alone
 *   ROOT/NAME/qmp           QMP, for others
 *   ROOT/NAME/console       the serial console; console.log: all that came of it
 *   ROOT/NAME/qemu.log      what QEMU itself said
 *   ROOT/NAME/pid           its process
 *   ROOT/NAME/launch.json   its process, when that was started, by which launch, its cgroup,
 *                           its memory object
 *   ROOT/NAME/alive         locked for as long as QEMU lives
 *
 * QEMU holds the lock by a descriptor that it was started with and does not know of. It was
 * locked before QEMU's process was made, so that however whoever starts it dies, there is
 * no moment in which a QEMU runs and the lock is free.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace corbel::qemu {

struct Launch {
	pid_t pid = 0;
	std::uint64_t started = 0;
	std::string token; /* of the job that did it */
	std::string cgroup; /* empty: none of its own */
	std::optional<std::uint32_t> memory{}; /* number of its memory object; none: ordinary */
	std::string migration{}; /* session by which it comes, or came, from another host */
};

class Runtime {
public:
	Runtime(std::filesystem::path root, std::string name)
		: root_(std::move(root)), name_(std::move(name))
	{}

	[[nodiscard]] const std::string &name() const { return name_; }
	[[nodiscard]] std::filesystem::path folder() const { return root_ / name_; }
	[[nodiscard]] std::filesystem::path file(const char *name) const { return folder() / name; }
	[[nodiscard]] std::filesystem::path monitor() const { return file("daemon.qmp"); }

	/* With all folders on the way, for the owner alone. */
	[[nodiscard]] Result<void> make() const;
	/* With all that is in it. Only with the VM's locks held. */
	[[nodiscard]] Result<void> remove() const;

	/*
	 * That nobody else starts or stops this VM; ends with the process that has it. EBUSY:
	 * somebody does, and @stop became true.
	 */
	[[nodiscard]] Result<ScopedFd> lock(const std::function<bool()> &stop) const;
	/* Nothing: QEMU lives. */
	[[nodiscard]] Result<std::optional<ScopedFd>> lock_alive() const;

	/* False also where there is no folder. */
	[[nodiscard]] Result<bool> is_running() const;
	/* As it was written; the process may have ended. */
	[[nodiscard]] std::optional<Launch> launch() const;
	[[nodiscard]] Result<void> write(const Launch &launch) const;

	/* The last lines of what QEMU said. */
	[[nodiscard]] std::string last_words() const;

private:
	std::filesystem::path root_;
	std::string name_;
};

/* All below @root that run. */
[[nodiscard]] std::vector<std::pair<std::string, Launch>>
running_below(const std::filesystem::path &root);

} /* namespace corbel::qemu */
