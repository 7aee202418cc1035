// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema.hh"
#include "vmm_command.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string recording;
	std::vector<std::string> exits;
	MovedImages images;
	bool json = false;
};

ExitCode go(const Options &options)
{
	VmmCommand command("goto");

	command.add_word(options.recording);
	options.images.add_to(command);
	for (const auto &exit : options.exits)
		command.add_word(exit);
	return command.become();
}

Json describe()
{
	namespace s = schema;

	return s::any_of(
		{s::joined(describe_run(),
			   s::object({{"position", s::count("the exit that was asked for")},
				      {"from", s::count("the exit it was gone to from")},
				      {"restored", s::boolean("a checkpoint was put back")},
				      {"replayed", s::count("exits that were done again")},
				      {"restore_seconds", s::real("that putting it back took")},
				      {"general", s::dictionary(s::string("in hexadecimal"),
								"registers by name")}})),
		 s::object({{"error", s::string("what was not understood, of standard input")}})});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_recording(set, options->recording);
	set.texts("exit", options->exits, "EXIT",
		  "Where to go; none: they are read from standard input, one a line");
	options->images.declare(set);
	set.flag("--json", options->json, "JSON, a line for each: there is nothing else");
	return [options] { return go(*options); };
}

} /* namespace */

const Verb recording_goto_verb{
	.group = "recording",
	.name = "goto",
	.summary = "Go to places of a recording, forwards and backwards, and say what is there",
	.examples =
		"corbel recording goto boot.rec 11000 42 | jq .general.rip   two places\n"
		"corbel recording goto boot.rec                              those that are typed\n",
	.exit_codes = "3: the replay differs from the recording.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
