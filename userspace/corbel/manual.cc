// SPDX-License-Identifier: GPL-2.0-or-later
#include "manual.hh"

#include <corbel/version.h>

#include <array>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr std::array exit_statuses{
	"0: success.",
	"1: failure; a sentence on stderr says what was looked for and what to do.",
	"2: wrong usage.",
	"3: a partial result; stderr says what is missing.",
};

/* @text as troff prints it: no escapes, no hyphenation of options, no requests. */
std::string troff(std::string_view text)
{
	std::string out;

	if (text.starts_with('.') || text.starts_with('\''))
		out = "\\&";
	for (char c : text) {
		if (c == '\\')
			out += "\\e";
		else if (c == '-')
			out += "\\-";
		else if (c == '\'')
			out += "\\(aq";
		else if (c == '`')
			out += "\\(ga";
		else if (c == '\n')
			out += ' ';
		else
			out += c;
	}
	return out;
}

std::string page_name(const Verb &verb)
{
	return verb.group.empty() ? fmt::format("corbel-{}", verb.name)
				  : fmt::format("corbel-{}-{}", verb.group, verb.name);
}

std::string title(std::string_view name)
{
	return fmt::format(".TH \"{}\" 1 \"{}\" \"Corbel {}\" \"Corbel\"\n", troff(name),
			   CORBEL_VERSION_DATE, CORBEL_VERSION);
}

/* "-o, --output FILE", "VM". */
std::string usage_of(const Argument &argument)
{
	if (!argument.is_option())
		return argument.type;
	auto text = argument.short_name();

	if (!text.empty())
		text += ", ";
	text += argument.long_name();
	if (!argument.is_flag())
		text += " " + argument.type;
	return text;
}

/* The help, the values it may have, and whether it may come again. */
std::string meaning_of(const Argument &argument)
{
	auto text = argument.help;

	if (const auto values = values_of(argument); !values.empty())
		text += fmt::format(": {}", values);
	if (!text.ends_with('.'))
		text += '.';
	if (argument.required)
		text += " Must be given.";
	if (argument.repeats())
		text += " May be given several times.";
	return text;
}

std::string effect_sentence(const Verb &verb)
{
	switch (verb.effect) {
	case Effect::read:
		return "It changes nothing.";
	case Effect::change:
		return fmt::format("It changes something. {}", sentence_of(verb.repeat));
	case Effect::destroy:
		return fmt::format("It cannot be undone. {}", sentence_of(verb.repeat));
	}
	return {};
}

std::string output_sentence(const Verb &verb)
{
	switch (verb.output) {
	case Output::none:
		return {};
	case Output::object:
		return fmt::format("With --json one object, which `corbel schema {}` describes.",
				   verb.words());
	case Output::lines:
		return fmt::format("With --json one object a line, which `corbel schema {}` "
				   "describes.",
				   verb.words());
	}
	return {};
}

/* 0.05, 3600, 1000000. */
std::string plain(double number)
{
	const auto whole = static_cast<std::int64_t>(number);

	if (static_cast<double>(whole) == number)
		return fmt::format("{}", whole);
	return fmt::format("{}", number);
}

} /* namespace */

std::string values_of(const Argument &argument)
{
	if (!argument.words.empty())
		return fmt::format("{}", fmt::join(argument.words, ", "));
	if (argument.least == argument.most)
		return {};
	return fmt::format("{} .. {}{}{}", plain(argument.least), plain(argument.most),
			   argument.unit.empty() ? "" : " ", argument.unit);
}

std::string synopsis_of(const Verb &verb)
{
	auto text = verb.words();
	std::string alternatives;

	for (const auto &argument : arguments_of(verb)) {
		auto usage = argument.is_option() ? argument.long_name() : argument.type;

		if (argument.is_option() && !argument.is_flag())
			usage += " " + argument.type;
		if (argument.one_of) {
			alternatives += (alternatives.empty() ? "" : " | ") + usage;
			continue;
		}
		if (!argument.required)
			usage = fmt::format("[{}]", usage);
		text += fmt::format(" {}{}", usage, argument.repeats() ? "..." : "");
	}
	if (!alternatives.empty())
		text += fmt::format(" ({})", alternatives);
	return text;
}

