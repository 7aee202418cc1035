// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::vector<std::string> volumes;
	std::string name;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	for (const auto &name : answer.at("snapshots"))
		fmt::print("{}{}\n", printable(name.get<std::string>()),
			   answer.at("dry_run").get<bool>() ? " (would be: nothing was changed)"
							    : "");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"snapshots", s::array(s::string("POOL/VOLUME@SNAPSHOT"))}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.texts("volume", options->volumes, "VOLUME", "POOL/VOLUME, of one pool", check_volume);
	set.last_is_required();
	set.text("--name", options->name, "NAME", "Of the snapshots; none: the time in UTC",
		 check_volume_name);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(snapshot_create_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb snapshot_create_verb{
	.group = "snapshot",
	.name = "create",
	.summary = "Keep what volumes hold, all of them at one instant, in no time",
	.examples =
		"corbel snapshot create vms/db vms/log --name before-upgrade   as vms/db@before-upgrade and vms/log@...\n"
		"corbel snapshot create vms/web                                called after the time\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
