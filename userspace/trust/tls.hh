/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls.hh - two hosts find out over a TCP connection who the other one is.
 *
 * TLS 1.3, both show a certificate, and each judges the other's by verify.hh, so that there is
 * an exact reason when it does not take it. The host that connected is done with TLS before the
 * other has judged it; so that one then says with a byte how it takes it, and no Connection
 * comes to be on either side before both have said yes. Who is not taken learns why by a TLS
 * alert.
 *
 *   who connects                        who is connected to
 *        | ---- ClientHello -----------------> |
 *        | <--- its certificates ------------- |
 *   judges them                                |
 *        | ---- its certificates ------------> |
 *        |                                judges them
 *        | <--- 'k' known, 's' stranger ------ |
 */
#pragma once

#include "identity.hh"
#include "verify.hh"

#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <expected>
#include <memory>
#include <string>

struct ssl_st;

namespace corbel::trust {

struct Peer {
	Presented host;
	bool known; /* to this side; else nothing but pairing is to be had */
	bool knows_us; /* the other side said so; true where this side was connected to */
	std::string remote;
};

/* A connection on which both sides said yes. For one thread at a time. */
class Connection {
public:
	Connection(ScopedFd fd, std::shared_ptr<ssl_st> ssl, Peer peer)
		: fd_(std::move(fd)), ssl_(std::move(ssl)), peer_(std::move(peer))
	{}

	[[nodiscard]] const Peer &peer() const { return peer_; }
	[[nodiscard]] int fd() const { return fd_.get(); }
	[[nodiscard]] ssl_st *ssl() const { return ssl_.get(); }

private:
	ScopedFd fd_;
	std::shared_ptr<ssl_st> ssl_;
	Peer peer_;
};

using Handshake = std::expected<Connection, Refusal>;

inline constexpr std::chrono::milliseconds handshake_limit = std::chrono::seconds(10);

struct ServerOptions {
	Lookup lookup;
	bool pairing_open = false; /* strangers are let in, as such */
	std::chrono::milliseconds limit = handshake_limit;
};

/*
 * All take a connected TCP socket, which is closed if the other is refused;
 * block for at most the limit, and a second more to let it know why; and may be called by
 * any number of threads. @identity is only used until they return.
 */

/* The side that was connected to. */
[[nodiscard]] Handshake accept_host(ScopedFd fd, const Identity &identity,
				    const ServerOptions &options);
/* The side that connected to @expected. */
[[nodiscard]] Handshake connect_host(ScopedFd fd, const Identity &identity,
				     const PeerTrust &expected,
				     std::chrono::milliseconds limit = handshake_limit);
/* The side that got a token: it knows nothing of the other but its authority. */
[[nodiscard]] Handshake connect_inviter(ScopedFd fd, const Identity &identity,
					const Fingerprint &authority,
					std::chrono::milliseconds limit = handshake_limit);

} /* namespace corbel::trust */