std::string man_page(const Verb &verb)
{
	auto page = title(page_name(verb));

	page += fmt::format(".SH NAME\n{} \\- {}\n", troff(page_name(verb)), troff(verb.summary));
	page += fmt::format(".SH SYNOPSIS\n.nf\ncorbel {}\n.fi\n", troff(synopsis_of(verb)));
	page += fmt::format(".SH DESCRIPTION\n{}.\n{}\n", troff(verb.summary),
			    troff(effect_sentence(verb)));
	page += ".SH OPTIONS\n";
	for (const auto &argument : arguments_of(verb))
		page += fmt::format(".TP\n.B {}\n{}\n", troff(usage_of(argument)),
				    troff(meaning_of(argument)));
	page += ".TP\n.B \\-h, \\-\\-help\nThis in short.\n";
	if (const auto output = output_sentence(verb); !output.empty())
		page += fmt::format(".SH OUTPUT\n{}\n", troff(output));
	page += fmt::format(".SH EXIT STATUS\n{}\n", troff(exit_status_of(verb)));
	page += ".SH EXAMPLES\n";
	for (const auto &[command, meaning] : examples_of(verb)) {
		if (!command.empty())
			page += fmt::format(".TP\n.B {}\n", troff(command));
		page += meaning.empty() ? "\\&\n" : troff(meaning) + "\n";
	}
	page += ".SH SEE ALSO\n.BR corbel (1)\n";
	return page;
}

std::string man_page()
{
	auto page = title("corbel");

	page += ".SH NAME\ncorbel \\- look at the virtual machines of a stock Linux/KVM host\n"
		".SH SYNOPSIS\n.nf\ncorbel VERB [OPTION]...\n.fi\n.SH DESCRIPTION\n";
	page += troff(naming) + "\n.SH VERBS\n";
	for (const Verb *verb : all_verbs())
		page += fmt::format(".TP\n.B {}\n{}.\n", troff(synopsis_of(*verb)),
				    troff(verb->summary));
	page += ".SH EXIT STATUS\n";
	for (const char *status : exit_statuses)
		page += fmt::format("{}{}\n", status == exit_statuses.front() ? "" : ".br\n",
				    troff(status));
	page += ".SH SEE ALSO\n";
	for (const Verb *verb : all_verbs())
		page += fmt::format(".BR {} (1){}\n", troff(page_name(*verb)),
				    verb == all_verbs().back() ? "" : ",");
	return page;
}

std::string markdown_page(const Verb &verb)
{
	auto page = fmt::format("## corbel {}\n\n{}. {}\n\n    corbel {}\n\n", verb.words(),
				verb.summary, effect_sentence(verb), synopsis_of(verb));
	const auto arguments = arguments_of(verb);

	if (!arguments.empty())
		page += "| argument | meaning |\n|---|---|\n";
	for (const auto &argument : arguments) {
		auto usage = usage_of(argument);
		auto meaning = meaning_of(argument);

		/* A bar would end the cell. */
		for (auto *text : {&usage, &meaning})
			for (auto at = text->find('|'); at != text->npos;
			     at = text->find('|', at + 2))
				text->insert(at, "\\");
		page += fmt::format("| `{}` | {} |\n", usage, meaning);
	}
	if (!arguments.empty())
		page += "\n";
	if (const auto output = output_sentence(verb); !output.empty())
		page += fmt::format("{}\n", output);
	page += fmt::format("Exit status: {}\n\nExamples:\n\n", in_one_line(exit_status_of(verb)));
	for (const auto line : lines_of(verb.examples))
		page += fmt::format("    {}\n", line);
	return page;
}

std::string markdown_page()
{
	std::string page = "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n"
			   "<!-- Made by `make docs` from the table of verbs: change that. -->\n"
			   "# The verbs\n\n";

	page += fmt::format("{}\n\n", in_one_line(std::string(naming)));
	page += "| verb | effect | what it does |\n|---|---|---|\n";
	for (const Verb *verb : all_verbs())
		page += fmt::format("| [{0}](#corbel-{1}) | {2} | {3} |\n", verb->words(),
				    page_name(*verb).substr(sizeof("corbel-") - 1),
				    name_of(verb->effect), verb->summary);
	page += "\nExit status of all of them:\n\n";
	for (const char *status : exit_statuses)
		page += fmt::format("- {}\n", status);
	for (const Verb *verb : all_verbs())
		page += "\n" + markdown_page(*verb);
	return page;
}

} /* namespace corbel::cli */
