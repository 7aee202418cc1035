// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * completion.cc - each script has the words of the table in it, and asks
 * `corbel completion --guests`, or `--names`, for what only this host knows.
 */
#include "completion.hh"

#include "verb.hh"

#include <algorithm>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

std::string joined(const std::vector<std::string> &words)
{
	return fmt::format("{}", fmt::join(words, " "));
}

/* As `corbel completion --names` calls what is called so; empty: that is not known. */
std::string_view kind_of_name(std::string_view type)
{
	return type == "LUN"	  ? "luns"
	       : type == "OBJECT" ? "objects"
	       : type == "POLICY" ? "policies"
				  : "";
}

/* What can stand where a value does. */
enum class Values { any, words, files, folders, guests, names, verbs };

Values values_at(const Argument &argument)
{
	if (!argument.words.empty())
		return Values::words;
	if (argument.type == "FILE")
		return Values::files;
	if (argument.type == "DIR")
		return Values::folders;
	if (argument.type == "VM")
		return Values::guests;
	if (argument.type == "VERB")
		return Values::verbs;
	return kind_of_name(argument.type).empty() ? Values::any : Values::names;
}

/* What prints them, a line each. */
std::string asks(const Argument &argument)
{
	return argument.type == "VM" ? std::string("corbel completion --guests 2>/dev/null")
				     : fmt::format("corbel completion --names {} 2>/dev/null",
						   kind_of_name(argument.type));
}

std::vector<Argument> positional_of(const Verb &verb)
{
	auto arguments = arguments_of(verb);

	std::erase_if(arguments, [](const Argument &each) { return each.is_option(); });
	return arguments;
}

/* Behind which a value stands. */
std::string valued_options_of(const Verb &verb)
{
	std::vector<std::string> options;

	for (const auto &argument : arguments_of(verb))
		if (argument.is_option() && !argument.is_flag())
			for (auto &name : {argument.long_name(), argument.short_name()})
				if (!name.empty())
					options.push_back(name);
	return joined(options);
}

std::size_t words_in(const Verb &verb)
{
	return verb.group.empty() ? 1 : 2;
}

std::vector<std::string> first_words()
{
	std::vector<std::string> words;

	for (const Verb *verb : all_verbs())
		if (verb->group.empty())
			words.emplace_back(verb->name);
	for (auto group : all_groups())
		words.emplace_back(group);
	return words;
}

std::vector<const Verb *> verbs_of(std::string_view group)
{
	std::vector<const Verb *> verbs;

	for (const Verb *verb : all_verbs())
		if (verb->group == group)
			verbs.push_back(verb);
	return verbs;
}

std::string names_of(const std::vector<const Verb *> &verbs)
{
	std::string names;

	for (const Verb *verb : verbs)
		names += fmt::format("{}{}", names.empty() ? "" : " ", verb->name);
	return names;
}

std::vector<std::string> options_of(const Verb &verb)
{
	std::vector<std::string> options;

	for (const auto &argument : arguments_of(verb)) {
		if (!argument.is_option())
			continue;
		options.push_back(argument.long_name());
		if (const auto name = argument.short_name(); !name.empty())
			options.push_back(name);
	}
	options.emplace_back("--help");
	return options;
}

/* @text as one word of a shell. */
std::string shell_quoted(std::string_view text)
{
	std::string word = "'";

	for (char c : text)
		word += c == '\'' ? std::string("'\\''") : std::string(1, c);
	return word + "'";
}

/* How bash finds the values of @argument; empty: it does not. */
std::string bash_values(const Argument &argument)
{
	switch (values_at(argument)) {
	case Values::words:
		return fmt::format("_corbel_words {}", shell_quoted(joined(argument.words)));
	case Values::files:
		return "_corbel_lines \"$(compgen -f -- \"$cur\")\"";
	case Values::folders:
		return "_corbel_lines \"$(compgen -d -- \"$cur\")\"";
	case Values::guests:
	case Values::names:
		return fmt::format("_corbel_lines \"$({})\"", asks(argument));
	case Values::verbs:
		return fmt::format("_corbel_words {}", shell_quoted(joined(first_words())));
	case Values::any:
		break;
	}
	return {};
}

