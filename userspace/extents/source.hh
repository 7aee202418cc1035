/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source.hh - what is known of a disk before anybody asks where on which LUN it lies. */
#pragma once

#include "btrfs_chunks.hh"
#include "devices.hh"
#include "file_map.hh"
#include "layout.hh"

#include <libcorbel/scoped_fd.hh>

namespace corbel::extents {

struct Source {
	/* A device that it lies on, and where: from addresses of the file system to the device. */
	struct On {
		dev_t device;
		std::vector<Extent> map;
	};

	std::string kind;
	std::uint64_t bytes = 0;
	std::vector<Extent> wanted; /* disk to file or device */
	bool is_file = false;
	std::vector<Piece> pieces; /* of a file: to the file system */
	std::vector<Extent> spread; /* parts of btrfs that are not followed */
	std::vector<On> on;
	bool has_backing = false;
	Tally tally{};
};

/* A file or block device, to read from. */
struct Opened {
	ScopedFd fd;
	std::uint64_t bytes;
	std::optional<dev_t> device; /* nothing: it is a file */
};
[[nodiscard]] Result<Opened> open_disk(const std::string &path);

[[nodiscard]] Result<Source> read_source(Devices &devices, const std::string &path, bool sync,
					 Format format);

/* The same as before, and the disk lies where it lay, on whatever LUN. */
struct Seen {
	std::size_t digest = 0; /* 0: it could not be looked at */
	bool on_pool = false; /* device-mapper has an event when it moves */

	friend bool operator==(const Seen &, const Seen &) = default;
};
[[nodiscard]] Seen digest(Devices &devices, const Source &source);

[[nodiscard]] Result<Layout> place_source(Devices &devices, const Source &source,
					  const std::string &path, const std::string &lun,
					  dev_t lun_number);

} /* namespace corbel::extents */
