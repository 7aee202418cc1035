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
	std::string volume, name;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Volume", "volume", "made");
}

Json describe()
{
	return changed_schema("volume");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	set.text("name", options->name, "NAME", "Of the new one, in the same pool",
		 check_volume_name);
	set.last_is_required();
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_clone_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_clone_verb{
	.group = "volume",
	.name = "clone",
	.summary = "Make a volume of what another or a snapshot holds now, in no time",
	.examples = "corbel volume clone vms/golden@v3 web7      as vms/web7\n"
		    "corbel volume clone vms/web try --dry-run   is the name free?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
