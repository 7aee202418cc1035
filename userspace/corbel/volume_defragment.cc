// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string volume, latency;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	declare_latency(set, options->latency);
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(volume_defragment_verb, arguments, *options);
	};
}

} /* namespace */

const Verb volume_defragment_verb{
	.group = "volume",
	.name = "defragment",
	.summary = "Put blocks of a volume that lie in no order side by side, while it is used",
	.examples = "corbel volume defragment vms/web --dry-run       in how many pieces is it?\n"
		    "corbel volume defragment vms/web                 as far as there is room\n"
		    "corbel volume defragment vms/web --latency 5ms   p99 of others meanwhile\n",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
