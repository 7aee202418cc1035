/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heat_picture.hh - a heat map to look at.
 *
 * A disk is told as bins of one size. They are drawn row by row, and on a logarithmic scale of
 * their own: the busiest one is as strong as can be, whatever it has done.
 */
#pragma once

#include "json.hh"

#include <libcorbel/error.hh>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace corbel::cli {

struct HeatBin {
	std::uint64_t reads = 0, writes = 0;
};

struct HeatPicture {
	std::string title;
	std::uint64_t bytes = 0, bin_bytes = 1; /* of the disk, of a bin */
	std::vector<HeatBin> bins;
};

/* What `corbel qos heatmap` answers. */
[[nodiscard]] HeatPicture heat_picture_of(const Json &answer);

/* At most @columns wide and some 16 lines high; of Unicode's blocks, or else of ASCII. */
[[nodiscard]] std::vector<std::string> heat_text(const HeatPicture &picture, std::size_t columns,
						 bool blocks);
/* Reads are blue, writes red; each bin says what it was when it is pointed at. */
[[nodiscard]] std::string heat_svg(const HeatPicture &picture);
[[nodiscard]] Result<std::string> heat_png(const HeatPicture &picture);

} /* namespace corbel::cli */
