// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "job_follow.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string pool, latency;
	std::uint32_t promote = 4, demote = 90, every = 60, most = 1024;
	bool once = false, off = false;
};

ExitCode show_off(const Json &answer)
{
	fmt::print("{}{}\n", answer.at("plan").get<std::string>(),
		   answer.at("dry_run").get<bool>() ? " Nothing was changed." : "");
	return ExitCode::ok;
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	set.number("--promote", options->promote, {1, 255}, "N",
		   "Blocks that were read or written so often of late go up, 4 if not said");
	set.number("--demote", options->demote, {1, 100, "%"}, "PERCENT",
		   "How full an upper tier may be; what is more goes down, 90 if not said");
	set.number("--every", options->every, {1, 86400, "s"}, "SECONDS",
		   "Between two passes, 60 if not said; longer while nothing is to be moved");
	set.number("--most", options->most, {1, 1'000'000}, "BLOCKS",
		   "In one pass, each way, 1024 if not said");
	set.flag("--once", options->once, "One pass, after accesses were counted for that time");
	set.flag("--off", options->off, "No more");
	declare_latency(set, options->latency);
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		if (options->off)
			return ask_daemon(pool_tier_verb, arguments, options->json, show_off);
		/* One that goes on for good is not followed to its end. */
		options->no_wait |= !options->once;
		return begin_job(pool_tier_verb, arguments, *options);
	};
}

} /* namespace */

const Verb pool_tier_verb{
	.group = "pool",
	.name = "tier",
	.summary = "Move blocks that are used often to faster devices, and others away from there",
	.examples = "corbel pool tier vms                          from now on, every minute\n"
		    "corbel pool tier vms --once --every 300       what was used in five minutes\n"
		    "corbel pool tier vms --promote 16 --demote 80\n"
		    "corbel pool tier vms --off\n",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
