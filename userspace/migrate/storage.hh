/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.hh - disks that move along with a VM, at its destination.
 *
 * As with memory, all of a disk is allocated before anything moves. It is made under a name of
 * the migration's own and gets its place when who makes it has written down its number in the
 * file system, so that what is removed later, if the VM does not come after all, is that file
 * and nothing that somebody else has put there.
 */
#pragma once

#include "wish.hh"

#include <libcorbel/scoped_fd.hh>

#include <functional>
#include <memory>
#include <thread>

namespace corbel::migrate {

/* Numbers of those disks of @wish that are not here, if they shall come; else none. */
[[nodiscard]] std::vector<std::uint32_t> disks_to_come(const Wish &wish);

/* What stands in the way of those, each a sentence. */
[[nodiscard]] std::vector<std::string> storage_obstacles(const Wish &wish);

struct MadeDisk {
	std::uint32_t number = 0; /* among those of the VM */
	std::string path;
	std::uint64_t inode = 0; /* 0: it has not got its place yet */
};

/*
 * Makes the file, all of it allocated, and calls @keep, which writes @disk down, before it gets
 * its place. ENOSPC: so much is not free; EEXIST: something is there.
 */
[[nodiscard]] Result<void> make_disk(MadeDisk &disk, const std::string &session, std::uint64_t size,
				     const std::function<Result<void>()> &keep);
/* Whatever there is of it. */
[[nodiscard]] Result<void> remove_disk(const MadeDisk &disk, const std::string &session);

/*
 * Carries what comes of each of two sockets to the other one, until both have ended. Two
 * threads; ends both connections when it is destroyed.
 */
class Bridge {
public:
	Bridge(ScopedFd one, ScopedFd other);
	~Bridge();
	Bridge(const Bridge &) = delete;

private:
	ScopedFd one_, other_;
	std::jthread there_, back_;
};

/*
 * A TCP connection ends once nothing is heard of the other host for 20 seconds: who waits for
 * a disk waits for nobody else.
 */
[[nodiscard]] Result<void> end_if_silent(int fd);

/* The number behind "disk:", as a connection is asked for. */
[[nodiscard]] std::string use_of_disk(std::uint32_t number);
[[nodiscard]] std::optional<std::uint32_t> disk_of_use(std::string_view use);

} /* namespace corbel::migrate */
