/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout.hh - where a virtual disk lies on a LUN.
 *
 *   qcow2      disk -> file            tables of the image
 *   file       file -> file system     FIEMAP
 *   btrfs      its own addresses -> devices that it has    chunks
 *   device     partition or linear volume -> what it lies on, down to the LUN
 *
 * Each step is a list of extents, and the layout is what is left of the first one when it has
 * gone through all of them. What lies elsewhere, or has no place, is left out and told.
 */
#pragma once

#include "extent.hh"

#include <string>
#include <utility>

namespace corbel::extents {

struct Layout {
	/* "raw file", "qcow2 file", "partition", "linear volume", "whole device" */
	std::string kind;
	std::uint64_t bytes; /* of the disk (virtual size) */
	/*
	 * Ascending by offset; what is not there has no place on the LUN yet. Mirrors have several
	 * places of one offset, and files that share blocks with themselves one place of several.
	 */
	std::vector<Extent> extents;
	/* What cannot be enforced, in words: shared extents, delayed allocation, inline data */
	std::vector<std::string> remarks;
};

/*
 * What the bytes of a disk mean. A guest may write whatever it likes to its raw disk, the head of
 * a qcow2 image too: who knows the format says it.
 */
enum class Format { probe, raw, qcow2 };

/*
 * @path: a file or block device that lies on block device @lun ("/dev/mapper/x", "/dev/sdb").
 * @sync: delayed allocation is written first.
 */
[[nodiscard]] Result<Layout> find_layout(const std::string &path, const std::string &lun, bool sync,
					 Format format = Format::probe);

/*
 * A guest-visible part of a disk: partition @number of its GPT or MBR, as [first byte, bytes).
 * @kind as of its layout: how @path is to be read.
 */
[[nodiscard]] Result<std::pair<std::uint64_t, std::uint64_t>>
find_partition(const std::string &path, const std::string &kind, unsigned number);

/* What of @layout lies in [first, first + bytes) of the disk; offsets are still the disk's. */
[[nodiscard]] Layout cut(const Layout &layout, std::uint64_t first, std::uint64_t bytes);

/* All places of @layout on the LUN, each once, ascending: [first byte, bytes). */
[[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> places(const Layout &layout);

} /* namespace corbel::extents */
