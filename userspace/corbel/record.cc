// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm_command.hh"

#include <memory>

#include <unistd.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string output, kernel, initrd, disk, net, vsock, append, command_line, input, console;
	std::uint64_t checkpoint = 0;
	std::uint32_t memory = 256, shift = 0, patience = 10;
	bool warp = false, json = false;
};

ExitCode record(const Options &options)
{
	VmmCommand command("record");

	command.add("--output", options.output);
	command.add("--kernel", options.kernel);
	command.add("--initrd", options.initrd);
	command.add("--disk", options.disk);
	command.add("--net", options.net);
	command.add("--vsock", options.vsock);
	command.add("--append", options.append);
	command.add("--command-line", options.command_line);
	command.add("--input", options.input);
	command.add("--console", options.console);
	command.add_number("--memory", options.memory);
	command.add_number("--shift", options.shift);
	command.add_number("--patience", options.patience);
	if (options.checkpoint)
		command.add_number("--checkpoint", options.checkpoint);
	command.add("--warp", options.warp);
	if (options.json)
		return command.print_report();
	const bool attends = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 &&
			     options.input.empty() && options.console.empty();

	return attends ? command.attend() : command.become();
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("-o,--output", options->output, "FILE", "The recording, a new file");
	set.last_is_required();
	set.text("--kernel", options->kernel, "FILE", "A bzImage, as in /boot");
	set.last_is_required();
	set.text("--initrd", options->initrd, "FILE", "Its initrd");
	set.text("--disk", options->disk, "IMAGE",
		 "A disk, IMAGE[,format=raw]; what the guest writes is kept beside it, in memory");
	set.text("--net", options->net, "NET",
		 "A network card: tap=NAME, or socket=PATH,peer=PATH of datagrams, a frame each");
	set.text("--vsock", options->vsock, "PATH",
		 "vsock, by Unix sockets, PATH[,cid=N]: who connects to PATH and says `CONNECT "
		 "PORT` is connected to the guest, which is connected to PATH_PORT");
	set.number("--mem", options->memory, {.least = 16, .most = 1 << 20, .unit = "MiB"}, "MIB",
		   "Memory, 256 by default");
	set.text("--append", options->append, "WORDS", "More for the usual command line");
	set.text("--command-line", options->command_line, "WORDS",
		 "In place of the usual command line");
	set.text("--input", options->input, "FILE",
		 "What is typed at the console, `-` for standard input; by default what is typed "
		 "at this terminal, if it is one");
	set.text("--console", options->console, "SOCKET",
		 "A Unix socket at which the console is while the guest runs, for `corbel "
		 "recording console`");
	set.count("--checkpoint", options->checkpoint, "N",
		  "Exits between two digests of everything, 10000 by default");
	set.number("--shift", options->shift, {.least = 0, .most = 31}, "N",
		   "The guest's time is the host's, halved so often: for hosts that are slow");
	set.number("--patience", options->patience, {.least = 1, .most = 1000, .unit = "ms"}, "MS",
		   "Of the guest's time without an exit, after twice which it is interrupted "
		   "anywhere, 10 by default");
	set.flag("--warp", options->warp, "Skip the time in which the guest sleeps");
	set.json(options->json);
	return [options] { return record(*options); };
}

} /* namespace */

const Verb record_verb{
	.group = "",
	.name = "record",
	.summary = "Run a guest of one vCPU, and record it so that it can be replayed exactly",
	.examples =
		"corbel record --kernel /boot/vmlinuz --initrd initrd --mem 512 -o boot.rec  at this terminal\n"
		"corbel record --kernel vmlinuz --disk root.img --net tap=guest0 -o run.rec  with a disk and network\n"
		"corbel record --kernel vmlinuz --console /run/guest -o run.rec              its console elsewhere\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe_run,
	.declare = declare,
};

} /* namespace corbel::cli */
