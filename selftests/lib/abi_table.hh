/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every ioctl of the interface as data: on which descriptor, how its struct is
 * laid out, and how to fill in one that the kernel accepts. The hostile tests
 * and the fuzzer walk it; a new ioctl is tested by adding its line.
 */
#pragma once

#include "fd_set.hh"

#include <cstddef>
#include <optional>
#include <span>

namespace corbel::selftest {

struct byte_range {
	size_t offset;
	size_t length;
};

struct abi_entry {
	const char *name;
	fd_kind kind;
	unsigned long command;
	/* Flags that are defined; the member is at offset 4 of every struct. */
	__u32 flags;
	/* Bytes that must be zero. */
	std::vector<byte_range> zeroes;
	/* The offset of a user pointer inside the struct. */
	std::optional<size_t> pointer;
	bool makes_fd;
	/* The kernel has something to write back. */
	bool answers;
	/* Fills a zeroed struct, `size` included. */
	void (*fill)(void *argument, fd_set_of_vm &fds);

	size_t size() const { return _IOC_SIZE(command); }
};

std::span<const abi_entry> abi_table();

} // namespace corbel::selftest
