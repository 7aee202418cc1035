/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.hh - a VM that may run only until some moment, whether corbeld lives or not.
 *
 * A process of its own stops QEMU (SIGSTOP: no vCPU runs any more, whatever it waits for) when
 * the moment has come that is in a file; corbeld puts it off. The process holds a lock of the
 * file and ends with QEMU, or when the file says that there is no limit.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <sys/types.h>

namespace corbel::migrate {

/* After the boot, suspend included; in nanoseconds. */
using BootTime = std::chrono::nanoseconds;
[[nodiscard]] BootTime now_since_boot();

class Lease {
public:
	Lease(std::filesystem::path file, pid_t pid, std::uint64_t started)
		: file_(std::move(file)), pid_(pid), started_(started)
	{}

	/* Somebody watches it; @program: how, by its option --watch-lease. Before it begins, as
	   that takes time; again is no matter. */
	[[nodiscard]] Result<void> watch(const std::string &program) const;
	/* To @end; never back. */
	[[nodiscard]] Result<void> extend(BootTime end) const;
	/* For good. */
	[[nodiscard]] Result<void> lift() const;
	/* 0: there is none; max(): no limit. */
	[[nodiscard]] BootTime end() const;

private:
	std::filesystem::path file_;
	pid_t pid_;
	std::uint64_t started_;
};

/* What that process does; exit status. */
[[nodiscard]] int watch_lease(const std::filesystem::path &file, pid_t pid, std::uint64_t started);

} /* namespace corbel::migrate */
