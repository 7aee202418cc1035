/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extent.hh - what lies in one piece, and where it lies when that lies in pieces itself. */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <vector>

namespace corbel::extents {

/* A part of a disk that lies on the LUN in one piece. In bytes; multiples of 512. */
struct Extent {
	std::uint64_t offset; /* in the disk */
	std::uint64_t at; /* on the LUN */
	std::uint64_t bytes;

	[[nodiscard]] std::uint64_t end() const { return offset + bytes; }
	friend bool operator==(const Extent &, const Extent &) = default;
};

/* Whatever has more pieces than this is not followed: no file that anybody uses has. */
inline constexpr std::size_t most_extents = 4'000'000;

/*
 * @these lie on something that itself lies where @map says: where they lie then, in the same
 * order. What @map does not have is left out. @map is ascending by offset and may tell several
 * places of the same part, as mirrors have them; such parts begin and end together.
 * E2BIG: there are too many.
 */
[[nodiscard]] Result<std::vector<Extent>> through(const std::vector<Extent> &these,
						  const std::vector<Extent> &map);

/* Ascending by offset, then by place; what touches in both is one. */
[[nodiscard]] std::vector<Extent> joined(std::vector<Extent> extents);

[[nodiscard]] std::uint64_t bytes_of(const std::vector<Extent> &extents);

[[nodiscard]] std::unexpected<Error> too_many_extents();

} /* namespace corbel::extents */
