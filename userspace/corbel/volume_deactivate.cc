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
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Volume", "volume", "not active");
}

Json describe()
{
	return changed_schema("volume");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_deactivate_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_deactivate_verb{
	.group = "volume",
	.name = "deactivate",
	.summary = "Take away the device of a volume that nobody uses",
	.examples = "corbel volume deactivate vms/web             its contents stay\n"
		    "corbel volume deactivate vms/web --dry-run   is it in use?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
