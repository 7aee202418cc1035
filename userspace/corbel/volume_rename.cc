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
	return show_changed(answer, "Volume", "volume", "called so");
}

Json describe()
{
	return changed_schema("volume");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	set.text("name", options->name, "NAME", "Its new one, in the same pool", check_volume_name);
	set.last_is_required();
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_rename_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_rename_verb{
	.group = "volume",
	.name = "rename",
	.summary = "Call a volume, and its snapshots with it, by another name",
	.examples = "corbel volume rename vms/web old-web        it is deactivated before\n"
		    "corbel volume rename vms/#7 found           one that has lost its name\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
