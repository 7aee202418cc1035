/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.hh - one run of the monitor from its options to its report. */
#pragma once

#include "backends.hh"
#include "header.hh"
#include "monitor.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace corbel::vmm {

struct Options {
	Mode mode = Mode::plain;
	std::string recording;
	std::string kernel, initrd;
	std::string net; /* as NetLink has it; empty: none */
	std::string vsock; /* as VsockLink has it; empty: none */
	std::string disk; /* a raw image; empty: none, or of a replay the recorded one */
	std::string command_line, append;
	std::uint64_t memory_mib = 256;
	std::uint32_t shift = 0;
	std::uint64_t checkpoint = 10000;
	std::uint64_t to = ~std::uint64_t{0};
	std::uint32_t patience_ms = 10;
	bool warp = false, verify = false, without_module = false;
	std::string console; /* a socket; empty: none */
	bool wait_at_console = false; /* until somebody is there */
	std::string input; /* "-": standard input; empty: none */
	std::string report; /* a file for what it came to, as JSON */
	/* of checkpoints and what uses them */
	std::uint64_t every = 1000, limit = std::uint64_t{4} << 30;
	std::optional<std::uint64_t> from, at;
	std::vector<std::uint64_t> positions;
	std::uint32_t jobs = 1;
};

/* What a guest is made of. */
struct Parts {
	Header header;
	std::string kernel, initrd;
	Backends backends;
};

[[nodiscard]] Result<std::string> read_recording(const std::string &path);
/* Refuses what is not as it was when it was recorded. */
[[nodiscard]] Result<Parts> recorded_guest(const Options &options, Header header,
					   const Machine &machine);
[[nodiscard]] Result<void> start_guest(const Parts &parts, Machine &machine);

using Json = nlohmann::json;

/* What it came to. */
[[nodiscard]] Result<Json> report_of(const Monitor &monitor, Journal &journal, Machine &machine,
				     Ending ending, const Backends &backends, double seconds);
void write_console(std::string_view bytes);
/* In the file that the options name, if they do. */
[[nodiscard]] Result<void> write_report(const Options &options, const Json &report);
/* On standard error, too. */
[[nodiscard]] Result<void> tell(const Options &options, const Json &report);

/* What it came to is on standard error; the guest's console is standard output. */
[[nodiscard]] Result<void> run_session(const Options &options);

/* ---- of recordings that have checkpoints: checkpoint_sessions.cc, verify_session.cc ---- */

[[nodiscard]] Result<void> make_checkpoints(const Options &options);
/* To each of the positions, or to those that come as lines of standard input; a line of JSON each. */
[[nodiscard]] Result<void> go_to_positions(const Options &options);
/* From one of the checkpoints on. */
[[nodiscard]] Result<void> replay_part(const Options &options);
/* What is between two checkpoints is replayed beside the rest. */
[[nodiscard]] Result<void> verify_beside(const Options &options);

} /* namespace corbel::vmm */
