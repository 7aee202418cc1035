// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "qos_text.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include "../pool/names.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	Table table({{"LUN", Align::left},
		     {"SIZE"},
		     {"OBJECTS"},
		     {"RANGES"},
		     {"DEPTH", Align::right, 1},
		     {"OPEN", Align::right, 1},
		     {"PATH", Align::left},
		     {"DEVICE", Align::left, 1}});
	const auto &luns = answer.at("luns");

	if (luns.empty()) {
		fmt::print("No device is under QoS.\n");
		return ExitCode::ok;
	}
	for (const auto &lun : luns) {
		const auto number = [&](const char *key) {
			return lun.at(key).is_null() ? std::string("-") : dump(lun.at(key));
		};
		table.add({lun.at("name"), pool::size_text(lun.at("bytes")), number("objects"),
			   number("ranges"), number("depth"), number("open"),
			   lun.at("started").get<bool>() ? lun.at("path").get<std::string>()
							 : "not there",
			   printable(lun.at("device").get<std::string>())});
	}
	for (const auto &line : table.lines())
		fmt::print("{}\n", line);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"luns", s::array(s::object(
				  {{"name", s::string()},
				   {"device", s::string("as it was named")},
				   {"path", s::string("by which it is used")},
				   {"started", s::boolean("that is there")},
				   {"bytes", s::count()},
				   {"depth", s::count("0: none")},
				   {"io_bytes", s::count("of one I/O")},
				   {"objects", s::count("that have a policy")},
				   {"open", s::nullable(s::count("how often"))},
				   {"ranges", s::nullable(s::count("of all of them"))},
				   {"in_flight", s::nullable(s::count("I/Os at the device that are "
								      "under a policy"))}}))}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto json = std::make_shared<bool>(false);

	set.json(*json);
	return [json, arguments = set.arguments()] {
		return ask_daemon(qos_list_verb, arguments, *json, show);
	};
}

} /* namespace */

const Verb qos_list_verb{
	.group = "qos",
	.name = "list",
	.summary = "Devices that are under QoS",
	.examples = "corbel qos list                               a table\n"
		    "corbel qos list --json | jq '.luns[].path'   for scripts\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
