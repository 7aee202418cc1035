// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string host;
	bool yes = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	fmt::print("Host {} {}.\n", printable(answer.at("host").at("name").get<std::string>()),
		   answer.at("dry_run").get<bool>() ? "is paired with this one; nothing was changed"
						    : "is no longer paired with this one");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"host", s::peer()}}), s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.host(options->host);
	set.flag("--yes", options->yes, "That is meant");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(host_remove_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb host_remove_verb{
	.group = "host",
	.name = "remove",
	.summary = "End the pairing with another host, whose connections end at once",
	.examples = "corbel host remove b --yes       by its name or its id\n"
		    "corbel host remove b --dry-run   is it paired?",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
