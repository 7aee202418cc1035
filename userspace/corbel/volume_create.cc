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
	std::string volume, size;
	bool activate = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Volume", "volume", "made");
}

Json describe()
{
	return changed_schema("volume", {"bytes", "device"});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	declare_size(set, options->size, "Such as 20G; is rounded up to whole blocks");
	set.flag("--activate", options->activate, "Now, and whenever its pool is started");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_create_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_create_verb{
	.group = "volume",
	.name = "create",
	.summary = "Make a volume, which takes room as it is written to",
	.examples = "corbel volume create vms/web 20G --activate   with a device in /dev/mapper\n"
		    "corbel volume create vms/web 20G              for later\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
