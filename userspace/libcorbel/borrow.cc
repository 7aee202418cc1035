// SPDX-License-Identifier: GPL-2.0-or-later
/* borrow.cc - a descriptor out of another process's table. */
#include <libcorbel/guest.hh>

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel {

Result<ScopedFd> open_process(pid_t pid)
{
	ScopedFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));

	if (process)
		return process;
	if (errno == ESRCH || errno == EINVAL)
		return failure(ESRCH, fmt::format("There is no process {}: `corbel vm list` shows "
						  "the guests that run.",
						  pid));
	return failure(errno, fmt::format("Process {} cannot be opened (pidfd_open): {}.", pid,
					  describe_errno(errno)));
}

Result<ScopedFd> borrow_descriptor(pid_t pid, int fd)
{
	auto process = CORBEL_EXPECT(open_process(pid));
	ScopedFd borrowed(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));

	if (borrowed)
		return borrowed;
	switch (errno) {
	case EPERM:
		return failure(EPERM, fmt::format("Descriptor {} of process {} may not be taken: "
						  "that needs the right to trace the process "
						  "(CAP_SYS_PTRACE), so run this as root in the "
						  "host's user namespace.",
						  fd, pid));
	case ESRCH:
		return failure(ESRCH, fmt::format("Process {} ended while its virtual machine was "
						  "being opened.",
						  pid));
	case EBADF:
		return failure(EBADF, fmt::format("Process {} has no descriptor {} any more: its "
						  "virtual machine has ended.",
						  pid, fd));
	default:
		return failure(errno, fmt::format("Descriptor {} of process {} cannot be taken "
						  "(pidfd_getfd): {}.",
						  fd, pid, describe_errno(errno)));
	}
}

} /* namespace corbel */
