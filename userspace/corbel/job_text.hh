/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_text.hh - jobs, as the daemon describes them, for people. */
#pragma once

#include "json.hh"
#include "verb.hh"

#include <cstddef>
#include <string>

namespace corbel::cli {

/* Of each job in an answer. */
[[nodiscard]] Json job_schema();

/* A table. */
[[nodiscard]] std::string show_jobs(const Json &jobs);
/* All that is known of one. */
[[nodiscard]] std::string show_job(const Json &job);

/* "copy (2 of 4) [#####     ] 52 % 12.3M bytes, 4.05M/s, 42 s left", of @width at most. */
[[nodiscard]] std::string show_job_progress(const Json &job, std::size_t width);
/* "Job 7 (state.backup) is done." and why, if it is not. */
[[nodiscard]] std::string show_job_end(const Json &job);

/* It has ended, or waits for somebody. */
[[nodiscard]] bool is_at_rest(const Json &job);
/* ok: done; failure: it has come to anything else, or waits for `corbel job resume`. */
[[nodiscard]] ExitCode exit_code_of_job(const Json &job);

} /* namespace corbel::cli */
