// SPDX-License-Identifier: GPL-2.0-or-later
/* So much in each period and no more, whatever is asked for and however it overruns. */
#include "irq/budget.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace {

using corbel::irq::Budget;

constexpr std::uint64_t ms = 1'000'000;

TEST(budget, full_at_first_and_then_even)
{
	Budget budget;

	budget.set(5 * ms, 100 * ms, 1000);
	EXPECT_TRUE(budget.allows(1000, 5 * ms));
	EXPECT_FALSE(budget.allows(1000, 5 * ms + 1));
	budget.charge(5 * ms);
	EXPECT_FALSE(budget.allows(1000, 1));
	EXPECT_FALSE(budget.allows(1000 + 20 * ms - 20, ms));
	EXPECT_TRUE(budget.allows(1000 + 20 * ms, ms));
	/* No more than one period's worth, however long nothing was used. */
	EXPECT_TRUE(budget.allows(1000 + 10'000 * ms, 5 * ms));
	EXPECT_FALSE(budget.allows(1000 + 10'000 * ms, 5 * ms + 1));
}

TEST(budget, an_overrun_is_paid_back)
{
	Budget budget;

	budget.set(5 * ms, 100 * ms, 0);
	budget.charge(8 * ms);
	EXPECT_FALSE(budget.allows(60 * ms, 1));
	EXPECT_TRUE(budget.allows(80 * ms, ms));
	EXPECT_FALSE(budget.allows(80 * ms, ms + 1));
}

/* Filling in ever so small steps gives what one long step does. */
TEST(budget, small_steps_lose_nothing)
{
	Budget budget;

	budget.set(1000, Budget::longest, 0);
	budget.charge(1000);
	for (std::uint64_t now = 0; now < Budget::longest; now += 1000)
		(void)budget.allows(now, 1000);
	EXPECT_TRUE(budget.allows(Budget::longest, 1000));
}

/* Of any stretch of time: at most share (T / period + 1) and one overrun. */
TEST(budget, every_stretch_of_time_is_bounded)
{
	struct Use {
		std::uint64_t at, took;
	};
	corbel::unit::RandomStream random(0, 7);

	for (unsigned round = 0; round < 40; round++) {
		const std::uint64_t period = (10 + random.below(90)) * ms;
		const std::uint64_t share = period / (2 + random.below(30));
		const std::uint64_t slice = share / (1 + random.below(8));
		const std::uint64_t overrun = random.below(2) ? slice / 4 : 0;
		Budget budget;
		std::deque<Use> uses;
		std::uint64_t now = 0;

		budget.set(share, period, now);
		while (uses.size() < 200) {
			now += random.below(slice);
			if (!budget.allows(now, slice))
				continue;
			const std::uint64_t took = slice + random.below(overrun + 1);
			budget.charge(took);
			uses.push_back({now, took});
			now += took;
		}
		for (std::size_t first = 0; first < uses.size(); first++) {
			std::uint64_t used = 0;

			for (std::size_t last = first; last < uses.size(); last++) {
				const std::uint64_t length = uses[last].at - uses[first].at;

				used += uses[last].took;
				ASSERT_LE(used, share + length * share / period + 1 + overrun)
					<< "round " << round << ", " << first << " to " << last;
			}
		}
	}
}

} /* namespace */
