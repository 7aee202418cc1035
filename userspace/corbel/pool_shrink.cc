// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string pool, device, size, latency;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	declare_device(set, options->device);
	declare_size(set, options->size, "Of its data, that stay, such as 100G");
	declare_latency(set, options->latency);
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(pool_shrink_verb, arguments, *options);
	};
}

} /* namespace */

const Verb pool_shrink_verb{
	.group = "pool",
	.name = "shrink",
	.summary = "Move data away from the end of a device, which the pool then does not have",
	.examples =
		"corbel pool shrink vms 1 100G             what is behind 100G of its data is free\n"
		"corbel pool shrink vms 1 100G --dry-run   is there room?\n",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
