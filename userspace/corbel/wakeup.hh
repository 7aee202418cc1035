/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wakeup.hh - one place to wait for time, signals, keys and descriptors.
 *
 * The signals are blocked and read from a descriptor, so that none interrupts
 * the program anywhere else and every one of them leads to an orderly end.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace corbel::cli {

enum class Wakeup {
	time, /* the moment has come */
	quit, /* SIGINT, SIGTERM, SIGHUP, SIGQUIT or the key q */
	resized, /* SIGWINCH */
	suspend, /* SIGTSTP */
	ready, /* the descriptor watched is readable or has hung up */
};

class Waiter {
public:
	using Clock = std::chrono::steady_clock;

	/* @keys: look for the key q on standard input too. */
	[[nodiscard]] static Result<Waiter> make(bool keys);

	/* @watched may be -1. A quit is told before all else. */
	[[nodiscard]] Wakeup wait_until(Clock::time_point moment, int watched = -1);
	/* Several, each of which may be -1; ready() says which of them are. */
	[[nodiscard]] Wakeup wait_until(Clock::time_point moment, std::span<const int> watched);
	[[nodiscard]] bool ready(std::size_t which) const { return ready_[which]; }

private:
	Waiter(ScopedFd signals, bool keys) : signals_(std::move(signals)), keys_(keys) {}

	ScopedFd signals_;
	bool keys_;
	std::vector<bool> ready_;
};

} /* namespace corbel::cli */
