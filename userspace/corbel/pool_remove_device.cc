// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string pool, device;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	declare_device(set, options->device);
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(pool_remove_device_verb, arguments, *options);
	};
}

} /* namespace */

const Verb pool_remove_device_verb{
	.group = "pool",
	.name = "remove-device",
	.summary = "Move all data away from a device, and then it is no longer the pool's",
	.examples = "corbel pool remove-device vms 1                    by number\n"
		    "corbel pool remove-device vms /dev/sdb --dry-run   is there room elsewhere?\n",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
