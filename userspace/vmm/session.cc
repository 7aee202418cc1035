// SPDX-License-Identifier: GPL-2.0-or-later
#include "session.hh"

#include "boot.hh"
#include "console_server.hh"
#include "end_watch.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::uint32_t recorded_tsc_khz = 1000000; /* the module's counter is in ns */
constexpr std::size_t recording_limit = std::size_t{1} << 36;

/* ---- what is run ------------------------------------------------------------------- */

Result<Parts> new_guest(const Options &options, const Machine &machine)
{
	Parts parts;
	auto &header = parts.header;
	auto kernel = CORBEL_EXPECT(load_image(options.kernel, "kernel"));

	header.memory = options.memory_mib << 20;
	header.began = static_cast<std::uint64_t>(::time(nullptr));
	header.shift = options.shift;
	header.module = !options.without_module;
	header.tsc_khz = header.module ? recorded_tsc_khz : machine.tsc_khz();
	header.command_line = options.command_line.empty() ? std::string(default_command_line)
							   : options.command_line;
	header.command_line += fmt::format(" tsc_early_khz={}", header.tsc_khz);
	if (!options.append.empty())
		header.command_line += " " + options.append;
	header.kernel = kernel.image;
	parts.kernel = std::move(kernel.bytes);
	if (!options.initrd.empty()) {
		auto initrd = CORBEL_EXPECT(load_image(options.initrd, "initrd"));

		header.initrd = initrd.image;
		parts.initrd = std::move(initrd.bytes);
	}
	if (!options.disk.empty()) {
		auto disk = CORBEL_EXPECT(Disk::open(options.disk));

		header.disk = disk.image();
		parts.backends.disk.emplace(std::move(disk));
	}
	if (!options.net.empty()) {
		auto link = CORBEL_EXPECT(NetLink::open(options.net));

		header.mac = link->mac();
		parts.backends.net = net_device(*header.mac, std::move(link));
	}
	if (!options.vsock.empty()) {
		auto link = CORBEL_EXPECT(VsockLink::open(options.vsock));

		header.cid = link->cid();
		parts.backends.vsock = vsock_device(*header.cid, std::move(link));
	}
	header.cpuid = machine.cpuid();
	header.msrs.assign(kept_msrs().begin(), kept_msrs().end());
	return parts;
}

} /* namespace */

Result<std::string> read_recording(const std::string &path)
{
	auto bytes = text_of_file(path, recording_limit);

	if (!bytes)
		return failure(ENOENT, fmt::format("The recording {} cannot be read.", path));
	return std::move(*bytes);
}

Result<Parts> recorded_guest(const Options &options, Header header, const Machine &machine)
{
	Parts parts;

	CORBEL_EXPECT(same_cpuid(header.cpuid, machine.cpuid()));
	if (!std::ranges::equal(header.msrs, kept_msrs()))
		return failure(EPROTO,
			       "The recording has other registers of the CPU in its states "
			       "than this corbel-vmm: replay it with the one that made it.");
	auto kernel = CORBEL_EXPECT(
		load_image(options.kernel.empty() ? header.kernel.path : options.kernel, "kernel"));

	CORBEL_EXPECT(same_image(header.kernel, kernel.image, "kernel"));
	parts.kernel = std::move(kernel.bytes);
	if (header.initrd) {
		auto initrd = CORBEL_EXPECT(load_image(
			options.initrd.empty() ? header.initrd->path : options.initrd, "initrd"));

		CORBEL_EXPECT(same_image(*header.initrd, initrd.image, "initrd"));
		parts.initrd = std::move(initrd.bytes);
	}
	if (header.disk) {
		auto disk = CORBEL_EXPECT(
			Disk::open(options.disk.empty() ? header.disk->path : options.disk));

		CORBEL_EXPECT(same_image(*header.disk, disk.image(), "disk"));
		parts.backends.disk.emplace(std::move(disk));
	}
	parts.backends.add_packet_devices(header.mac, header.cid);
	parts.header = std::move(header);
	return parts;
}

Result<void> start_guest(const Parts &parts, Machine &machine)
{
	auto sregs = CORBEL_EXPECT(machine.sregs());
	kvm_regs regs{};
	const auto entry = CORBEL_EXPECT(load_guest(machine.memory(), parts.kernel, parts.initrd,
						    parts.header.command_line));

	enter_long_mode(machine.memory(), entry, regs, sregs);
	return machine.set_start(regs, sregs);
}

/* ---- around the run ---------------------------------------------------------------- */

void write_console(std::string_view bytes)
{
	while (!bytes.empty()) {
		const auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());

		if (written < 0 && errno == EINTR)
			continue;
		/* A console that nobody reads any more is no reason to end. */
		if (written <= 0)
			return;
		bytes.remove_prefix(static_cast<std::size_t>(written));
	}
}

namespace {

Result<ScopedFd> open_input(const std::string &path)
{
	if (path.empty())
		return ScopedFd();
	ScopedFd fd(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				: ::open(path.c_str(), O_RDONLY | O_CLOEXEC));

	if (!fd)
		return failure(errno, fmt::format("The console's input {} cannot be opened: {}.",
						  path, describe_errno(errno)));
	return fd;
}

} /* namespace */

