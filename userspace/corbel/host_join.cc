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
	std::string token;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	if (answer.at("dry_run").get<bool>())
		fmt::print("The token is of a host at {}; nothing was changed.\n",
			   printable(answer.at("address").get<std::string>()));
	else if (answer.at("changed").get<bool>())
		fmt::print("This host and the one at {} are paired.\n",
			   printable(answer.at("address").get<std::string>()));
	else
		fmt::print("They were paired already.\n");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"host", s::nullable(s::peer())},
				    {"address", s::string("of the token")}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("token", options->token, "TOKEN",
		 "What `corbel host invite` printed on the other host");
	set.last_is_required();
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(host_join_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb host_join_verb{
	.group = "host",
	.name = "join",
	.summary = "Pair this host with the one that gave out a token",
	.examples = "corbel host join corbel1-AAAA             both know each other then\n"
		    "corbel host join corbel1-AAAA --dry-run   whose is it?",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
