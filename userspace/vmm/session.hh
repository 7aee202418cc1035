/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.hh - one run of the monitor from its options to its report. */
#pragma once

#include "monitor.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <string>

namespace corbel::vmm {

struct Options {
	Mode mode = Mode::plain;
	std::string recording;
	std::string kernel, initrd;
	std::string net; /* as NetLink has it; empty: none */
	std::string disk; /* a raw image; empty: none, or of a replay the recorded one */
	std::string command_line, append;
	std::uint64_t memory_mib = 256;
	std::uint32_t shift = 0;
	std::uint64_t checkpoint = 10000;
	std::uint64_t to = ~std::uint64_t{0};
	std::uint32_t patience_ms = 10;
	bool warp = false, verify = false, without_module = false;
	std::string input; /* "-": standard input; empty: none */
	std::string report; /* a file for what it came to, as JSON */
};

/* What it came to is on standard error; the guest's console is standard output. */
[[nodiscard]] Result<void> run_session(const Options &options);

} /* namespace corbel::vmm */
