// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string name;
	std::vector<std::string> meta;
	bool scan = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	const bool dry_run = answer.at("dry_run").get<bool>();

	for (const auto &pool : answer.at("pools")) {
		const auto name = printable(pool.at("pool").get<std::string>());

		fmt::print("{} {}, metadata on {}, data on {}, {} volumes and snapshots\n",
			   !pool.at("changed").get<bool>() ? "is here already:"
			   : dry_run			   ? "can be imported:"
							   : "imported:",
			   name, pool.at("meta").get<std::string>(),
			   fmt::join(pool.at("devices").get<std::vector<std::string>>(), ", "),
			   pool.at("volumes").get<std::uint64_t>());
	}
	if (answer.at("pools").empty())
		fmt::print("No pool was found that is not known here and has all of its "
			   "devices.\n");
	else if (!dry_run)
		fmt::print("None is started: `corbel pool start` does that, if no other host has "
			   "it.\n");
	for (const auto &warning : answer.at("warnings"))
		fmt::print(stderr, "corbel: {}\n", warning.get<std::string>());
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;
	const auto pool =
		s::object({{"pool", s::string("its name here")},
			   {"uuid", s::string()},
			   {"meta", s::string("path")},
			   {"devices", s::array(s::string(), "for data, in the pool's order")},
			   {"volumes", s::count("snapshots too")},
			   {"changed", s::boolean("false: it is remembered so already")}});

	return s::joined(
		s::object({{"pools", s::array(pool)},
			   {"warnings", s::array(s::string(), "which pools were left out")}}),
		s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.texts("meta", options->meta, "META", "Metadata device of a pool, as an absolute path",
		  check_path);
	set.last_is_alternative();
	set.flag("--scan", options->scan,
		 "Look at all block devices for pools that are not known here");
	set.last_is_alternative();
	set.text("--name", options->name, "NAME",
		 "What it is called here; else as it was here before, or after its UUID",
		 check_pool_name);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_import_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_import_verb{
	.group = "pool",
	.name = "import",
	.summary = "Make a pool known that another host has made; its devices are found by label",
	.examples = "corbel pool import /dev/sdc1 --name vms   then: corbel pool start vms\n"
		    "corbel pool import --scan --dry-run       what is there?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
