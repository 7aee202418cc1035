// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "schema.hh"
#include "verb.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string file;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	const auto name = answer.at("vm").get<std::string>();

	if (!answer.at("changed").get<bool>())
		fmt::print("'{}' is defined so already.\n", name);
	else if (answer.at("dry_run").get<bool>())
		fmt::print("'{}' can be defined so; nothing was changed.\n", name);
	else
		fmt::print("'{0}' is defined: `corbel vm start {0}` starts it.\n", name);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(
		s::object({{"vm", s::string("its name")}, {"uuid", s::nullable(s::string())}}),
		s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "file",
		 .type = "FILE",
		 .help = "Absolute path of its description",
		 .place = &options->file,
		 .check = [](const std::string &path) -> Result<void> {
			 if (path.starts_with('/'))
				 return {};
			 return failure(EINVAL, fmt::format("'{}' is not an absolute path; the "
							    "daemon has a folder of its own.",
							    path));
		 },
		 .required = true});
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(vm_define_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb vm_define_verb{
	.group = "vm",
	.name = "define",
	.summary = "Make a VM one of Corbel's to run, as a file describes it",
	.examples = "corbel vm define /srv/web.toml             what runs is changed by nothing\n"
		    "corbel vm define /srv/web.toml --dry-run   is the description right?",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
