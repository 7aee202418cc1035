// SPDX-License-Identifier: GPL-2.0-or-later
#include "console.hh"
#include "verb.hh"

#include <cstdio>
#include <memory>

#include <unistd.h>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

ExitCode join(const std::string &socket)
{
	if (::isatty(STDIN_FILENO) == 1)
		fmt::print(stderr, "The console at {}: Ctrl-] leaves it.\n", socket);
	return exit_code_of(join_console(socket));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto socket = std::make_shared<std::string>();

	set.text("socket", *socket, "SOCKET", "As it was given to `corbel record --console`");
	set.last_is_required();
	return [socket] { return join(*socket); };
}

} /* namespace */

const Verb recording_console_verb{
	.group = "recording",
	.name = "console",
	.summary = "Sit at the console of a guest while it is recorded; Ctrl-] leaves it",
	.examples =
		"corbel recording console /run/guest   keys go to the guest, and are recorded\n",
	.effect = Effect::read,
	.repeat = Repeat::own,
	.declare = declare,
};

} /* namespace corbel::cli */
