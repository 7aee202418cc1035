/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel.hh - one tunnel: what comes out of TLS goes into a local socket, and back.
 *
 * Two bounded buffers and six moves, each of which does what it can and says whether that was
 * anything. A turn makes moves until none can: then whatever makes one possible again is an
 * event of one of the two sockets, so it is enough to have a turn after each of those.
 */
#pragma once

#include "tls.hh"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace corbel::trust {

/* Bytes on their way, at most as many as it was made for. */
class Passage {
public:
	explicit Passage(std::size_t size) : bytes_(size) {}

	[[nodiscard]] bool empty() const { return begin_ == end_; }
	[[nodiscard]] const char *data() const { return bytes_.data() + begin_; }
	[[nodiscard]] std::size_t size() const { return end_ - begin_; }
	/* Where @room() more can be put; moves what is there to the front if none is left. */
	[[nodiscard]] char *space();
	[[nodiscard]] std::size_t room() const { return bytes_.size() - end_; }
	void put(std::size_t count) { end_ += count; }
	void take(std::size_t count);

private:
	std::vector<char> bytes_;
	std::size_t begin_ = 0;
	std::size_t end_ = 0;
};

/* For the one thread that has turns of it. */
class Channel {
public:
	enum class Turn {
		waits, /* for an event of a socket */
		has_more, /* but others shall have their turn, too */
		ended,
	};

	Channel(Connection connection, ScopedFd plain, std::size_t buffer)
		: connection_(std::move(connection)),
		  plain_(std::move(plain)),
		  up_(buffer),
		  down_(buffer)
	{}

	/* Never blocks. */
	[[nodiscard]] Turn turn();
	/* Whoever had the other end of the local socket has closed it. */
	void note_gone() { gone_ = true; }
	[[nodiscard]] bool is_gone() const { return gone_; }
	/* Whether the last turn moved bytes to the other host. */
	[[nodiscard]] bool has_sent() const { return sent_; }
	[[nodiscard]] const Peer &peer() const { return connection_.peer(); }
	/* Why it broke; empty: both sides said that they were done. */
	[[nodiscard]] const std::string &why() const { return why_; }

private:
	bool read_plain();
	bool write_tls();
	bool close_tls();
	bool read_tls();
	bool write_plain();
	bool close_plain();

	/* Whether the last call to OpenSSL, which came to @code, is only to be made again. */
	[[nodiscard]] bool try_again(int code, const char *what);
	void fail(const char *what, const char *reason);
	[[nodiscard]] bool has_ended() const;

	Connection connection_;
	ScopedFd plain_;
	Passage up_; /* from the local socket to TLS */
	Passage down_;
	std::size_t moved_ = 0; /* in this turn */
	bool sent_ = false; /* in this turn */
	bool plain_ended_ = false; /* nothing more comes from there */
	bool tls_closed_ = false; /* and the other side was told */
	bool tls_ended_ = false;
	bool plain_closed_ = false;
	bool gone_ = false;
	bool broken_ = false;
	std::string why_;
};

} /* namespace corbel::trust */
