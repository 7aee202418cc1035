// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "schema.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string vm;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	fmt::print("'{}' {}.\n", answer.at("vm").get<std::string>(),
		   answer.at("dry_run").get<bool>() ? "is defined; nothing was changed"
						    : "is no longer defined");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"vm", s::string("its name")}}), s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "vm",
		 .type = "NAME",
		 .help = "Of the VM, as it was defined",
		 .place = &options->vm,
		 .required = true});
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(vm_undefine_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb vm_undefine_verb{
	.group = "vm",
	.name = "undefine",
	.summary = "Undo `corbel vm define`, for a VM that does not run",
	.examples = "corbel vm undefine web             its disks stay\n"
		    "corbel vm undefine web --dry-run   is it defined?",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
