/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel.hh - messages over a connected stream socket, each with a time limit.
 *
 * No more than one message is ever held, so the other side cannot make this one
 * remember more than max_payload.
 */
#pragma once

#include <agent/protocol.hh>

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <string>
#include <string_view>

namespace corbel::agent {

struct Received {
	Head head;
	std::string payload;
};

class Channel {
public:
	using Clock = std::chrono::steady_clock;

	/* @fd is made non-blocking. */
	explicit Channel(ScopedFd fd);

	[[nodiscard]] int fd() const { return fd_.get(); }

	/* All of it. ETIMEDOUT; EPIPE once the other side is gone. */
	[[nodiscard]] Result<void> send(std::string_view bytes, Clock::time_point until);

	/* The next message. ETIMEDOUT; EPIPE; EPROTO and EMSGSIZE: it is none. */
	[[nodiscard]] Result<Received> receive(Clock::time_point until);

	/* There is something to receive, or the other side is gone. */
	[[nodiscard]] bool readable() const { return wait(input, Clock::time_point::min()); }
	[[nodiscard]] bool wait_readable(Clock::time_point until) const
	{
		return wait(input, until);
	}

private:
	static constexpr short input = 1; /* POLLIN */

	[[nodiscard]] bool wait(short events, Clock::time_point until) const;
	[[nodiscard]] Result<std::string> receive_bytes(std::size_t size, Clock::time_point until);

	ScopedFd fd_;
};

} /* namespace corbel::agent */
