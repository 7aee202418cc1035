// SPDX-License-Identifier: GPL-2.0-or-later
#include "command_line.hh"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>

#include <fmt/format.h>

int main(int argc, char **argv)
{
	using corbel::cli::ExitCode;
	auto code = ExitCode::failure;

	/* A reader that went away is an error of write(2), not a death. */
	std::signal(SIGPIPE, SIG_IGN);
	try {
		code = corbel::cli::run(argc, argv);
	} catch (const std::exception &error) {
		fmt::print(stderr, "corbel: {}\n", error.what());
	}

	/* What is still in the buffer can fail too, on a full disk above all. */
	if (std::fflush(stdout) != 0 && errno != EPIPE) {
		std::perror("corbel: standard output cannot be written");
		code = ExitCode::failure;
	}
	return static_cast<int>(code);
}
