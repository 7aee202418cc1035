/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume_map.hh - where a volume of a corbel pool lies on the pool's data devices.
 *
 * The pool tells it in pieces, while blocks move: what is read is of one instant if the layout
 * was the same before and after. If it never is, what was read last is taken; whoever follows
 * hears of the next change.
 */
#pragma once

#include "extent.hh"

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace corbel::extents {

/* What of it lies on one device: @at there. Ascending. */
struct PartOnDevice {
	dev_t device;
	std::vector<Extent> map;
};

/* Who knows of a pool. */
struct PoolAsker {
	std::function<Result<std::string>(const std::string &message)> ask;
	std::function<Result<std::string>()> status;
	/* Where data begins on one of its devices, in bytes. */
	std::function<Result<std::uint64_t>(dev_t device)> data_start;
};

[[nodiscard]] Result<std::vector<PartOnDevice>> read_volume_map(const PoolAsker &pool,
								std::uint64_t volume);
/* Another number, maybe another map. */
[[nodiscard]] Result<std::uint64_t> read_volume_layout(const PoolAsker &pool, std::uint64_t volume);

/* "8:16" */
[[nodiscard]] std::optional<dev_t> parse_device(const std::string &text);

} /* namespace corbel::extents */
