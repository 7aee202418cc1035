// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string vm;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "vm",
		 .type = "NAME",
		 .help = "Of the VM, as it was defined",
		 .place = &options->vm,
		 .required = true});
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(vm_start_verb, arguments, *options);
	};
}

} /* namespace */

const Verb vm_start_verb{
	.group = "vm",
	.name = "start",
	.summary = "Start a VM that is defined; it goes on without the daemon",
	.examples = "corbel vm start web              until QEMU answers\n"
		    "corbel vm start web --key monday   if that was not done yet",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