/* And those of what stands at the cursor, which depends on what stands before it. */
std::string bash_positional(const Verb &verb)
{
	const auto arguments = positional_of(verb);
	std::string text;

	for (std::size_t place = 0; place < arguments.size(); place++) {
		const auto values = bash_values(arguments[place]);
		const auto pattern =
			arguments[place].repeats() ? std::string("*") : fmt::format("{}", place);

		if (!values.empty())
			text += fmt::format("{}) {} ;; ", pattern, values);
	}
	if (text.empty())
		return ":";
	return fmt::format("_corbel_place {} {}; case $place in {}esac", words_in(verb),
			   shell_quoted(valued_options_of(verb)), text);
}

/* A case of what the line says so far; $prev is the word before the one at the cursor. */
std::string bash_case(const Verb &verb)
{
	std::string text = fmt::format("\t{})\n\t\tcase $prev in\n", shell_quoted(verb.words()));

	for (const auto &argument : arguments_of(verb)) {
		const auto values = bash_values(argument);

		if (!argument.is_option() || argument.is_flag())
			continue;
		text += fmt::format("\t\t{}{}{}) {}; return ;;\n", argument.short_name(),
				    argument.short_name().empty() ? "" : "|", argument.long_name(),
				    values.empty() ? ":" : values);
	}
	text += fmt::format("\t\tesac\n"
			    "\t\tif [[ $cur == -* ]]; then\n"
			    "\t\t\t_corbel_words {}\n"
			    "\t\telse\n"
			    "\t\t\t{}\n"
			    "\t\tfi\n"
			    "\t\t;;\n",
			    shell_quoted(joined(options_of(verb))), bash_positional(verb));
	return text;
}

/* What zsh's _arguments calls an action. */
std::string zsh_action(const Argument &argument)
{
	switch (values_at(argument)) {
	case Values::words:
		return fmt::format("({})", joined(argument.words));
	case Values::files:
		return "_files";
	case Values::folders:
		return "_files -/";
	case Values::guests:
		return "_corbel_guests";
	case Values::names:
		/* The space keeps options of compadd from coming before it. */
		return fmt::format(" _corbel_names {}", kind_of_name(argument.type));
	case Values::verbs:
		return fmt::format("({})", joined(first_words()));
	case Values::any:
		break;
	}
	return " ";
}

/* Brackets and colons mean something in the specifications of zsh. */
std::string zsh_text(std::string_view text)
{
	std::string out;

	for (char c : text) {
		if (c == '[' || c == ']' || c == ':' || c == '\\')
			out += '\\';
		out += c;
	}
	return out;
}

std::string zsh_arguments(const Verb &verb, std::string_view indent)
{
	std::string text = fmt::format("{}_arguments -s", indent);
	const auto go_on = fmt::format(" \\\n{}\t", indent);

	for (const auto &argument : arguments_of(verb)) {
		const auto type = zsh_text(argument.type);

		if (!argument.is_option()) {
			text += go_on +
				shell_quoted(fmt::format("{}:{}:{}", argument.repeats() ? "*" : "",
							 type, zsh_action(argument)));
			continue;
		}
		auto rest = fmt::format("[{}]", zsh_text(argument.help));
		if (!argument.is_flag())
			rest += fmt::format(":{}:{}", type, zsh_action(argument));
		const auto repeat = argument.repeats() ? "*" : "";
		for (const auto &name : {argument.long_name(), argument.short_name()})
			if (!name.empty())
				text += fmt::format(
					"{}{}", go_on,
					shell_quoted(fmt::format("{}{}{}", repeat, name, rest)));
	}
	return text + go_on + shell_quoted("--help[This in short]") + "\n";
}

std::string zsh_names(const std::vector<std::pair<std::string, std::string>> &names,
		      std::string_view indent)
{
	auto text = fmt::format("{}names=(\n", indent);

	for (const auto &[name, summary] : names)
		text += fmt::format("{}\t{}\n", indent,
				    shell_quoted(fmt::format("{}:{}", name, zsh_text(summary))));
	return text + fmt::format("{0})\n{0}_describe verb names\n{0}return\n", indent);
}

std::vector<std::pair<std::string, std::string>>
summaries_of(const std::vector<const Verb *> &verbs)
{
	std::vector<std::pair<std::string, std::string>> names;

	names.reserve(verbs.size());
	for (const Verb *verb : verbs)
		names.emplace_back(verb->name, verb->summary);
	return names;
}

