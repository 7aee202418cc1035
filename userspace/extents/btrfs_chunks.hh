/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs_chunks.hh - where btrfs keeps what it says to lie at an address.
 *
 * Places of a file are addresses of btrfs's own, of all of its devices together. Chunks of that
 * space lie in stripes of devices: each is the whole chunk (single, DUP, RAID1 of all kinds), or
 * the chunk is spread over them (RAID0, 5, 6, 10), which is not followed.
 */
#pragma once

#include "extent.hh"

#include <sys/types.h>

#include <map>
#include <span>
#include <string>

namespace corbel::extents {

struct Chunks {
	/* Address to place, for each of its devices by its number in btrfs: ascending. */
	std::map<std::uint64_t, std::vector<Extent>> copies;
	/* Those that are spread; @at means nothing. */
	std::vector<Extent> spread;
};

/* Needs CAP_SYS_ADMIN. @fd: of any file there. */
[[nodiscard]] Result<Chunks> read_chunks(int fd, const std::string &path);

/* One chunk as it is in the chunk tree, at address @logical, added. EBADMSG: it is none. */
[[nodiscard]] Result<void> add_chunk(std::uint64_t logical, std::span<const std::byte> item,
				     Chunks &chunks);

/* The block device of that number in btrfs. */
[[nodiscard]] Result<dev_t> btrfs_device(int fd, const std::string &path, std::uint64_t number);

} /* namespace corbel::extents */
