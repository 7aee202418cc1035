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
	std::uint32_t minutes = 60;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	if (answer.at("dry_run").get<bool>())
		fmt::print("A token can be made; nothing was changed.\n");
	else
		fmt::print("{}\n", answer.at("token").get<std::string>());
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"token", s::nullable(s::string("for one host, once"))},
				    {"minutes", s::count("for which it can be used")}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.number("--minutes", options->minutes, {1U, 10080U, "min"}, "MIN",
		   "For how long the token can be used (60)");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(host_invite_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb host_invite_verb{
	.group = "host",
	.name = "invite",
	.summary = "Print a token with which one other host can pair with this one",
	.examples = "corbel host invite                a word to paste on the other host\n"
		    "corbel host invite --minutes 5    that is of use for five minutes",
	.effect = Effect::change,
	.repeat = Repeat::own,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
