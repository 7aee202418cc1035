/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unix_socket.hh - a stream socket with a name in the file system, within a time limit. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <filesystem>
#include <string_view>
#include <sys/types.h>

namespace corbel::qemu {

/* A point in time until which something is waited for. */
class Deadline {
public:
	explicit Deadline(std::chrono::milliseconds limit)
		: end_(std::chrono::steady_clock::now() + limit)
	{}
	[[nodiscard]] bool passed() const { return std::chrono::steady_clock::now() >= end_; }
	/* As poll(2) takes it; rounded up, so that who waits for it does not spin. */
	[[nodiscard]] int left_ms() const;

private:
	std::chrono::steady_clock::time_point end_;
};

/* Non-blocking. ETIMEDOUT: nobody takes the connection. */
[[nodiscard]] Result<ScopedFd> connect_unix(const std::filesystem::path &path, Deadline deadline);

/* The process at the other end; 0 if that is not told. */
[[nodiscard]] pid_t peer_of(const ScopedFd &socket);

/* Until @events (poll) come. False: the deadline has passed. */
[[nodiscard]] bool wait_for(const ScopedFd &socket, short events, Deadline deadline);

} /* namespace corbel::qemu */
