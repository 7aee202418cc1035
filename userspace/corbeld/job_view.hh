/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_view.hh - jobs and warnings as answers have them: see job_schema() of the tool. */
#pragma once

#include "../jobs/engine.hh"

namespace corbel::daemon {

[[nodiscard]] jobs::Json view_of(const jobs::Warning &warning);
[[nodiscard]] jobs::Json view_of(const jobs::Job &job, const jobs::Engine &engine);

} /* namespace corbel::daemon */
