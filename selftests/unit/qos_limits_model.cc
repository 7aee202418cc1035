// SPDX-License-Identifier: GPL-2.0-or-later
/* The accuracy of many limits, which is judged, and what they cost, which is told. */
#include "qos_bench.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

namespace {

using namespace corbel::unit;

TEST(qos_limits_model, a_thousand_at_once)
{
	const auto errors = worst_limit_errors(1000, 3);

	std::printf(
		"# 1000 limits of 1000 to 3000 a second: at worst %.2f %% off in 1 s, %.2f %% in "
		"100 ms\n",
		errors.second * 100, errors.tenth * 100);
	EXPECT_LE(errors.second, 0.01);
	EXPECT_LE(errors.tenth, 0.05);
}

template <typename Work>
double ns_of(unsigned count, Work &&work)
{
	const auto start = std::chrono::steady_clock::now();

	for (unsigned i = 0; i < count; i++)
		work();
	return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
		       .count() /
	       count;
}

TEST(qos_limits_model, costs)
{
	constexpr unsigned repeats = 1'000'000;

	for (const unsigned count : {1U, 1'000U, 100'000U}) {
		QosBench bench({});
		std::deque<Io> waiting(2ULL * count);
		Io one;
		Time now = 1;

		/* Of each one I/O waits, and when that goes, there is another. */
		for (unsigned i = 0; i < count; i++) {
			auto &client = bench.add(limited(Limited::ios, 100 + i % 900));
			(void)bench.scheduler.submit(client, waiting[2 * i], now);
			EXPECT_FALSE(bench.scheduler.submit(client, waiting[2 * i + 1], now));
		}
		auto &all = bench.add(Policy{});
		auto &fast = bench.add(limited(Limited::ios, 1ULL << 40));
		const auto pass = [&](QosClient &client) {
			return ns_of(repeats, [&] {
				now += 1;
				if (!bench.scheduler.submit(client, one, now))
					std::abort();
				bench.scheduler.complete(one, now);
			});
		};
		const auto unlimited = pass(all), with_limit = pass(fast);
		unsigned gone = 0;
		const auto released = ns_of(repeats, [&] {
			auto chain = bench.scheduler.run(bench.scheduler.next_time(), 1);
			if (Io *io = chain.pop()) {
				gone++;
				bench.scheduler.complete(*io, io->admitted);
				(void)bench.scheduler.submit(*io->object, *io, io->admitted);
			}
		});
		EXPECT_EQ(gone, repeats);
		std::printf(
			"# %u objects that wait: submit and complete without a limit %.0f ns, below "
			"one %.0f ns; wait and go %.0f ns\n",
			count, unlimited, with_limit, released);
	}
}

} // namespace
