/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * acceptor.hh - lets hosts in that connect.
 *
 * A number of threads wait for connections, and each finds out who it has got before it waits
 * for the next. Who says nothing has one of them for the time limit; so an address has only
 * some, and the others stay free for others.
 */
#pragma once

#include "address.hh"
#include "tls.hh"

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace corbel::trust {

struct AcceptorOptions {
	/* The one to use from now on; asked anew for each connection. Never null. */
	std::function<std::shared_ptr<const Identity>()> identity;
	Lookup lookup;
	std::function<bool()> pairing_open{}; /* empty: never */
	/* All of these are called by several threads at once. */
	std::function<void(Connection)> accepted;
	std::function<void(const Refusal &)> refused{};

	unsigned at_once = 32; /* handshakes: threads */
	unsigned per_address = 4; /* of those; more are closed at once */
	std::chrono::milliseconds limit = handshake_limit; /* for each */
};

class Acceptor {
public:
	/* @listener as of listen_at(). EMFILE, ENFILE, EAGAIN: no room for another thread. */
	[[nodiscard]] static Result<std::unique_ptr<Acceptor>> start(ScopedFd listener,
								     AcceptorOptions options);
	/* Ends what is under way; after it nothing of the options is called. */
	~Acceptor();
	Acceptor(const Acceptor &) = delete;

private:
	class Guest;

	Acceptor(ScopedFd listener, AcceptorOptions options);

	void run();
	/* Nothing: there is none yet, or another thread has it. */
	[[nodiscard]] ScopedFd next();
	void serve(ScopedFd fd);

	ScopedFd listener_;
	AcceptorOptions options_;
	ScopedFd ending_; /* readable: it is time to end */

	std::mutex lock_; /* for these */
	bool ended_ = false;
	std::list<int> under_way_; /* duplicates, which stay open while they are here */
	std::map<std::string, unsigned> of_address_;

	std::vector<std::thread> threads_;
};

} /* namespace corbel::trust */
