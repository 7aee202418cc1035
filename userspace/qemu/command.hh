/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command.hh - the arguments with which QEMU is started. */
#pragma once

#include "description.hh"
#include "runtime.hh"

namespace corbel::qemu {

/* The first one is the program. */
[[nodiscard]] std::vector<std::string> command_of(const Description &vm, const Runtime &runtime,
						  const std::string &program);

struct ConsoleFiles {
	std::string socket, log;
};

/* Of the serial console, whether they are named in the description or not. */
[[nodiscard]] ConsoleFiles console_of(const Description &vm, const Runtime &runtime);

/* The same one at each start, and hardly another VM's: made of the uuid. */
[[nodiscard]] std::uint32_t automatic_cid(const std::string &uuid);

} /* namespace corbel::qemu */
