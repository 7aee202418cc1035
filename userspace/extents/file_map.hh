/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file_map.hh - where the parts of a file lie, as its file system says (FIEMAP). */
#pragma once

#include "extent.hh"

#include <array>
#include <string>

namespace corbel::extents {

/* Why a part of a disk is told of apart. */
enum class Why : unsigned {
	unallocated, /* written, and no place chosen yet */
	encoded, /* compressed, or in another way not what was written */
	within, /* among metadata, or beside parts of other files */
	shared, /* others have the same place */
	compressed, /* in the image */
	in_snapshot, /* of the image */
	elsewhere, /* on other devices */
};
inline constexpr std::size_t whys = 7;

/* How many bytes of each. */
using Tally = std::array<std::uint64_t, whys>;

inline std::uint64_t &of(Tally &tally, Why why)
{
	return tally[static_cast<unsigned>(why)];
}

/* A sentence for each that is there. */
[[nodiscard]] std::vector<std::string> in_words(const Tally &tally);

/* What FIEMAP says of it: @at in the address space of the file system. */
struct Piece {
	Extent where;
	std::uint32_t flags;

	friend bool operator==(const Piece &, const Piece &) = default;
};

/* Ascending. @sync: what has no place yet gets one first. @path: for errors. */
[[nodiscard]] Result<std::vector<Piece>> read_pieces(int fd, const std::string &path, bool sync);

/*
 * @wanted lie in a file of these pieces: where those are that have a place, and in @tally what
 * is to be told of the others.
 */
[[nodiscard]] Result<std::vector<Extent>>
place_in_file(const std::vector<Extent> &wanted, const std::vector<Piece> &pieces, Tally &tally);

} /* namespace corbel::extents */
