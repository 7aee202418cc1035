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
	return show_changed(answer, "Volume", "volume", "rolled back");
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
		return ask_daemon(snapshot_rollback_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb snapshot_rollback_verb{
	.group = "snapshot",
	.name = "rollback",
	.summary = "Let a volume hold again what its snapshot does; what came since is lost",
	.examples =
		"corbel snapshot rollback vms/web@monday --yes       vms/web must not be active\n"
		"corbel snapshot rollback vms/web@monday --dry-run   is it?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
