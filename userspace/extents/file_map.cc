// SPDX-License-Identifier: GPL-2.0-or-later
#include "file_map.hh"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

constexpr std::uint32_t pieces_a_call = 1024;

/* Nothing: it has a place of its own. */
std::optional<Why> obstacle(std::uint32_t flags)
{
	if (flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC))
		return Why::unallocated;
	if (flags & (FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED))
		return Why::encoded;
	if (flags &
	    (FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL))
		return Why::within;
	return std::nullopt;
}

/* What there is of @these within @others, both ascending. */
Result<std::uint64_t> common(const std::vector<Extent> &these, const std::vector<Extent> &others)
{
	return bytes_of(CORBEL_EXPECT(through(these, others)));
}

} /* namespace */

std::vector<std::string> in_words(const Tally &tally)
{
	static constexpr std::array<const char *, whys> words = {
		"{} bytes have no place yet: the file system chooses it when it writes them.",
		"{} bytes are compressed or encoded by the file system, so that limits do not see "
		"them.",
		"{} bytes lie among the file system's metadata, and count as rest.",
		"{} bytes are shared with other files (reflinks, snapshots), whose I/O there counts "
		"too.",
		"{} bytes are compressed in the image, and count as rest.",
		"{} bytes are shared with snapshots in the image, and lie elsewhere once they are "
		"written to.",
		"{} bytes lie on other devices than the LUN, or have no place yet.",
	};
	std::vector<std::string> sentences;

	for (std::size_t i = 0; i < whys; i++)
		if (tally[i])
			sentences.push_back(fmt::format(fmt::runtime(words[i]), tally[i]));
	return sentences;
}

Result<std::vector<Piece>> read_pieces(int fd, const std::string &path, bool sync)
{
	std::vector<std::uint64_t> room((sizeof(fiemap) + pieces_a_call * sizeof(fiemap_extent)) /
					sizeof(std::uint64_t));
	auto *map = reinterpret_cast<fiemap *>(room.data());
	std::vector<Piece> pieces;
	std::uint64_t next = 0;

	for (;;) {
		std::memset(map, 0, sizeof(*map));
		map->fm_start = next;
		map->fm_length = FIEMAP_MAX_OFFSET - next;
		map->fm_flags = sync && next == 0 ? FIEMAP_FLAG_SYNC : 0;
		map->fm_extent_count = pieces_a_call;
		if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0)
			return failure(errno,
				       fmt::format("{}: its file system does not say where it lies "
						   "(FIEMAP): {}.",
						   path, describe_errno(errno)));
		for (std::uint32_t i = 0; i < map->fm_mapped_extents; i++) {
			const auto &each = map->fm_extents[i];

			/* What changes meanwhile may be told twice. */
			if (each.fe_logical < next || !each.fe_length)
				continue;
			if (pieces.size() == most_extents)
				return too_many_extents();
			pieces.push_back({{each.fe_logical, each.fe_physical, each.fe_length},
					  each.fe_flags & ~FIEMAP_EXTENT_LAST});
			next = each.fe_logical + each.fe_length;
			if (each.fe_flags & FIEMAP_EXTENT_LAST)
				return pieces;
		}
		if (map->fm_mapped_extents < pieces_a_call)
			return pieces;
	}
}

Result<std::vector<Extent>> place_in_file(const std::vector<Extent> &wanted,
					  const std::vector<Piece> &pieces, Tally &tally)
{
	std::array<std::vector<Extent>, whys> told;
	std::vector<Extent> map;

	for (const auto &each : pieces) {
		if (const auto why = obstacle(each.flags)) {
			told[static_cast<unsigned>(*why)].push_back(each.where);
			continue;
		}
		map.push_back(each.where);
		if (each.flags & FIEMAP_EXTENT_SHARED)
			told[static_cast<unsigned>(Why::shared)].push_back(each.where);
	}
	for (std::size_t i = 0; i < whys; i++)
		tally[i] += CORBEL_EXPECT(common(wanted, told[i]));
	return through(wanted, map);
}

} /* namespace corbel::extents */
