// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.cc - corbel-vmm: a monitor of guests with one vCPU, which it runs, records or replays.
 */
#include <vmm/session.hh>

#include <corbel/version.h>

#include <cstdio>

#include <CLI/CLI.hpp>

namespace {

using namespace corbel;

/* IMAGE[,format=raw]: there is no other format, and what an image is is not guessed. */
std::string image_of(std::string &disk)
{
	constexpr std::string_view format = ",format=";
	const auto at = disk.rfind(format);

	if (at == std::string::npos)
		return {};
	if (std::string_view(disk).substr(at + format.size()) != "raw")
		return "an image's format is raw, and not " + disk.substr(at + format.size());
	disk.resize(at);
	return {};
}

void add_disk(CLI::App &verb, vmm::Options &options, const char *what)
{
	verb.add_option("--disk", options.disk, what)
		->transform(CLI::Validator(image_of, "IMAGE[,format=raw]"));
}

void add_guest(CLI::App &verb, vmm::Options &options)
{
	verb.add_option("--kernel", options.kernel, "A bzImage, or an ELF image for tests")
		->required();
	verb.add_option("--initrd", options.initrd, "Its initrd");
	add_disk(verb, options, "A disk: IMAGE[,format=raw], which is never written to");
	verb.add_option(
		"--net", options.net,
		"A network card: tap=NAME, or socket=PATH,peer=PATH of datagrams, as QEMU's "
		"-netdev dgram has them");
	verb.add_option("--vsock", options.vsock,
			"vsock, whose host's end is Unix sockets: PATH[,cid=N]. Who connects to "
			"PATH and says `CONNECT PORT` is connected to the guest; where the guest "
			"connects to a port, it is to PATH_PORT");
	verb.add_option("--command-line", options.command_line,
			"All of the kernel's command line, but for the rate of its clock");
	verb.add_option("--append", options.append, "More for the usual command line");
	verb.add_option("--memory", options.memory_mib, "MiB of memory")->capture_default_str();
	verb.add_option("--shift", options.shift,
			"The guest's time is the host's, divided by two so many times: for hosts "
			"that are slow")
		->check(CLI::Range(0, 31));
	verb.add_flag("--warp", options.warp, "Skips the time in which the guest sleeps");
	verb.add_option("--input", options.input, "What is typed at the console; - for stdin");
	verb.add_option("--console", options.console,
			"A Unix socket at which the console is, for one at a time, beside --input "
			"and standard output");
	verb.add_flag("--wait", options.wait_at_console,
		      "The guest begins when somebody is at that console");
	verb.add_option("--patience", options.patience_ms,
			"Milliseconds of the guest's time without an exit, after twice which it is "
			"interrupted anywhere")
		->check(CLI::Range(1, 1000))
		->capture_default_str();
	verb.add_flag("--without-module", options.without_module,
		      "For guests that never read the time stamp counter: corbel_replay.ko is "
		      "not needed");
}

constexpr const char *look =
	"Looks at all of memory and all registers wherever the recording has digests of them";

} /* namespace */

int main(int argc, char **argv)
{
	vmm::Options options;
	CLI::App app{"corbel-vmm: runs a guest of one vCPU; records it, and replays it exactly",
		     "corbel-vmm"};

	app.set_version_flag("--version", "corbel-vmm " CORBEL_VERSION);
	app.require_subcommand(1);
	auto *const run = app.add_subcommand("run", "Runs a guest");
	auto *const record = app.add_subcommand("record", "Runs a guest and records it");
	auto *const replay = app.add_subcommand("replay", "Has a guest do again what it did");
	auto *const checkpoints =
		app.add_subcommand("checkpoints", "Makes the checkpoints of a recording: a file "
						  "beside it by which others begin anywhere");
	auto *const go = app.add_subcommand("goto", "Goes to exits of a recording, in any order; "
						    "needs its checkpoints");

	add_guest(*run, options);
	add_guest(*record, options);
	record->add_option("-o,--output", options.recording, "The recording; a new file")
		->required();
	record->add_option("--checkpoint", options.checkpoint,
			   "Exits between two digests of everything; 0: only at the end")
		->capture_default_str();
	for (auto *const verb : {replay, checkpoints, go}) {
		verb->add_option("recording", options.recording, "What to replay")->required();
		verb->add_option("--kernel", options.kernel, "Where the kernel is now");
		verb->add_option("--initrd", options.initrd, "Where the initrd is now");
		add_disk(*verb, options, "Where the disk's image is now");
	}
	checkpoints->add_flag("--verify", options.verify, look);
	auto *const verify = replay->add_flag("--verify", options.verify, look);
	replay->add_option("--to", options.to, "Stops behind this exit");
	auto *const from = replay->add_option("--from", options.from,
					      "Begins behind this exit; needs checkpoints");
	auto *const at = replay->add_option("--at", options.at,
					    "Begins at this checkpoint, of which the first is 0")
				 ->excludes(from);

	replay->add_option("--jobs", options.jobs,
			   "So many verify beside each other what is between checkpoints")
		->check(CLI::Range(1, 256))
		->needs(verify)
		->excludes(from)
		->excludes(at);
	checkpoints->add_option("--every", options.every, "Exits between two of them")
		->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 48))
		->capture_default_str();
	checkpoints
		->add_option(
			"--limit", options.limit,
			"Bytes that the file may have, or 100M, or 2G: every second is given up "
			"when it is more")
		->transform(CLI::AsSizeValue(false))
		->default_str("4G");
	go->add_option("exits", options.positions,
		       "Where to go; none: they are read from standard input, one a line");
	for (auto *const verb : {run, record, replay, checkpoints})
		verb->add_option("--report", options.report, "A file for what it came to, as JSON");
	app.footer("Exit status: 0 it ended, 1 failure, 2 wrong usage, 3 the replay differs.");
	try {
		app.parse(argc, argv);
	} catch (const CLI::ParseError &error) {
		return app.exit(error) == 0 ? 0 : 2;
	}
	options.mode = *record ? vmm::Mode::record : *replay ? vmm::Mode::replay : vmm::Mode::plain;
	try {
		const auto done = *checkpoints		       ? vmm::make_checkpoints(options)
				  : *go			       ? vmm::go_to_positions(options)
				  : options.from || options.at ? vmm::replay_part(options)
				  : options.jobs > 1	       ? vmm::verify_beside(options)
							       : vmm::run_session(options);

		if (done)
			return 0;
		std::fprintf(stderr, "corbel-vmm: %s\n", done.error().sentence.c_str());
		return done.error().number == vmm::diverged ? 3 : 1;
	} catch (const std::exception &error) {
		std::fprintf(stderr, "corbel-vmm: %s\n", error.what());
		return 1;
	}
}
