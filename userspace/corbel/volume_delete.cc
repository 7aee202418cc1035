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
	std::string volume;
	bool yes = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Volume", "volume", "deleted");
}

Json describe()
{
	return changed_schema("volume");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	declare_yes(set, options->yes);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_delete_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_delete_verb{
	.group = "volume",
	.name = "delete",
	.summary = "Delete a volume, whose contents are lost unless a snapshot or clone has them",
	.examples = "corbel volume delete vms/web --yes       which must not be active\n"
		    "corbel volume delete vms/web --dry-run   could it be?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
