// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/latency.hh>

#include <corbel/latency_buckets.hh>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace {

using corbel::Latencies;

/* A microsecond has a thousand ticks, so a tick is a nanosecond. */
constexpr std::uint32_t tick_is_ns = 1'000'000;

void count(corbel_irq_hist &hist, std::uint64_t ticks)
{
	hist.buckets[corbel::irq::bucket_of(ticks)]++;
	hist.sum += ticks;
	hist.max = std::max<std::uint64_t>(hist.max, ticks);
}

TEST(latency, nothing_has_no_summary)
{
	EXPECT_FALSE(Latencies().summary(tick_is_ns));
}

TEST(latency, one_value_is_every_percentile)
{
	corbel_irq_hist hist{};

	count(hist, 1'000);
	auto summary = Latencies(hist).summary(tick_is_ns);
	ASSERT_TRUE(summary);
	EXPECT_EQ(summary->samples, 1U);
	EXPECT_EQ(summary->mean_ns, 1'000U);
	EXPECT_EQ(summary->p50_ns, 1'000U) << "bounded by the longest";
	EXPECT_EQ(summary->p99_ns, 1'000U);
	EXPECT_EQ(summary->max_ns, 1'000U);
}

TEST(latency, percentiles_bound_the_true_ones_from_above)
{
	std::mt19937_64 random(7);
	std::lognormal_distribution<double> spread(9, 2);

	for (int round = 0; round < 50; round++) {
		std::vector<std::uint64_t> values(1 + random() % 3000);
		corbel_irq_hist hist{};

		for (auto &value : values) {
			value = static_cast<std::uint64_t>(spread(random));
			count(hist, value);
		}
		std::ranges::sort(values);
		auto true_value = [&](std::size_t percent) {
			return values[(values.size() * percent + 99) / 100 - 1];
		};
		auto summary = Latencies(hist).summary(tick_is_ns);
		ASSERT_TRUE(summary);

		for (auto [shown, exact] : {std::pair(summary->p50_ns, true_value(50)),
					    std::pair(summary->p99_ns, true_value(99))}) {
			EXPECT_GE(shown, exact);
			EXPECT_LE(shown, std::max<std::uint64_t>(exact + exact / 4 + 1, 256));
		}
		EXPECT_EQ(summary->max_ns, values.back());
		EXPECT_EQ(summary->samples, values.size());
	}
}

TEST(latency, an_interval_knows_only_what_came_in_it)
{
	corbel_irq_hist hist{};

	for (int i = 0; i < 100; i++)
		count(hist, 1'000'000);
	Latencies before(hist);
	for (int i = 0; i < 10; i++)
		count(hist, 5'000);
	auto summary = Latencies(hist).since(before).summary(tick_is_ns);

	ASSERT_TRUE(summary);
	EXPECT_EQ(summary->samples, 10U);
	EXPECT_EQ(summary->mean_ns, 5'000U);
	EXPECT_GE(summary->max_ns, 5'000U);
	EXPECT_LE(summary->max_ns, 6'250U) << "not the million from before";

	count(hist, 2'000'000);
	summary = Latencies(hist).since(before).summary(tick_is_ns);
	ASSERT_TRUE(summary);
	EXPECT_EQ(summary->max_ns, 2'000'000U) << "a new longest is known exactly";

	EXPECT_FALSE(Latencies(hist).since(Latencies(hist)).summary(tick_is_ns));
}

TEST(latency, sums)
{
	corbel_irq_hist one{}, other{};

	count(one, 300);
	count(other, 90'000);
	Latencies sum(one);
	sum.add(Latencies(other));
	auto summary = sum.summary(tick_is_ns);

	ASSERT_TRUE(summary);
	EXPECT_EQ(summary->samples, 2U);
	EXPECT_EQ(summary->mean_ns, 45'150U);
	EXPECT_EQ(summary->max_ns, 90'000U);
}

TEST(latency, ticks_do_not_overflow)
{
	EXPECT_EQ(corbel::ticks_to_ns(3'000'000, 3'000'000), 1'000'000U);
	EXPECT_EQ(corbel::ticks_to_ns(UINT64_MAX, 1'000'000), UINT64_MAX);
	EXPECT_EQ(corbel::ticks_to_ns(5, 0), 0U);
}

} /* namespace */
