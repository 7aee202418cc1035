// SPDX-License-Identifier: GPL-2.0-or-later
/* How a mover is slowed down, in a time that is simulated. */
#include "block_model.hh"

#include "block/throttle.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace {

using namespace corbel;
using namespace corbel::block;

constexpr std::uint64_t us = 1000, ms = 1000 * us, s = 1000 * ms;

/*
 * A device with I/O at random times, and a mover whose batches take a while, in which I/O is slow
 * with a probability that follows from how large the batch is.
 */
struct World {
	std::uint64_t now = s, batch_takes = 8 * ms, io_takes = 2 * ms;
	std::uint64_t ios_a_second = 4000;
	double slow_each_block = 0.01, slow_factor = 5, always_slow = 0;
	std::mt19937_64 random{1};

	std::uint64_t blocks = 0, ios = 0, late = 0, longest_pause = 0;
	std::uint64_t judged_by = 0; /* what is late */

	/* An I/O that ends at @at, while @moving blocks are moved. */
	void io(Throttle &throttle, std::uint64_t at, unsigned moving)
	{
		std::uniform_real_distribution<double> chance(0, 1);
		auto took = io_takes + random() % (io_takes / 2);

		if (chance(random) < moving * slow_each_block + always_slow)
			took = static_cast<std::uint64_t>(static_cast<double>(took) * slow_factor);
		throttle.note(at - took, at);
		ios++;
		late += judged_by && took > judged_by;
	}
	void pass(Throttle &throttle, std::uint64_t time, unsigned moving)
	{
		for (std::uint64_t i = 0; i < time * ios_a_second / s; i++)
			io(throttle, now + i * s / ios_a_second, moving);
		now += time;
	}
	void run(Throttle &throttle, std::uint64_t time)
	{
		const auto end = now + time;

		while (now < end) {
			const auto since = now;

			while (const auto wait = throttle.wait(now))
				pass(throttle, std::min<std::uint64_t>(wait, 4 * ms), 0);
			longest_pause = std::max(longest_pause, now - since);
			const auto began = now;
			const auto count = throttle.blocks();
			pass(throttle, batch_takes, count);
			throttle.moved(began, now);
			blocks += count;
		}
	}
};

TEST(BlockThrottle, quantile_is_that_of_what_was_counted)
{
	Latencies latencies;

	EXPECT_EQ(latencies.p99(), 0U);
	for (unsigned i = 0; i < 990; i++)
		latencies.add(ms);
	for (unsigned i = 0; i < 10; i++)
		latencies.add(100 * ms);
	EXPECT_NEAR(static_cast<double>(latencies.p99()), ms, 0.07 * ms);
	latencies.add(100 * ms);
	latencies.add(100 * ms);
	EXPECT_NEAR(static_cast<double>(latencies.p99()), 100 * ms, 7 * ms);
	latencies.halve();
	EXPECT_EQ(latencies.count(), 501U);
	latencies.clear();
	EXPECT_EQ(latencies.count(), 0U);
}

TEST(BlockThrottle, nothing_slows_it_down_without_a_target)
{
	World world;
	Throttle throttle;

	throttle.begin(Throttle::none, world.now);
	world.run(throttle, 10 * s);
	EXPECT_EQ(world.blocks, 10 * s / world.batch_takes * Throttle::most_blocks);
	EXPECT_EQ(throttle.paused(), 0U);
	/* But it is told what that does. */
	EXPECT_GT(throttle.seen(), 2 * world.io_takes);
}

double share_late(std::uint64_t target, World &world, Throttle &throttle)
{
	throttle.begin(target, world.now);
	world.run(throttle, 2 * s);
	world.judged_by = target ? target : throttle.target();
	world.ios = world.late = 0;
	world.run(throttle, 20 * s);
	return static_cast<double>(world.late) / static_cast<double>(world.ios);
}

TEST(BlockThrottle, one_in_a_hundred_is_late_at_most)
{
	for (const double slow : {0.002, 0.01, 0.05}) {
		World world;
		Throttle throttle;

		world.slow_each_block = slow;
		EXPECT_LT(share_late(5 * ms, world, throttle), 0.01) << slow;
		EXPECT_LE(throttle.seen(), 5 * ms) << slow;
		EXPECT_GT(throttle.paused(), 0U) << slow;
	}
	World world;
	Throttle throttle;
	const unit::Broken broken(Sabotage::lateness_forgiven);
	EXPECT_GT(share_late(5 * ms, world, throttle), 0.01);
}

TEST(BlockThrottle, the_target_is_half_as_much_again_as_was_seen_in_looks)
{
	World world;
	Throttle throttle;

	EXPECT_LT(share_late(Throttle::by_looks, world, throttle), 0.01);
	EXPECT_NEAR(static_cast<double>(throttle.target()), 1.5 * 3 * ms, 0.4 * ms);
	/* A device that becomes slower all by itself is no reason to stop for good. */
	world.io_takes *= 4;
	world.run(throttle, 60 * s);
	EXPECT_NEAR(static_cast<double>(throttle.target()), 1.5 * 12 * ms, 1.6 * ms);
}

TEST(BlockThrottle, what_harms_nobody_goes_at_full_speed)
{
	World world;
	Throttle throttle;

	world.slow_each_block = 0;
	throttle.begin(5 * ms, world.now);
	world.run(throttle, 10 * s);
	EXPECT_GT(world.blocks, 10 * s / world.batch_takes * Throttle::most_blocks * 99 / 100);

	/* Nobody is there, and nothing can be seen in looks. */
	world = {};
	world.ios_a_second = 0;
	throttle.begin(Throttle::by_looks, world.now);
	world.run(throttle, 10 * s);
	EXPECT_EQ(throttle.target(), 0U);
	EXPECT_GT(world.blocks, 10 * s / world.batch_takes * Throttle::most_blocks * 9 / 10);
}

/* With a target that is not met even when nothing moves. */
bool always_goes_on()
{
	World world;
	Throttle throttle;

	world.always_slow = 0.5;
	throttle.begin(5 * ms, world.now);
	for (unsigned i = 0; i < 100; i++) {
		const auto end = world.now + s;
		const auto before = world.blocks;

		while (world.now < end && world.blocks == before) {
			const auto wait = throttle.wait(world.now);
			if (wait) {
				world.pass(throttle, wait, 0);
				continue;
			}
			const auto began = world.now;
			world.pass(throttle, world.batch_takes, throttle.blocks());
			throttle.moved(began, world.now);
			world.blocks += throttle.blocks();
		}
		if (world.blocks == before)
			return false;
	}
	/* A sixteenth of the time. */
	return world.now - s < 100 * (16 * world.batch_takes + 8 * ms);
}

TEST(BlockThrottle, it_never_starves)
{
	EXPECT_TRUE(always_goes_on());
	const unit::Broken broken(Sabotage::pause_without_end);
	EXPECT_FALSE(always_goes_on());
}

TEST(BlockThrottle, slow_batches_do_not_make_endless_pauses)
{
	World world;
	Throttle throttle;

	world.batch_takes = 10 * s;
	world.always_slow = 1;
	throttle.begin(ms, world.now);
	world.run(throttle, 60 * s);
	EXPECT_LE(world.longest_pause, s + 4 * ms);
	throttle.end(world.now);
}

} // namespace
