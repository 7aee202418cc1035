/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.hh - KVM guests that run on this host, found without any daemon.
 *
 * A process that holds a descriptor `anon_inode:kvm-vm` runs a guest, whatever
 * its program is called. QEMU says the guest's name on its command line; of any
 * other program the name of the process is taken.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace corbel {

struct Guest {
	pid_t pid = 0;
	std::string process; /* as in /proc/PID/comm */
	std::string name;
	unsigned vcpus = 0; /* of all VMs of the process together */
	std::vector<int> vm_fds; /* one for each VM, in the process's table */
};

struct GuestSearch {
	std::vector<Guest> guests; /* by pid */
	unsigned unreadable = 0; /* processes whose descriptors were not shown */
};

/* The name in a QEMU command line, arguments ended by NUL; empty if none. */
[[nodiscard]] std::string qemu_guest_name(std::string_view command_line);

class GuestFinder {
public:
	explicit GuestFinder(std::filesystem::path proc = "/proc") : proc_(std::move(proc)) {}

	[[nodiscard]] Result<GuestSearch> find() const;

	/* ESRCH if there is no such process, EACCES if it does not show itself. */
	[[nodiscard]] Result<Guest> look_at(pid_t pid) const;

private:
	std::filesystem::path proc_;
};

/* A descriptor of our own for @fd of process @pid, by pidfd_getfd(2). */
[[nodiscard]] Result<ScopedFd> borrow_descriptor(pid_t pid, int fd);

/* Readable (poll) once the process has ended. */
[[nodiscard]] Result<ScopedFd> open_process(pid_t pid);

} /* namespace corbel */
