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
	bool json = false;
};

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	const auto &self = answer.at("self");
	Table table({{"HOST", Align::left},
		     {"ID", Align::left, 2},
		     {"ADDRESS", Align::left, 1},
		     {"LAST CONTACT", Align::left},
		     {"ERROR", Align::left, 3}});

	if (self.is_null())
		fmt::print("This host has no identity yet: `corbel host init` makes one.\n");
	else
		fmt::print("This host is {} ({}) at {}, its certificate ends on {}.\n",
			   self.at("name").get<std::string>(), self.at("id").get<std::string>(),
			   printable(self.at("address").get<std::string>()),
			   self.at("expires").get<std::string>());
	for (const auto &host : answer.at("hosts"))
		table.add({printable(host.at("name").get<std::string>()),
			   host.at("id").get<std::string>(),
			   printable(host.at("address").get<std::string>()),
			   host.at("last_contact").is_null()
				   ? "none yet"
				   : host.at("last_contact").get<std::string>(),
			   printable(host.at("error").get<std::string>())});
	if (!answer.at("hosts").empty())
		for (const auto &line : table.lines())
			fmt::print("{}\n", line);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"self", s::nullable(s::self())}, {"hosts", s::array(s::peer())}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(host_list_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb host_list_verb{
	.group = "host",
	.name = "list",
	.summary = "This host, and those it is paired with",
	.examples = "corbel host list          a table\n"
		    "corbel host list --json   for scripts",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
