/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block devices for direct I/O: one of RAM, and one whose reads take as long as they are
 * told to, while the kernel holds the pages that they go to.
 */
#pragma once

#include "file.hh"

#include <string>
#include <thread>

namespace corbel::selftest {

/* /dev/ram0, 4 MiB. Skips the case where there is none. */
class ram_disk {
public:
	ram_disk();
	~ram_disk();
	ram_disk(const ram_disk &) = delete;

	int get() const { return fd.get(); }

private:
	unique_fd fd;
};

/* /dev/nbd0, 1 MiB, served by this process. Skips the case where there is none. */
class slow_disk {
public:
	slow_disk();
	~slow_disk();
	slow_disk(const slow_disk &) = delete;

	/* Open for O_DIRECT. */
	int get() const { return fd.get(); }
	/* Waits until a read of it is under way. */
	void wait_read();
	/* That read ends with these bytes, over and over. */
	void finish_read(uint64_t word);

private:
	unique_fd device, fd, server;
	std::thread service;
	char handle[8];
	uint32_t length = 0;
};

} // namespace corbel::selftest
