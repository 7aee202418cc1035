// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include "../pool/names.hh"

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
	Table table({{"NAME", Align::left},
		     {"STATE", Align::left},
		     {"SIZE"},
		     {"USED"},
		     {"VOLUMES"},
		     {"DEVICES"}});
	const auto size = [](const Json &value) {
		return value.is_null() ? "-" : pool::size_text(value);
	};

	for (const auto &pool : answer.at("pools"))
		table.add({pool.at("name"),
			   pool.at("started").get<bool>() ? pool.at("mode").get<std::string>()
							  : "stopped",
			   size(pool.at("bytes")), size(pool.at("used_bytes")),
			   pool.at("volumes").is_null() ? "-" : pool.at("volumes").dump(),
			   pool.at("devices").dump()});
	if (answer.at("pools").empty())
		fmt::print("There is no pool: `corbel pool create` makes one.\n");
	else
		for (const auto &line : table.lines())
			fmt::print("{}\n", line);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"pools",
		  s::array(s::object({{"name", s::string()},
				      {"uuid", s::string()},
				      {"started", s::boolean()},
				      {"mode", s::nullable(s::string("rw, ro or failed"))},
				      {"bytes", s::nullable(s::count("of all data devices"))},
				      {"used_bytes", s::nullable(s::count())},
				      {"volumes", s::nullable(s::count("snapshots too"))},
				      {"devices", s::count("for data")}}))}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_list_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_list_verb{
	.group = "pool",
	.name = "list",
	.summary = "Pools of this host",
	.examples = "corbel pool list   all that it remembers\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
