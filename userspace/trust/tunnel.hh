/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tunnel.hh - connections between hosts, as sockets that one just reads and writes.
 *
 * Each connection gets a local socket for whoever knows nothing of TLS, gRPC above all. What is
 * written there arrives at the other host's local socket, in order and whole; shutdown(SHUT_WR)
 * arrives as an end, and the other direction goes on. A side that does not read holds up the
 * one that writes to it and no other connection. If the connection breaks, or the other host
 * dies, the local socket ends in both directions; that this was no proper end is only said to
 * TunnelOptions::ended.
 *
 * One thread does all of it and is the only one that touches the connections' TLS.
 */
#pragma once

#include "tls.hh"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace corbel::trust {

class Channel;

struct TunnelOptions {
	std::size_t buffer = std::size_t{256} << 10; /* bytes, in each direction of each */
	/*
	 * After the local socket was closed, or shut down for both directions: how long the other
	 * side may take no bytes and not end the connection either, before it is ended here.
	 */
	std::chrono::milliseconds linger = std::chrono::seconds(60);
	/*
	 * One has ended; @why is empty if both sides said so. Called by the thread that does
	 * all the work, so it must not block, and must not call Tunnels.
	 */
	std::function<void(const Peer &peer, const std::string &why)> ended{};
};

class Tunnels {
public:
	/* EMFILE, ENFILE, EAGAIN: no room for another thread. */
	[[nodiscard]] static Result<std::unique_ptr<Tunnels>> start(TunnelOptions options = {});
	/* Ends all of them at once. No other thread may call anything here any more. */
	~Tunnels();
	Tunnels(const Tunnels &) = delete;

	/* Both may be called from any thread. */

	/*
	 * The local socket of a connection: a non-blocking AF_UNIX stream, which whoever has it
	 * closes. Does not block. EMFILE, ENFILE, ENOSPC: then the connection is closed.
	 */
	[[nodiscard]] Result<ScopedFd> carry(Connection connection);
	/*
	 * Ends those with @host: when it returns none carries a byte any more. Blocks for as
	 * long as the thread needs to come to it, milliseconds. Whoever calls it since the host
	 * is no longer trusted sees to it first that Lookup says so, and that what was being
	 * accepted meanwhile is not given to carry().
	 */
	void drop(const HostId &host);
	[[nodiscard]] std::size_t count() const { return count_; }

private:
	using Number = std::uint64_t; /* of a channel; never used again */

	explicit Tunnels(TunnelOptions options);

	void run();
	void wait_for_events();
	/* False: it is time to end. */
	[[nodiscard]] bool take_orders();
	void give_turns();
	void end_overdue();
	void end(Number number, const std::string &why);
	void wake() const;

	TunnelOptions options_;
	ScopedFd epoll_;
	ScopedFd wake_;
	std::atomic<std::size_t> count_ = 0;

	std::mutex lock_; /* for these */
	std::condition_variable done_;
	Number next_ = 1;
	std::map<Number, std::unique_ptr<Channel>> fresh_;
	std::vector<HostId> dropped_;
	std::uint64_t drops_ordered_ = 0;
	std::uint64_t drops_done_ = 0;
	bool ending_ = false;

	/* For the thread alone. */
	std::map<Number, std::unique_ptr<Channel>> channels_;
	std::set<Number> ready_;
	std::map<Number, std::chrono::steady_clock::time_point> lingering_; /* until then */

	std::thread thread_;
};

} /* namespace corbel::trust */