std::string fish_values(const Argument &argument)
{
	switch (values_at(argument)) {
	case Values::words:
		return " -x -a " + shell_quoted(joined(argument.words));
	case Values::files:
		return " -r -F";
	case Values::folders:
		return " -x -a '(__fish_complete_directories)'";
	case Values::guests:
	case Values::names:
		return fmt::format(" -x -a '({})'", asks(argument));
	case Values::verbs:
		return " -x -a " + shell_quoted(joined(first_words()));
	case Values::any:
		break;
	}
	return " -x";
}

std::string fish_verb(const Verb &verb)
{
	std::string text;
	const auto begin = fmt::format("complete -c corbel -n '__corbel_at {}'", verb.words());
	const auto arguments = positional_of(verb);

	for (std::size_t place = 0; place < arguments.size(); place++)
		text += fmt::format(
			"complete -c corbel -n '__corbel_at {}; and __corbel_place {} {} "
			"{} {}'{}\n",
			verb.words(), arguments[place].repeats() ? "-ge" : "-eq", place,
			words_in(verb), valued_options_of(verb), fish_values(arguments[place]));
	for (const auto &argument : arguments_of(verb)) {
		if (!argument.is_option())
			continue;
		text += begin;
		if (const auto name = argument.short_name(); !name.empty())
			text += " -s " + name.substr(1);
		text += fmt::format(" -l {}{} -d {}\n", argument.long_name().substr(2),
				    argument.is_flag() ? "" : fish_values(argument),
				    shell_quoted(argument.help));
	}
	return text + begin + " -l help -d 'This in short'\n";
}

} /* namespace */

std::string bash_completion()
{
	std::string text =
		"# bash completion for corbel, made by `corbel completion bash`\n"
		"\n"
		"# Those of the lines $1 that begin as the word at the cursor does.\n"
		"_corbel_lines() {\n"
		"\tlocal line\n"
		"\twhile IFS= read -r line; do\n"
		"\t\t[[ $line && $line == \"$cur\"* ]] && "
		"COMPREPLY+=(\"$(printf %q \"$line\")\")\n"
		"\tdone <<<\"$1\"\n"
		"}\n"
		"_corbel_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- "
		"\"$cur\"); }\n"
		"\n"
		"# $place: how many words before the cursor are neither of the $1 of the verb, nor\n"
		"# options, nor values of those in $2.\n"
		"_corbel_place() {\n"
		"\tlocal i\n"
		"\tplace=0\n"
		"\tfor ((i = $1 + 1; i < COMP_CWORD; i++)); do\n"
		"\t\t[[ ${COMP_WORDS[i]} == -* || \" $2 \" == *\" ${COMP_WORDS[i-1]} \"* ]] || "
		"place=$((place + 1))\n"
		"\tdone\n"
		"}\n"
		"\n"
		"_corbel() {\n"
		"\tlocal place cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tlocal at=${COMP_WORDS[1]}\n"
		"\tCOMPREPLY=()\n"
		"\tif ((COMP_CWORD == 1)); then\n";

	text += fmt::format(
		"\t\t_corbel_words {}\n\t\treturn\n\tfi\n",
		shell_quoted(fmt::format("{} --help --version", fmt::join(first_words(), " "))));
	for (auto group : all_groups())
		text += fmt::format("\tif [[ $at == {} ]]; then\n"
				    "\t\t((COMP_CWORD == 2)) && _corbel_words {} && return\n"
				    "\t\tat+=\" ${{COMP_WORDS[2]}}\"\n"
				    "\tfi\n",
				    group, shell_quoted(names_of(verbs_of(group)) + " --help"));
	text += "\tcase $at in\n";
	for (const Verb *verb : all_verbs())
		text += bash_case(*verb);
	return text + "\tesac\n}\ncomplete -F _corbel corbel\n";
}

