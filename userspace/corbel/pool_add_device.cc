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
	std::string pool, device;
	bool force = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Pool", "pool", "given the device");
}

Json describe()
{
	return changed_schema("pool", {"device", "uuid"});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	set.text("device", options->device, "DEV[:TIER]", "Absolute path, and what it is good for");
	set.last_is_required();
	set.flag("--force", options->force, "Take it if it holds something, which is lost");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_add_device_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_add_device_verb{
	.group = "pool",
	.name = "add-device",
	.summary = "Give a pool that is started one more device for data",
	.examples = "corbel pool add-device vms /dev/sdc                  of the tier data\n"
		    "corbel pool add-device vms /dev/sdc:slow --dry-run   is it free?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
