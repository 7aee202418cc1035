// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "job_text.hh"
#include "verb.hh"

#include <unistd.h>

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::uint64_t job = 0;
	bool json = false;
};

ExitCode watch(const Options &options)
{
	const bool lines = options.json || ::isatty(STDOUT_FILENO) != 1;
	const auto ended = await_job(options.job, [&](const Json &job) {
		if (lines)
			fmt::print("{}\n", dump(job));
		else
			draw_job(job);
	});

	if (!ended)
		return report(ended.error());
	if (!lines)
		draw_job_end(*ended);
	return exit_code_of_job(*ended);
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.job(options->job);
	set.json(options->json);
	return [options] { return watch(*options); };
}

} /* namespace */

const Verb job_watch_verb{
	.group = "job",
	.name = "watch",
	.summary = "Follow a job until it has ended or stalled",
	.examples = "corbel job watch 7          a bar on a terminal, else as --json\n"
		    "corbel job watch 7 --json   the job, one line each time it has changed",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::lines,
	.schema = job_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
