/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's monitor, spoken to by QMP: commands without arguments, whose answers are not looked into.
 */
#pragma once

#include "file.hh"

#include <string>

namespace corbel::selftest {

class monitor {
public:
	/* Connects to the UNIX socket that QEMU was told of by `-qmp`. */
	explicit monitor(const std::string &path);

	/* Fails the case if QEMU refuses. */
	void run(const std::string &command)
	{
		tell(command);
		wait_answer();
	}
	/* The two halves of it, for what QEMU does not answer at once. */
	void tell(const std::string &command);
	void wait_answer();

	/* What QEMU is told. */
	static std::string option(const std::string &path)
	{
		return "-qmp unix:" + path + ",server=on,wait=off";
	}

private:
	std::string read_line();

	unique_fd socket;
	std::string pending;
};

} // namespace corbel::selftest
