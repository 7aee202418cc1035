// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

using Options = JobOptions;

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(host_rotate_verb, arguments, *options);
	};
}

} /* namespace */

const Verb host_rotate_verb{
	.group = "host",
	.name = "rotate",
	.summary = "A new certificate for this host; the one before no longer counts",
	.examples =
		"corbel host rotate                 what runs goes on, on the connections it has\n"
		"corbel host rotate --key 2024-05   once a month",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
