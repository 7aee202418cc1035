/* SPDX-License-Identifier: GPL-2.0-or-later */
/* moving.hh - what jobs have in common that let a pool's mover work: it is the kernel's. */
#pragma once

#include "pools.hh"

#include "../jobs/job.hh"

#include <chrono>
#include <functional>

namespace corbel::volumes {

inline constexpr std::chrono::milliseconds between_looks{200};

[[nodiscard]] std::unexpected<Error> interrupted();
[[nodiscard]] Result<MoverStatus> mover_of(Pools &pools, const PoolRecord &pool);
/* Until the mover has ended what it was about when it was looked at first. EINTR. */
[[nodiscard]] Result<MoverStatus>
follow_mover(Pools &pools, const PoolRecord &pool, jobs::Work &work,
	     const std::function<bool(const MoverStatus &)> &is_about);
/* To `result`: what all movers of this job have done. */
void add_receipt(jobs::Work &work, const MoverStatus &mover);

} /* namespace corbel::volumes */
