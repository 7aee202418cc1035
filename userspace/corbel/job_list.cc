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
	std::string state;
	std::string kind;
	bool json = false;
};

Json describe()
{
	return schema::object({{"jobs", schema::array(job_schema(), "by number")}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.choice("--state", options->state,
		   {"queued", "running", "undoing", "stalled", "done", "failed", "cancelled"},
		   "STATE", "Only those that are so");
	set.text("--kind", options->kind, "KIND", "Only those of this kind");
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(job_list_verb, arguments, options->json, [](const Json &answer) {
			fmt::print("{}", show_jobs(answer.at("jobs")));
			return ExitCode::ok;
		});
	};
}

} /* namespace */

const Verb job_list_verb{
	.group = "job",
	.name = "list",
	.summary = "The jobs of this host, and how far they are",
	.examples = "corbel job list                   all that are remembered\n"
		    "corbel job list --state stalled   those that wait for you",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
