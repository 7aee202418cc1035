// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

namespace corbel::cli {

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
	.declare = [](OptionSet &set) { return declare_device_job(set, pool_remove_device_verb); },
};

} /* namespace corbel::cli */