Result<Json> report_of(const Monitor &monitor, Journal &journal, Machine &machine, Ending ending,
		       const Backends &backends, double seconds)
{
	const auto &counts = monitor.counts();
	const auto state = CORBEL_EXPECT(machine.state());

	CORBEL_EXPECT(machine.gather_written());
	Json report{
		{"ending", name_of(ending)},
		{"result", monitor.result()},
		{"exits", journal.exits()},
		{"interrupts", counts.interrupts},
		{"halts", counts.halts},
		{"landmarks", counts.landmarks},
		{"checkpoints", counts.checkpoints},
		{"late_landmarks", counts.late},
		{"longest_run_ms", static_cast<double>(counts.longest_run) / 1e6},
		{"stops", counts.stops},
		{"console_bytes", counts.console_bytes},
		{"tsc_reads", journal.tsc_reads()},
		{"entries", journal.entries()},
		{"file_bytes", journal.file_bytes()},
		{"guest_seconds", static_cast<double>(monitor.now()) / 1e9},
		{"seconds", seconds},
		{"devices", fmt::format("{:016x}", XXH3_64bits(&monitor.board(), sizeof(Board)))},
		{"memory", fmt::format("{:016x}", machine.memory().digest())},
	};

	if (backends.disk)
		report["disk"] = {
			{"requests", backends.disk->requests()},
			{"failed", backends.disk->failed()},
			{"written",
			 fmt::format("{:016x}", backends.disk->disk().overlay().digest())},
		};
	for (const auto &[name, device] :
	     {std::pair("net", &backends.net), {"vsock", &backends.vsock}})
		if (*device)
			report[name] = {{"sent", (*device)->sent()},
					{"received", (*device)->received()}};
	for (const auto &[name, part] : {std::pair{"registers", Part::registers},
					 {"control", Part::control},
					 {"fpu", Part::fpu},
					 {"msrs", Part::msrs},
					 {"events", Part::events},
					 {"debug", Part::debug}})
		report[name] = fmt::format("{:016x}", state.digest(part));
	return report;
}

Result<void> write_report(const Options &options, const Json &report)
{
	if (options.report.empty())
		return {};
	std::ofstream file(options.report);

	if (!(file << report.dump() << '\n').flush())
		return failure(EIO,
			       fmt::format("The report {} cannot be written.", options.report));
	return {};
}

Result<void> tell(const Options &options, const Json &report)
{
	if (report["ending"] == name_of(Ending::cut))
		std::fputs("corbel-vmm: the recording was cut here: its recorder was killed, or "
			   "the file is not complete\n",
			   stderr);
	std::fputs(
		fmt::format("corbel-vmm: the guest ended: {}; {} exits, {} interrupts, {} reads of "
			    "the counter, {} landmarks, {} checkpoints in {:.3f} s of its time; "
			    "{:.3f} s passed here\n",
			    report["ending"].get<std::string>(),
			    report["exits"].get<std::uint64_t>(),
			    report["interrupts"].get<std::uint64_t>(),
			    report["tsc_reads"].get<std::uint64_t>(),
			    report["landmarks"].get<std::uint64_t>(),
			    report["checkpoints"].get<std::uint64_t>(),
			    report["guest_seconds"].get<double>(), report["seconds"].get<double>())
			.c_str(),
		stderr);
	return write_report(options, report);
}

Result<void> run_session(const Options &options)
{
	const bool replays = options.mode == Mode::replay;
	std::optional<ChunkReader> reader;
	std::string file;
	Header header;

	/* First of all, so that every thread has them blocked. */
	EndWatch::block_signals();
	if (replays) {
		file = CORBEL_EXPECT(read_recording(options.recording));
		reader = CORBEL_EXPECT(ChunkReader::open(file));
		header = CORBEL_EXPECT(decode_header(reader->header()));
	}
	auto machine =
		CORBEL_EXPECT(Machine::create(replays ? header.memory : options.memory_mib << 20));
	auto kicker = CORBEL_EXPECT(Kicker::create(machine.area()));
	HostInput input(replays ? ScopedFd() : CORBEL_EXPECT(open_input(options.input)),
			[raw = kicker.get()] { raw->kick(); });
	const auto console = options.console.empty()
				     ? nullptr
				     : CORBEL_EXPECT(ConsoleServer::create(options.console, input));
	/* Its network wakes who waits for input, so it goes before that. */
	auto parts = CORBEL_EXPECT(replays ? recorded_guest(options, header, machine)
					   : new_guest(options, machine));

	CORBEL_EXPECT(start_guest(parts, machine));
	auto journal = CORBEL_EXPECT(Journal::create(
		{options.mode, parts.header.shift, parts.header.module ? machine.vcpu_fd() : -1},
		reader));

	/* The last that can fail, so that no file is made for nothing. */
	if (options.mode == Mode::record)
		journal->record_to(CORBEL_EXPECT(
			RecordingWriter::create(options.recording, encode(parts.header))));
	Board board(parts.header.began);

	parts.backends.plug_into(board);
	Monitor monitor(machine, *journal, *kicker, input, parts.backends, board,
			{.checkpoint = options.checkpoint,
			 .verify = options.verify,
			 .warp = options.warp,
			 .to = options.to,
			 .patience = std::chrono::milliseconds(options.patience_ms) *
				     (1U << parts.header.shift),
			 .console = [&](std::string_view bytes) {
				 write_console(bytes);
				 if (console)
					 console->print(bytes);
			 }});
	for (const auto *const device : {&parts.backends.net, &parts.backends.vsock})
		if (*device && (*device)->link())
			(*device)->link()->start([&input] { input.wake(); });
	std::atomic<bool> stops = false;
	const EndWatch watch([&] {
		stops = true;
		monitor.stop();
		input.wake();
		kicker->kick();
	});
	while (console && options.wait_at_console && !stops && !console->is_attended())
		std::this_thread::sleep_for(std::chrono::milliseconds(10));
	const auto began = std::chrono::steady_clock::now();
	const auto ending = CORBEL_EXPECT(monitor.run());
	const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;

	return tell(options, CORBEL_EXPECT(report_of(monitor, *journal, machine, ending,
						     parts.backends, seconds.count())));
}

} /* namespace corbel::vmm */
