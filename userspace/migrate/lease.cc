// SPDX-License-Identifier: GPL-2.0-or-later
#include "lease.hh"

#include "../qemu/process.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <fmt/format.h>

namespace corbel::migrate {

namespace {

using namespace std::chrono_literals;

std::unexpected<Error> trouble(const std::filesystem::path &file)
{
	return failure(errno, fmt::format("The lease {} cannot be kept: {}.", file.string(),
					  describe_errno(errno)));
}

BootTime read_end(int fd)
{
	std::int64_t end = 0;

	return ::pread(fd, &end, sizeof(end), 0) == sizeof(end) ? BootTime(end) : BootTime(0);
}

ScopedFd open_file(const std::filesystem::path &file)
{
	return ScopedFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

/* False: somebody has it. */
bool lock(const ScopedFd &fd)
{
	return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

} /* namespace */

BootTime now_since_boot()
{
	timespec now{};

	::clock_gettime(CLOCK_BOOTTIME, &now);
	return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

BootTime Lease::end() const
{
	const ScopedFd fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));

	return fd ? read_end(fd.get()) : BootTime(0);
}

Result<void> Lease::extend(BootTime end) const
{
	const auto fd = open_file(file_);
	const std::int64_t count = end.count();

	if (!fd)
		return trouble(file_);
	if (read_end(fd.get()) >= end)
		return {};
	if (::pwrite(fd.get(), &count, sizeof(count), 0) != sizeof(count))
		return trouble(file_);
	return {};
}

Result<void> Lease::lift() const
{
	return extend(BootTime::max());
}

Result<void> Lease::watch(const std::string &program) const
{
	const auto deadline = std::chrono::steady_clock::now() + 30s;
	const auto fd = open_file(file_);

	if (!fd)
		return trouble(file_);
	if (!lock(fd))
		return {};
	(void)::flock(fd.get(), LOCK_UN);
	CORBEL_EXPECT(
		qemu::start_apart(program, {"corbeld", "--watch-lease", file_.string(),
					    fmt::format("{}", pid_), fmt::format("{}", started_)}));
	while (lock(fd)) {
		(void)::flock(fd.get(), LOCK_UN);
		if (std::chrono::steady_clock::now() > deadline)
			return failure(ETIMEDOUT,
				       fmt::format("Nobody watches the lease {}.", file_.string()));
		::poll(nullptr, 0, 5);
	}
	return {};
}

int watch_lease(const std::filesystem::path &file, pid_t pid, std::uint64_t started)
{
	const auto fd = open_file(file);
	const ScopedFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));

	if (!fd || !process || !qemu::is_alive(pid, started))
		return 1;
	/* Whoever looks whether there is a watcher has it for a moment. */
	for (int i = 0; !lock(fd); i++) {
		if (i == 100)
			return 0;
		::poll(nullptr, 0, 10);
	}
	for (;;) {
		const auto end = read_end(fd.get());
		const auto left = end - now_since_boot();
		pollfd gone{.fd = process.get(), .events = POLLIN, .revents = 0};

		if (end == BootTime::max())
			return 0;
		/* Of one that has not begun the guest does not run yet. */
		if (left <= 0ns && end != 0ns)
			(void)::syscall(SYS_pidfd_send_signal, process.get(), SIGSTOP, nullptr, 0);
		/* It is put off by somebody who does not tell. */
		const auto wait = left <= 0ns ? BootTime(20ms) : std::min<BootTime>(left, 20ms);
		if (::poll(&gone, 1,
			   static_cast<int>(
				   std::chrono::ceil<std::chrono::milliseconds>(wait).count())) > 0)
			return 0;
	}
}

} /* namespace corbel::migrate */
