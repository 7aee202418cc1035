/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command.hh - the arguments with which QEMU is started. */
#pragma once

#include "description.hh"
#include "runtime.hh"

namespace corbel::qemu {

struct CommandOptions {
	bool memory_object = false; /* else the memory is QEMU's own */
	bool all_memory = false; /* of QEMU's own: all of it is allocated before it is ready */
	bool incoming = false; /* it waits, paused, for the state of a VM that comes here */
};

/*
 * The first one is the program. A memory object is named by node_to_come; RAM is called the
 * same with either kind of memory, so that a VM can come from one to the other.
 */
[[nodiscard]] std::vector<std::string> command_of(const Description &vm, const Runtime &runtime,
						  const std::string &program,
						  CommandOptions options = {});

struct ConsoleFiles {
	std::string socket, log;
};

/* Of the serial console, whether they are named in the description or not. */
[[nodiscard]] ConsoleFiles console_of(const Description &vm, const Runtime &runtime);

/* What QEMU calls the node of a disk, by its number among those of the VM. */
[[nodiscard]] std::string node_of_disk(std::size_t number);

/* The same one at each start, and hardly another VM's: made of the uuid. */
[[nodiscard]] std::uint32_t automatic_cid(const std::string &uuid);

} /* namespace corbel::qemu */
