// SPDX-License-Identifier: GPL-2.0-or-later
#include "command_line.hh"

#include "options.hh"

#include <corbel/version.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <type_traits>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace corbel::cli {

namespace {

std::string footer_of(const Verb &verb)
{
	std::string footer = "Examples:\n";

	for (const auto line : lines_of(verb.examples))
		footer += fmt::format("  {}\n", line);
	footer += fmt::format("\nExit status: {}", exit_status_of(verb));
	if (verb.effect != Effect::read)
		footer += fmt::format("\n{}", sentence_of(verb.repeat));
	return footer;
}

template <typename T>
CLI::Validator range_of(const Argument &argument)
{
	return CLI::Range(static_cast<T>(argument.least), static_cast<T>(argument.most));
}

CLI::Option *add_value(CLI::App &app, const Argument &argument)
{
	return std::visit(
		[&](auto *value) {
			using T = std::remove_pointer_t<decltype(value)>;

			if constexpr (std::is_same_v<T, bool>)
				return app.add_flag(argument.name, *value, argument.help);
			auto *option = app.add_option(argument.name, *value, argument.help)
					       ->type_name(argument.type);
			if constexpr (std::is_same_v<T, std::vector<std::string>>) {
				if (argument.is_option())
					option->allow_extra_args(false);
			}
			if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::uint32_t>)
				option->check(range_of<T>(argument));
			return option;
		},
		argument.place);
}

void add_argument(CLI::App &app, const Argument &argument)
{
	auto *option = add_value(app, argument);

	if (!argument.words.empty())
		option->check(CLI::IsMember(argument.words));
	if (argument.check)
		option->check([check = argument.check](const std::string &word) {
			auto checked = check(word);

			return checked ? std::string() : checked.error().sentence;
		});
	if (argument.required)
		option->required();
}

void add_arguments(CLI::App &app, const OptionSet &set)
{
	CLI::App *alternatives = nullptr;

	for (const auto &argument : set.arguments()) {
		if (argument.one_of && !alternatives) {
			alternatives = app.add_option_group("what");
			alternatives->require_option(1);
		}
		add_argument(argument.one_of ? *alternatives : app, argument);
	}
}

constexpr const char *main_footer =
	"Examples:\n"
	"  corbel doctor          is this host fit, are the modules in order?\n"
	"  corbel vm list         which guests run?\n"
	"  corbel irq top web1    watch the interrupts of guest web1\n\n"
	"Exit status: 0 success, 1 failure, 2 wrong usage, 3 partial result.\n"
	"Verbs that look at virtual machines must be run as root. Each has a --help of its own and\n"
	"a page of `corbel manual`.";

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

std::expected<std::function<ExitCode()>, ExitCode> parse(int argc, const char *const *argv)
{
	CLI::App app{"Corbel: look at the virtual machines of a stock Linux/KVM host", "corbel"};
	std::map<std::string_view, CLI::App *> groups{{"", &app}};
	std::function<ExitCode()> chosen;

	app.set_version_flag("--version", "corbel " CORBEL_VERSION);
	app.require_subcommand(1);
	app.footer(fmt::format("{}\n\n{}", naming, main_footer));
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
		OptionSet set;
		sub->callback([&chosen, action = verb->declare(set)] { chosen = action; });
		add_arguments(*sub, set);
	}

	if (auto word = unknown_word({argv, static_cast<std::size_t>(argc)}); !word.empty()) {
		report(no_verb(word));
		return std::unexpected(ExitCode::usage);
	}
	try {
		app.parse(argc, argv);
	} catch (const CLI::ParseError &error) {
		return std::unexpected(app.exit(error) == 0 ? ExitCode::ok : ExitCode::usage);
	}
	return chosen;
}

ExitCode run(int argc, const char *const *argv)
{
	const auto chosen = parse(argc, argv);

	return chosen ? (*chosen)() : chosen.error();
}

} /* namespace corbel::cli */
