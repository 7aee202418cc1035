// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string pool;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_volumes(answer.at("volumes"), "There is no volume.");
}

Json describe()
{
	return volumes_schema("volumes");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("pool", options->pool, "POOL", "Of this pool alone", check_pool_name);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_list_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_list_verb{
	.group = "volume",
	.name = "list",
	.summary = "Volumes of the pools that are started",
	.examples = "corbel volume list       of all of them\n"
		    "corbel volume list vms   of one\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
