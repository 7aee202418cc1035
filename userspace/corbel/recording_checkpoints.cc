// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema.hh"
#include "vmm_command.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string recording, limit;
	MovedImages images;
	std::uint64_t every = 1000;
	bool verify = false, json = false;
};

ExitCode make(const Options &options)
{
	VmmCommand command("checkpoints");

	command.add_word(options.recording);
	options.images.add_to(command);
	command.add_number("--every", options.every);
	command.add("--limit", options.limit);
	command.add("--verify", options.verify);
	return options.json ? command.print_report() : command.become();
}

Json describe()
{
	namespace s = schema;

	return s::object({{"checkpoints", s::count("that there are now")},
			  {"every", s::count("exits between two of them")},
			  {"bytes", s::count("of the file")},
			  {"exits", s::count("of the recording")},
			  {"ending", s::string("of the recording")},
			  {"seconds", s::real("that passed here")}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_recording(set, options->recording);
	options->images.declare(set);
	set.count("--every", options->every, "N", "Exits between two of them, 1000 by default");
	set.text("--limit", options->limit, "SIZE",
		 "Of the file, such as 100M, 4G by default: when it is more, every second is given "
		 "up");
	set.flag("--verify", options->verify, "Compare what `corbel replay --verify` does, too");
	set.json(options->json);
	return [options] { return make(*options); };
}

} /* namespace */

const Verb recording_checkpoints_verb{
	.group = "recording",
	.name = "checkpoints",
	.summary = "Make the checkpoints of a recording, from which any place of it is near",
	.examples =
		"corbel recording checkpoints boot.rec                         a file beside it\n"
		"corbel recording checkpoints boot.rec --every 100 --limit 1G  closer together\n",
	.exit_codes = "3: the replay differs from the recording.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
