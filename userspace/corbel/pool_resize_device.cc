// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string pool, device;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Pool", "pool", "given all of the device");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	declare_device(set, options->device);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_resize_device_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_resize_device_verb{
	.group = "pool",
	.name = "resize-device",
	.summary = "Use all of a device that has grown, or that was evacuated",
	.examples = "corbel pool resize-device vms 1                     by number\n"
		    "corbel pool resize-device vms /dev/vg/d --dry-run   has it grown?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("pool", {"device", "bytes"}); },
	.declare = declare,
};

} /* namespace corbel::cli */
