/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_follow.hh - verbs that begin a job, and how one is followed. */
#pragma once

#include "json.hh"
#include "verb.hh"

#include <cstdint>
#include <functional>
#include <memory>

namespace corbel::cli {

/* The job once it has ended or stalled; until then each state of it is given to @see. */
[[nodiscard]] Result<Json> await_job(std::uint64_t id,
				     const std::function<void(const Json &)> &see);

/* One line on a terminal that is written over by the next. */
void draw_job(const Json &job);
/* Instead of that line, or anywhere else. */
void draw_job_end(const Json &job);

/* What verbs that begin a job have besides their own arguments. */
struct JobOptions {
	std::string key;
	bool dry_run = false;
	bool no_wait = false;
	bool json = false;
};
void declare_job(OptionSet &set, JobOptions &options);
/* Of their answers. */
[[nodiscard]] Json begun_schema();
/* Begins it and follows it to its end, unless that is not asked for. */
[[nodiscard]] ExitCode begin_job(const Verb &verb, const std::vector<Argument> &arguments,
				 const JobOptions &options);

} /* namespace corbel::cli */
