/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runner.hh - starts and stops the VMs that are defined, as jobs.
 *
 * Whoever works on them may be killed anywhere, and whoever goes on finds by the lock, the
 * record and the token of the job in it what was done. QEMU goes on without the daemon.
 */
#pragma once

#include "cgroup.hh"
#include "runtime.hh"

#include "../jobs/job.hh"
#include "../state/store.hh"

namespace corbel::qemu {

inline constexpr const char *start_kind = "vm.start";
inline constexpr const char *stop_kind = "vm.stop";

struct RunnerOptions {
	std::filesystem::path root = "/run/corbel/vm";
	std::string program = "qemu-system-x86_64";
	Cgroups cgroups{};
	std::chrono::milliseconds ready_limit{30000};
	std::chrono::milliseconds powerdown_limit{60000}; /* for the guest to end by itself */
	std::chrono::milliseconds quit_limit{5000}; /* for QEMU to do so */
};

/*
 * Argument: {"vm": name}. Before it is ready QEMU is ended again if that fails or is
 * cancelled. One that runs already is left alone.
 */
[[nodiscard]] jobs::JobKind start_job(state::Store &store, RunnerOptions options);

/* Argument: {"vm": name, "force": do not ask the guest}. */
[[nodiscard]] jobs::JobKind stop_job(const RunnerOptions &options);

} /* namespace corbel::qemu */
