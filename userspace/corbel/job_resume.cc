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
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	const auto id = answer.at("job").at("id").get<std::uint64_t>();

	if (answer.at("dry_run").get<bool>())
		fmt::print("Job {} can be resumed; nothing was changed.\n", id);
	else
		fmt::print("Job {0} goes on: `corbel job watch {0}` follows it.\n", id);
	return ExitCode::ok;
}

Json describe()
{
	return schema::joined(schema::object({{"job", job_schema()}}),
			      schema::object(schema::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.job(options->job);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(job_resume_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb job_resume_verb{
	.group = "job",
	.name = "resume",
	.summary = "Have a stalled job try again",
	.examples = "corbel job resume 7             what it waited for is seen to\n"
		    "corbel job resume 7 --dry-run   does it wait for that?",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
