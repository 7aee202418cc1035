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
	std::string name;
	std::string address;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	const auto &host = answer.at("host");

	if (answer.at("dry_run").get<bool>())
		fmt::print("This host {}; nothing was changed.\n",
			   answer.at("changed").get<bool>() ? "can be given an identity"
							    : "has an identity already");
	else
		fmt::print("This host is {} ({}), to be reached at {}; {}.\n",
			   host.at("name").get<std::string>(), host.at("id").get<std::string>(),
			   printable(host.at("address").get<std::string>()),
			   answer.at("changed").get<bool>() ? "that is new" : "as it was before");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"host", s::nullable(s::self())}}), s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("--name", options->name, "NAME", "Its name among hosts (the host name)");
	set.text("--address", options->address, "HOST:PORT",
		 "Where others reach it (the host name, and the port the daemon listens on)");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(host_init_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb host_init_verb{
	.group = "host",
	.name = "init",
	.summary = "Give this host an identity, with which others can be paired",
	.examples =
		"corbel host init                                named as the host is\n"
		"corbel host init --name a --address 10.0.0.1:7464   if that is not how others know it",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
