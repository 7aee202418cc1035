/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An unmodified QEMU with a stock Debian kernel in it, busy with virtio-blk and
 * virtio-net: qemu-tests/guest.
 */
#pragma once

#include "file.hh"

#include <csignal>
#include <string>

namespace corbel::selftest {

/* Standard output of a shell command; fails the case if that fails. */
std::string run_command(const std::string &command);

class stock_guest {
public:
	/* Started, and through its first round of traffic; skips the case where it cannot be. */
	explicit stock_guest(const std::string &arguments = {});
	/* Stopped. */
	~stock_guest();
	stock_guest(const stock_guest &) = delete;

	void wait_round() { run_command("qemu-tests/guest wait 1"); }
	std::string console() const { return run_command("qemu-tests/guest log"); }
	/* Fails the case if the guest's kernel complained. */
	void check_console() const;
	unique_fd take_vm_fd() const;

	pid_t pid = -1;
};

} // namespace corbel::selftest
