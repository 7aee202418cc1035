// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "job_text.hh"
#include "schema.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::uint64_t job = 0;
	bool json = false;
};

Json describe()
{
	return schema::object({{"job", job_schema()}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.job(options->job);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(job_show_verb, arguments, options->json, [](const Json &answer) {
			fmt::print("{}", show_job(answer.at("job")));
			return ExitCode::ok;
		});
	};
}

} /* namespace */

const Verb job_show_verb{
	.group = "job",
	.name = "show",
	.summary = "All that is known of a job, its warnings included",
	.examples = "corbel job show 7          as text\n"
		    "corbel job show 7 --json   for scripts",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
