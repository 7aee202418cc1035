/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evacuation.hh - `pool.evacuate`, `pool.shrink`, `pool.remove`: blocks leave a device, or its
 * end, while the pool is used.
 *
 *   limit   nothing more is placed there
 *   move    the pool's mover takes what is there elsewhere, one entry a block
 *   finish  the device becomes smaller, or the pool no longer has it; to evacuate, nothing
 *
 * That the job goes on to `finish` is the commit point. Until then who cancels has the limit
 * as it was; what has moved meanwhile stays where it is, which nobody notices. The mover is
 * the kernel's: it goes on without the daemon, and the next one looks how far it is.
 *
 * Argument: {"pool", "device": number, "uuid": of the device, "keep": blocks of it that stay,
 * "target": as mover_target() makes it}. In `result`: what the mover says it has done.
 */
#pragma once

#include "pools.hh"

#include "../jobs/job.hh"

namespace corbel::volumes {

inline constexpr const char *evacuate_kind = "pool.evacuate";
inline constexpr const char *shrink_kind = "pool.shrink";
inline constexpr const char *remove_kind = "pool.remove";

/* @pools outlives the engine. */
[[nodiscard]] std::vector<jobs::JobKind> evacuation_jobs(Pools &pools);

/*
 * The argument of a job about @device, of which @bytes are to stay; @latency: as mover_target()
 * takes it. EINVAL, ENOENT.
 */
[[nodiscard]] Result<jobs::Json> evacuation_of(Pools &pools, const std::string &pool,
					       const std::string &device, std::uint64_t bytes,
					       const std::string &latency = {});

} /* namespace corbel::volumes */
