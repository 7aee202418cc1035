// SPDX-License-Identifier: GPL-2.0-or-later
#include "manual.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::vector<std::string> words;
	std::string format = "man";
};

Result<void> print(const Options &options)
{
	const bool markdown = options.format == "markdown";

	if (options.words.empty()) {
		fmt::print("{}", markdown ? markdown_page() : man_page());
		return {};
	}
	const Verb &verb = *CORBEL_EXPECT(verb_of(options.words));
	fmt::print("{}", markdown ? markdown_page(verb) : man_page(verb));
	return {};
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.verb(options->words);
	set.choice("--format", options->format, {"man", "markdown"}, "NAME",
		   "man (troff, default) or markdown");
	return [options] { return exit_code_of(print(*options)); };
}

} /* namespace */

const Verb manual_verb{
	.group = "",
	.name = "manual",
	.summary = "The manual pages, made from what this tool knows of its verbs",
	.examples = "corbel manual irq top | man -l -    one page, to read\n"
		    "corbel manual --format markdown     all of Documentation/verbs.md",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.declare = declare,
};

} /* namespace corbel::cli */
