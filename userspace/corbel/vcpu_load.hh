/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcpu_load.hh - how much of an interval a vCPU's thread ran, and how much it was
 * runnable without a CPU, by what the host's scheduler counts of it.
 */
#pragma once

#include <libcorbel/error.hh>

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>

namespace corbel::cli {

/* By KVM's vcpu_id: the thread. */
using VcpuThreads = std::map<std::uint32_t, pid_t>;

/*
 * Of process @pid's VM behind descriptor @vm_fd (the first, if negative), from KVM's folder
 * in debugfs; or by the names of QEMU's threads, if it gives them any. ENOENT: neither.
 */
[[nodiscard]] Result<VcpuThreads>
vcpu_threads(pid_t pid, int vm_fd, const std::filesystem::path &proc = "/proc",
	     const std::filesystem::path &debugfs = "/sys/kernel/debug/kvm");

/* What a thread has had so far. */
struct ThreadTimes {
	std::chrono::nanoseconds ran{};
	std::chrono::nanoseconds waited{}; /* counted when a wait is over */
};

/* "ran waited slices", nanoseconds. */
[[nodiscard]] std::optional<ThreadTimes> parse_schedstat(std::string_view text);
[[nodiscard]] Result<ThreadTimes> times_of(pid_t pid, pid_t thread);

struct Shares {
	double running = 0;
	double waiting = 0;
};

/*
 * From 0 to 1. A wait that is not over yet is not counted, so of a thread that neither ran
 * nor waited it has to be known whether it is @preempted.
 */
[[nodiscard]] Shares shares_of(const ThreadTimes &before, const ThreadTimes &after,
			       std::chrono::nanoseconds interval, bool preempted);

} /* namespace corbel::cli */
