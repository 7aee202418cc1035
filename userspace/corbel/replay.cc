// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm_command.hh"

#include <libcorbel/number.hh>

#include <cerrno>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string recording, to, from, at;
	MovedImages images;
	std::uint32_t jobs = 1;
	bool verify = false, json = false;
};

Result<void> check_place(const std::string &word)
{
	if (number_of<std::uint64_t>(word))
		return {};
	return failure(EINVAL, fmt::format("'{}' is not the number of an exit.", word));
}

ExitCode replay(const Options &options)
{
	VmmCommand command("replay");

	command.add_word(options.recording);
	options.images.add_to(command);
	command.add("--to", options.to);
	command.add("--from", options.from);
	command.add("--at", options.at);
	command.add("--verify", options.verify || options.jobs > 1);
	if (options.jobs > 1)
		command.add_number("--jobs", options.jobs);
	return options.json ? command.print_report() : command.become();
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_recording(set, options->recording);
	options->images.declare(set);
	set.text("--to", options->to, "EXIT", "Stop behind this exit", check_place);
	set.text("--from", options->from, "EXIT",
		 "Begin behind this exit; needs `corbel recording checkpoints`", check_place);
	set.text("--at", options->at, "N", "Begin at this checkpoint, of which the first is 0",
		 check_place);
	set.flag("--verify", options->verify,
		 "Compare all of memory and all registers wherever the recording has digests of "
		 "them, not only at the end");
	set.number("--jobs", options->jobs, {.least = 1, .most = 256}, "N",
		   "So many verify beside each other what is between checkpoints");
	set.json(options->json);
	return [options] { return replay(*options); };
}

} /* namespace */

const Verb replay_verb{
	.group = "",
	.name = "replay",
	.summary = "Have a recorded guest do again exactly what it did",
	.examples =
		"corbel replay boot.rec --verify            all that it came to is compared on the way\n"
		"corbel replay boot.rec --to 5000 --json    as far as that exit\n"
		"corbel replay boot.rec --verify --jobs 8   by eight at once; needs checkpoints\n",
	.exit_codes =
		"3: the replay differs from the recording, of which the first difference is told.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe_run,
	.declare = declare,
};

} /* namespace corbel::cli */
