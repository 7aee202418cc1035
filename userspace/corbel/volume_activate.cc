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
	return show_changed(answer, "Volume", "volume", "active");
}

Json describe()
{
	return changed_schema("volume", {"device"});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_activate_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_activate_verb{
	.group = "volume",
	.name = "activate",
	.summary = "Make a device of a volume or snapshot, now and whenever its pool is started",
	.examples = "corbel volume activate vms/web          says its path\n"
		    "corbel volume activate vms/web@monday   which can be read only\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
