// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "verb.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string file;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "file",
		 .type = "FILE",
		 .help = "Absolute path; there must be no such file yet",
		 .place = &options->file,
		 .check = [](const std::string &path) -> Result<void> {
			 if (path.starts_with('/') && !path.ends_with('/'))
				 return {};
			 return failure(EINVAL, fmt::format("'{}' is not the absolute path of a "
							    "file; the daemon has a folder of its "
							    "own.",
							    path));
		 },
		 .required = true});
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(state_backup_verb, arguments, *options);
	};
}

} /* namespace */

const Verb state_backup_verb{
	.group = "state",
	.name = "backup",
	.summary = "Copy the daemon's state as it is at one moment, while it goes on",
	.examples = "corbel state backup /srv/backup/corbel.state\n"
		    "corbel state backup /srv/backup/monday --key monday   if not done yet",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
