/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heat.hh - cells of a device's heat map as what happens where on a disk that lies on it. */
#pragma once

#include "messages.hh"

#include "../extents/layout.hh"

#include <cstdint>
#include <vector>

namespace corbel::workloads {

/* A piece of the disk. */
struct HeatBin {
	std::uint64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
};

struct HeatMap {
	std::uint64_t bin_bytes;
	std::vector<HeatBin> bins; /* in the order of the disk, the last one may be shorter */
	/* A cell holds more than this disk; what is told is its part by size. */
	bool estimated;
};

inline constexpr std::uint64_t most_bins = 4096;

/*
 * Of a disk of @bytes, whose @extents lie on a device with @cells of 2^@shift sectors, ascending.
 */
[[nodiscard]] HeatMap fold(const std::vector<HeatCell> &cells, std::uint64_t shift,
			   const std::vector<extents::Extent> &extents, std::uint64_t bytes);

} /* namespace corbel::workloads */