std::string zsh_completion()
{
	std::string text = "#compdef corbel\n"
			   "# zsh completion for corbel, made by `corbel completion zsh`\n"
			   "\n"
			   "_corbel_guests() {\n"
			   "\tlocal -a guests\n"
			   "\tguests=(${(f)\"$(corbel completion --guests 2>/dev/null)\"})\n"
			   "\tcompadd -a guests\n"
			   "}\n"
			   "_corbel_names() {\n"
			   "\tlocal -a names\n"
			   "\tnames=(${(f)\"$(corbel completion --names $1 2>/dev/null)\"})\n"
			   "\tcompadd -a names\n"
			   "}\n"
			   "\n"
			   "_corbel() {\n"
			   "\tlocal -a names\n"
			   "\tif (( CURRENT == 2 )); then\n";
	auto first = summaries_of(verbs_of(""));

	for (auto group : all_groups())
		first.emplace_back(group, group_summary(group));
	text += zsh_names(first, "\t\t") + "\tfi\n\tcase $words[2] in\n";
	for (const Verb *verb : verbs_of(""))
		text += fmt::format("\t({})\n\t\tshift words; (( CURRENT-- ))\n{}\t\t;;\n",
				    verb->name, zsh_arguments(*verb, "\t\t"));
	for (auto group : all_groups()) {
		text += fmt::format("\t({})\n\t\tif (( CURRENT == 3 )); then\n{}\t\tfi\n"
				    "\t\tcase $words[3] in\n",
				    group, zsh_names(summaries_of(verbs_of(group)), "\t\t\t"));
		for (const Verb *verb : verbs_of(group))
			text += fmt::format("\t\t({})\n\t\t\tshift 2 words; (( CURRENT -= 2 ))\n"
					    "{}\t\t\t;;\n",
					    verb->name, zsh_arguments(*verb, "\t\t\t"));
		text += "\t\tesac\n\t\t;;\n";
	}
	return text + "\tesac\n}\n\n"
		      "if [[ $funcstack[1] == _corbel ]]; then\n"
		      "\t_corbel \"$@\"\n"
		      "else\n"
		      "\tcompdef _corbel corbel\n"
		      "fi\n";
}

std::string fish_completion()
{
	std::string text =
		"# fish completion for corbel, made by `corbel completion fish`\n"
		"\n"
		"# The words after `corbel` begin with these.\n"
		"function __corbel_at\n"
		"\tset -l words (commandline -opc)\n"
		"\tset -l wanted $argv\n"
		"\tfor i in (seq (count $wanted))\n"
		"\t\tset -l next (math $i + 1)\n"
		"\t\ttest \"$words[$next]\" = \"$wanted[$i]\"; or return 1\n"
		"\tend\n"
		"end\n"
		"# So many of them are neither of the $argv[3] of the verb, nor options, nor\n"
		"# values of the options that follow.\n"
		"function __corbel_place\n"
		"\tset -l words (commandline -opc)\n"
		"\tset -l place 0\n"
		"\tset -l first (math $argv[3] + 2)\n"
		"\tif test (count $words) -ge $first\n"
		"\t\tfor i in (seq $first (count $words))\n"
		"\t\t\tstring match -q -- '-*' $words[$i]; and continue\n"
		"\t\t\tcontains -- $words[(math $i - 1)] $argv[4..]; and continue\n"
		"\t\t\tset place (math $place + 1)\n"
		"\t\tend\n"
		"\tend\n"
		"\ttest $place $argv[1] $argv[2]\n"
		"end\n"
		"# There are so many words before the cursor, and the first is this.\n"
		"function __corbel_after\n"
		"\tset -l words (commandline -opc)\n"
		"\ttest (count $words) -eq $argv[1]; or return 1\n"
		"\ttest (count $argv) -eq 1; or test \"$words[2]\" = \"$argv[2]\"\n"
		"end\n"
		"complete -c corbel -f\n";

	for (const Verb *verb : verbs_of(""))
		text += fmt::format("complete -c corbel -n '__corbel_after 1' -a {} -d {}\n",
				    verb->name, shell_quoted(verb->summary));
	for (auto group : all_groups()) {
		text += fmt::format("complete -c corbel -n '__corbel_after 1' -a {} -d {}\n", group,
				    shell_quoted(group_summary(group)));
		for (const Verb *verb : verbs_of(group))
			text += fmt::format(
				"complete -c corbel -n '__corbel_after 2 {}' -a {} -d {}\n", group,
				verb->name, shell_quoted(verb->summary));
	}
	for (const Verb *verb : all_verbs())
		text += fish_verb(*verb);
	return text;
}

} /* namespace corbel::cli */
