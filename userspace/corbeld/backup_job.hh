/* SPDX-License-Identifier: GPL-2.0-or-later */
/* backup_job.hh - `corbel state backup`: a copy of the state that is whole or not there. */
#pragma once

#include "../jobs/job.hh"

#include <string>

namespace corbel::daemon {

inline constexpr const char *backup_kind = "state.backup";

/* Of the state in file @state. Its argument: {"file": where the copy goes}. */
[[nodiscard]] jobs::JobKind backup_job(std::string state);

} /* namespace corbel::daemon */
