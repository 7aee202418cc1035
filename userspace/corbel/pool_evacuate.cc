// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

namespace corbel::cli {

const Verb pool_evacuate_verb{
	.group = "pool",
	.name = "evacuate",
	.summary = "Move all data of a pool away from one of its devices, while it is used",
	.examples = "corbel pool evacuate vms 1                    by number\n"
		    "corbel pool evacuate vms /dev/sdb --no-wait   and go on with something else\n"
		    "corbel pool evacuate vms 1 --latency 5ms      p99 of others meanwhile\n",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = [](OptionSet &set) { return declare_device_job(set, pool_evacuate_verb); },
};

} /* namespace corbel::cli */
