// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "quantity.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

ExitCode show(const Json &answer)
{
	fmt::print("corbeld {} on {}, since {}\n", answer.at("version").get<std::string>(),
		   printable(answer.at("name").get<std::string>()),
		   answer.at("since").get<std::string>());
	fmt::print("state     {}\n", printable(answer.at("state").get<std::string>()));
	for (const auto &[state, count] : answer.at("jobs").items())
		if (count.get<std::uint64_t>() > 0)
			fmt::print("jobs      {} {}\n", count.get<std::uint64_t>(), state);
	for (const auto &warning : answer.at("warnings"))
		fmt::print("{:<9} {} ({} times, last at {})\n",
			   warning.at("severity").get<std::string>(),
			   printable(warning.at("text").get<std::string>()),
			   warning.at("count").get<std::uint64_t>(),
			   warning.at("last").get<std::string>());
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"version", s::string()},
			  {"name", s::string("of this host")},
			  {"since", s::string("when the daemon was started")},
			  {"pid", s::count()},
			  {"state", s::string("the file of its state")},
			  {"jobs", s::dictionary(s::count(), "by their state")},
			  {"warnings", s::array(s::warning())}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto json = std::make_shared<bool>(false);

	set.json(*json);
	return [json, arguments = set.arguments()] {
		return ask_daemon(status_verb, arguments, *json, show);
	};
}

} /* namespace */

const Verb status_verb{
	.group = "",
	.name = "status",
	.summary = "The daemon of this host, its jobs and what it warns of",
	.examples = "corbel status          as text\n"
		    "corbel status --json   for scripts",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
