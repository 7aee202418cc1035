/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tiering.hh - `pool.tier`: blocks that are used often go to upper tiers, and others away from
 * there, once in a period.
 *
 * Tiers are the labels of devices: in order of their numbers, if all are numbers; else that is
 * the upper one whose first device has the lower number. Of each two neighbours
 *
 *   - what is above the fill mark of an upper device goes down, the coldest first;
 *   - what is hot enough goes up as long as there is room below the mark, the hottest first;
 *   - then it changes places with what is less than half as hot, less `promote`: what was moved
 *     has to become that much hotter before it is moved back, so nothing goes to and fro.
 *
 * How hot a block is the kernel knows (heat.hh of the module), from when this job began; counts
 * are halved after each pass. A pass that has nothing to move makes the next one come later, up
 * to eight times the period. The job goes on until it is cancelled, or has made its one pass.
 *
 * Argument: {"pool", "promote", "demote": percent, "most": blocks a pass and way, "every": s,
 * "once", "target": as mover_target() makes it}. In `result`: what all passes have moved, and in
 * `last` what the last one did.
 */
#pragma once

#include "pools.hh"

#include "../jobs/job.hh"

#include <array>
#include <vector>

namespace corbel::volumes {

inline constexpr const char *tier_kind = "pool.tier";

struct TierPolicy {
	std::uint32_t promote = 4; /* heat */
	std::uint32_t demote = 90; /* percent of a device */
	std::uint64_t most = 1024; /* blocks each way */
};

struct TierDevice {
	std::uint32_t number;
	std::uint32_t rank; /* 0: the upper tier */
	std::uint64_t used, limit; /* blocks */
	std::array<std::uint64_t, 256> heat{}; /* how many blocks are how hot */
};

/* So many blocks of @from, that are so hot, to @to. */
struct TierMove {
	std::uint32_t from, to;
	std::uint32_t coldest, hottest;
	std::uint64_t count;

	bool operator==(const TierMove &) const = default;
};

/* One pass: what goes down, then what goes up. */
struct TierPlan {
	std::vector<TierMove> down, up;
};
[[nodiscard]] TierPlan plan_tiers(std::vector<TierDevice> devices, const TierPolicy &policy);
/* Of each device of @status, which rank its tier has. */
[[nodiscard]] std::vector<std::uint32_t> tier_ranks(const PoolStatus &status);

/* @pools outlives the engine. */
[[nodiscard]] jobs::JobKind tier_job(Pools &pools);

} /* namespace corbel::volumes */
