/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * defragment.hh - `volume.defragment`: blocks of a volume that lie in no order are gathered side
 * by side, while it is used.
 *
 * What can be gathered is a stretch of blocks that follow one another in the volume, and lie on
 * one device in two or more pieces; it stays on that device, whose tier it was given. Each pass
 * puts the worst stretches to the smallest gaps that they fit in, and of what fits nowhere the
 * part with the most pieces to the largest gap. Where others were first the mover ends, and
 * nothing is put elsewhere; a pass that leaves no fewer pieces is the last one.
 *
 * Snapshots that share blocks have them in order then, as they share their places. Whoever
 * cancels leaves everything where it is.
 *
 * Argument: {"pool", "volume": name in it, "id", "target": as mover_target() makes it}. In
 * `result`: "pieces_before", "pieces_after", "least" (how many there would be if all were in
 * order), "passes", and what the mover says it has done.
 */
#pragma once

#include "volumes.hh"

#include "../jobs/job.hh"

#include <map>

namespace corbel::volumes {

inline constexpr const char *defragment_kind = "volume.defragment";

/* Blocks @first to @last of the volume, to @place of @device and on. */
struct Gathering {
	std::uint64_t first, last;
	std::uint32_t device;
	std::uint64_t place;

	bool operator==(const Gathering &) const = default;
};
/* One pass. @runs: ascending; @gaps: of each device. No two meet. */
[[nodiscard]] std::vector<Gathering> plan_gathering(const std::vector<MappedRun> &runs,
						    std::map<std::uint32_t, std::vector<Gap>> gaps);
/* Pieces that are there if all that can be gathered is. */
[[nodiscard]] std::uint64_t least_pieces(const std::vector<MappedRun> &runs);

/* @pools outlives the engine. */
[[nodiscard]] jobs::JobKind defragment_job(Pools &pools);

/* The argument of a job, and in `plan` what it is about. EINVAL, ENOENT. */
struct Defragmentation {
	jobs::Json argument;
	std::string plan;
};
[[nodiscard]] Result<Defragmentation> defragmentation_of(Pools &pools, const VolumeName &name,
							 const std::string &latency);

} /* namespace corbel::volumes */
