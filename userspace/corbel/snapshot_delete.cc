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
	std::string snapshot;
	bool yes = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Snapshot", "volume", "deleted");
}

Json describe()
{
	return changed_schema("volume");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_snapshot(set, options->snapshot);
	declare_yes(set, options->yes);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(snapshot_delete_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb snapshot_delete_verb{
	.group = "snapshot",
	.name = "delete",
	.summary = "Delete a snapshot; what others have too stays",
	.examples = "corbel snapshot delete vms/web@monday --yes       which must not be active\n"
		    "corbel snapshot delete vms/web@monday --dry-run   could it be?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
