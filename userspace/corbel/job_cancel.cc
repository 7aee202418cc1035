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
		fmt::print("Job {} can be cancelled; nothing was changed.\n", id);
	else
		fmt::print("Job {0} is to be undone: `corbel job watch {0}` follows it.\n", id);
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
		return ask_daemon(job_cancel_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb job_cancel_verb{
	.group = "job",
	.name = "cancel",
	.summary = "Have a job undone that is before its commit point",
	.examples = "corbel job cancel 7             undo what it has done\n"
		    "corbel job cancel 7 --dry-run   can it be cancelled still?",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
