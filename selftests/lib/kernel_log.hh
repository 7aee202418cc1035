/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel logged since a moment, searched for signs of trouble.
 */
#pragma once

#include "file.hh"

#include <string>

namespace corbel::selftest {

class kernel_log {
public:
	/* Remembers the end of the log as it is now. */
	kernel_log();

	/* Everything logged since construction or the last call. */
	std::string read_new();

	/*
	 * The lines that tell of a bug, with what follows the first; empty if
	 * there is none. A stall report without one of our functions in it is the
	 * emulated machine being starved by its host, so only printed.
	 */
	std::string find_splat();

private:
	unique_fd fd;
};

} // namespace corbel::selftest
