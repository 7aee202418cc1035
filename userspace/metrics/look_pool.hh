/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_pool.hh - threads for work that may never come back.
 *
 * A thread that is stuck is given up and another takes its place, so that what is stuck
 * holds up nothing else. Whoever submits sees to it that what hangs is not submitted again:
 * then there are at most as many threads as there are things that hang, and a few.
 */
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace corbel::metrics {

class LookPool {
public:
	using Clock = std::chrono::steady_clock;

	LookPool(unsigned threads, std::chrono::milliseconds patience);
	/*
	 * Waits a moment for what is under way. What does not come back goes on by itself: it
	 * may use only what it owns.
	 */
	~LookPool();
	LookPool(const LookPool &) = delete;

	void submit(std::function<void()> work);
	/* To be called now and then: gives up those that are stuck. */
	void tend();

	[[nodiscard]] std::size_t stuck() const;

private:
	struct State;

	static void serve(const std::shared_ptr<State> &state);

	std::shared_ptr<State> state_;
	unsigned threads_;
	std::chrono::milliseconds patience_;
};

} /* namespace corbel::metrics */
