/* SPDX-License-Identifier: GPL-2.0 */
/*
 * budget.hh - so much time in each period, no more: a token bucket.
 *
 * It fills evenly and holds one period's worth. What is used can be known only after
 * it has been, so a use is allowed if what it may take is there, and charged with what
 * it took; the rest of an overrun is missing next time. Over any stretch of time T
 * thus at most
 *
 *	share (T / period + 1) + the largest overrun
 *
 * is used. Times are nanoseconds of one clock that does not go back.
 */
#pragma once

#include <cstdint>

namespace corbel::irq {

class Budget {
public:
	/* The longest period, so that products stay in 64 bits. */
	static constexpr std::uint64_t longest = 1'000'000'000;

	/* @share in each @period: share <= period, 0 < period <= longest. Full at first. */
	void set(std::uint64_t share, std::uint64_t period, std::uint64_t now)
	{
		share_ = share;
		period_ = period ? period : 1;
		left_ = static_cast<std::int64_t>(share);
		filled_ = now;
	}

	/* Is @most there? */
	[[nodiscard]] bool allows(std::uint64_t now, std::uint64_t most)
	{
		fill(now);
		return left_ >= static_cast<std::int64_t>(most);
	}

	void charge(std::uint64_t used) { left_ -= static_cast<std::int64_t>(used); }

private:
	void fill(std::uint64_t now)
	{
		const std::uint64_t passed = now - filled_;
		const std::uint64_t counted = passed < period_ ? passed : period_;
		const auto more = static_cast<std::int64_t>(counted * share_ / period_);
		const auto full = static_cast<std::int64_t>(share_);

		/* Too short for a token: let it go on. */
		if (!more)
			return;
		left_ = left_ + more < full ? left_ + more : full;
		filled_ = now;
	}

	std::uint64_t share_{};
	std::uint64_t period_{1};
	std::int64_t left_{};
	std::uint64_t filled_{};
};

} /* namespace corbel::irq */
