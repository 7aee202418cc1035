/* SPDX-License-Identifier: GPL-2.0-or-later */
/* probe_job.hh - `corbel host probe`: what the way to another host is good for. */
#pragma once

#include "hosts.hh"

#include "../jobs/job.hh"

namespace corbel::daemon {

inline constexpr const char *probe_kind = "host.probe";
inline constexpr const char *rotate_kind = "host.rotate";

/*
 * Its argument: {"host": id, "name": its name, "bytes": how many}. Its result: {"bytes",
 * "seconds", "bytes_per_s", "round_trip_us"}. @hosts outlives it.
 */
[[nodiscard]] jobs::JobKind probe_job(Hosts &hosts);

/* A new certificate for this host, and all peers told. Its argument: {}. */
[[nodiscard]] jobs::JobKind rotate_job(Hosts &hosts);

} /* namespace corbel::daemon */
