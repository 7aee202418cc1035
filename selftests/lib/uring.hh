/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An io_uring of one request at a time, by its system calls.
 */
#pragma once

#include "file.hh"

#include <linux/io_uring.h>

namespace corbel::selftest {

class io_ring {
public:
	io_ring();
	~io_ring();
	io_ring(const io_ring &) = delete;

	/* Waits for its completion and answers that: a length or a negative error number. */
	int write(int fd, const void *from, unsigned bytes);
	int read(int fd, void *to, unsigned bytes);

	/* 0 or a negative error number. */
	int register_buffer(void *at, size_t bytes);

private:
	int submit(const io_uring_sqe &request);

	static constexpr unsigned entries = 4;
	io_uring_params parameters{};
	unique_fd fd;
	char *rings;
	size_t rings_bytes;
	io_uring_sqe *requests;
};

} // namespace corbel::selftest
