// SPDX-License-Identifier: GPL-2.0-or-later
#include "command_line.hh"

#include "options.hh"

#include <corbel/version.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace corbel::cli {

namespace {

std::string footer_of(const Verb &verb)
{
	std::string footer = "Examples:\n";

	for (auto rest = verb.examples; !rest.empty();) {
		auto end = rest.find('\n');

		footer += fmt::format("  {}\n", rest.substr(0, end));
		rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
	}
	footer += "\nExit status: 0 success, 1 failure, 2 wrong usage.";
	if (!verb.exit_codes.empty())
		footer += fmt::format(" {}", verb.exit_codes);
	return footer;
}

constexpr const char *main_footer =
	"A virtual machine is named by the pid of its process, by pid:fd where a process has\n"
	"several, by the guest's name (name:TEXT if that looks like a number), or by id:N, the\n"
	"number of an attachment.\n\n"
	"Examples:\n"
	"  corbel doctor          is this host fit, are the modules in order?\n"
	"  corbel vm list         which guests run?\n"
	"  corbel irq top web1    watch the interrupts of guest web1\n\n"
	"Exit status: 0 success, 1 failure, 2 wrong usage, 3 partial result.\n"
	"Every verb must be run as root and has a --help of its own.";

/* CLI11 only says that a subcommand is missing, not that one is misspelt. */
std::string_view unknown_word(std::span<const char *const> words)
{
	std::string_view first = words.size() > 1 ? words[1] : "-";
	std::string_view second = words.size() > 2 ? words[2] : "-";
	auto verbs = all_verbs();

	if (first.starts_with('-'))
		return {};
	if (std::ranges::any_of(verbs, [&](const Verb *verb) {
		    return verb->group.empty() && verb->name == first;
	    }))
		return {};
	if (std::ranges::none_of(verbs, [&](const Verb *verb) { return verb->group == first; }))
		return first;
	if (second.starts_with('-') || std::ranges::any_of(verbs, [&](const Verb *verb) {
		    return verb->group == first && verb->name == second;
	    }))
		return {};
	return second;
}

} /* namespace */

ExitCode run(int argc, const char *const *argv)
{
	CLI::App app{"Corbel: look at the virtual machines of a stock Linux/KVM host", "corbel"};
	std::map<std::string_view, CLI::App *> groups{{"", &app}};
	std::function<ExitCode()> chosen;

	app.set_version_flag("--version", "corbel " CORBEL_VERSION);
	app.require_subcommand(1);
	app.footer(main_footer);
	for (const Verb *verb : all_verbs()) {
		auto &group = groups[verb->group];

		if (!group) {
			group = app.add_subcommand(std::string(verb->group),
						   std::string(group_summary(verb->group)));
			group->require_subcommand(1);
		}
		auto *sub =
			group->add_subcommand(std::string(verb->name), std::string(verb->summary));
		sub->footer(footer_of(*verb));
		OptionSet set(*sub);
		sub->callback([&chosen, action = verb->declare(set)] { chosen = action; });
	}

	if (auto word = unknown_word({argv, static_cast<std::size_t>(argc)}); !word.empty()) {
		fmt::print(stderr,
			   "corbel: There is no verb '{}': `corbel --help` shows those "
			   "there are.\n",
			   word);
		return ExitCode::usage;
	}
	try {
		app.parse(argc, argv);
	} catch (const CLI::ParseError &error) {
		return app.exit(error) == 0 ? ExitCode::ok : ExitCode::usage;
	}
	return chosen();
}

} /* namespace corbel::cli */
