// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string host;
	std::uint32_t size = 64;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.host(options->host);
	set.number("--size", options->size, {1U, 1048576U, "MiB"}, "MIB", "How much is sent (64)");
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(host_probe_verb, arguments, *options);
	};
}

} /* namespace */

const Verb host_probe_verb{
	.group = "host",
	.name = "probe",
	.summary = "Measure the way to another host: how fast, how long there and back",
	.examples = "corbel host probe b              64 MiB over the connection that jobs use\n"
		    "corbel host probe b --size 1024  longer",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
