/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.hh - disks that move along with a VM, at its destination.
 *
 * As with memory, all of a disk is allocated before anything moves. It is made under a name of
 * the migration's own and gets its place when who makes it has written down its number in the
 * file system, so that what is removed later, if the VM does not come after all, is that file
 * and nothing that somebody else has put there. A disk that is a volume of a pool becomes one
 * there: its number is kept then, which its pool does not use twice.
 */
#pragma once

#include "wish.hh"

#include "../pool/names.hh"

#include <libcorbel/scoped_fd.hh>

#include <functional>
#include <memory>
#include <thread>

namespace corbel::migrate {

/* Numbers of those disks of @wish that are not here, if they shall come; else none. */
[[nodiscard]] std::vector<std::uint32_t> disks_to_come(const Wish &wish);

/* The volume whose device is at @path, by its name. */
[[nodiscard]] std::optional<pool::VolumeName> volume_at(const std::string &path);

struct MadeDisk {
	std::uint32_t number = 0; /* among those of the VM */
	std::string path;
	std::uint64_t inode = 0; /* or number of a volume; 0: it has not got its place yet */
};

/* Volumes of the pools of this host, as disks that come or have gone. */
class VolumeDisks {
public:
	VolumeDisks() = default;
	VolumeDisks(const VolumeDisks &) = delete;
	virtual ~VolumeDisks() = default;

	/* Why not all of these, of which none is here, can be made; each a sentence. */
	[[nodiscard]] virtual std::vector<std::string>
	obstacles(const std::vector<DiskIdentity> &coming) = 0;
	/* As make_disk() and remove_disk(). */
	[[nodiscard]] virtual Result<void> make(MadeDisk &disk, const std::string &session,
						std::uint64_t size,
						const std::function<Result<void>()> &keep) = 0;
	[[nodiscard]] virtual Result<void> remove(const MadeDisk &disk,
						  const std::string &session) = 0;
	/* It has gone: what it is called then. Nothing: there is none, or another one. */
	[[nodiscard]] virtual Result<std::optional<std::string>>
	put_aside(const DiskIdentity &disk, const std::string &session) = 0;
};

/* What stands in the way of those that are to come, each a sentence. Without @volumes none of a pool's can. */
[[nodiscard]] std::vector<std::string> storage_obstacles(const Wish &wish, VolumeDisks *volumes);

/*
 * Makes the file, all of it allocated, and calls @keep, which writes @disk down, before it gets
 * its place. ENOSPC: so much is not free; EEXIST: something is there.
 */
[[nodiscard]] Result<void> make_disk(MadeDisk &disk, const std::string &session, std::uint64_t size,
				     const std::function<Result<void>()> &keep,
				     VolumeDisks *volumes = nullptr);
/* Whatever there is of it. */
[[nodiscard]] Result<void> remove_disk(const MadeDisk &disk, const std::string &session,
				       VolumeDisks *volumes = nullptr);

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
