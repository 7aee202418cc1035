// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string vm;
	bool force = false;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "vm",
		 .type = "NAME",
		 .help = "Of the VM, as it was defined",
		 .place = &options->vm,
		 .required = true});
	set.flag("--force", options->force, "Do not ask the guest to end");
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		return begin_job(vm_stop_verb, arguments, *options);
	};
}

} /* namespace */

const Verb vm_stop_verb{
	.group = "vm",
	.name = "stop",
	.summary = "Stop a VM that Corbel runs: the guest is asked, then QEMU, then it is killed",
	.examples = "corbel vm stop web           waits a minute for the guest\n"
		    "corbel vm stop web --force   as if its power were cut",
	.exit_codes = "1 too if the job failed, was cancelled or has stalled.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
