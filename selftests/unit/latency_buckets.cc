/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_stream.hh"

#include <corbel/latency_buckets.hh>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace {

using namespace corbel::irq;
using corbel::unit::RandomStream;

/* The definition in <corbel/irq.h>, in the words it is given in. */
unsigned defined_bucket(std::uint64_t ticks)
{
	if (ticks < (1U << CORBEL_IRQ_HIST_SHIFT))
		return 0;
	unsigned e = 0;
	while (ticks >> e > 1)
		e++;
	const auto m = static_cast<unsigned>(ticks >> (e - 2) & 3);
	return std::min(1 + 4 * (e - CORBEL_IRQ_HIST_SHIFT) + m, CORBEL_IRQ_HIST_BUCKETS - 1U);
}

TEST(LatencyBuckets, follow_the_definition)
{
	for (std::uint64_t ticks = 0; ticks < 1U << 20; ticks++)
		ASSERT_EQ(bucket_of(ticks), defined_bucket(ticks)) << ticks;
	RandomStream random(200000);
	while (random.more()) {
		const auto ticks = random.word() >> random.below(64);
		ASSERT_EQ(bucket_of(ticks), defined_bucket(ticks)) << ticks;
	}
	EXPECT_EQ(bucket_of(UINT64_MAX), hist_buckets - 1);
}

TEST(LatencyBuckets, cover_all_latencies_without_gap_or_overlap)
{
	std::uint64_t expected = 0;

	for (unsigned bucket = 0; bucket < hist_buckets; bucket++) {
		ASSERT_EQ(lower_bound(bucket), expected) << bucket;
		ASSERT_EQ(bucket_of(lower_bound(bucket)), bucket);
		ASSERT_EQ(bucket_of(upper_bound(bucket)), bucket);
		expected = upper_bound(bucket) + 1;
	}
	EXPECT_EQ(expected, 0U); /* past UINT64_MAX */
}

TEST(LatencyBuckets, are_at_most_a_quarter_of_their_lower_bound_wide)
{
	for (unsigned bucket = 1; bucket + 1 < hist_buckets; bucket++)
		ASSERT_LE(upper_bound(bucket) - lower_bound(bucket) + 1, lower_bound(bucket) / 4);
}

/* Against the value that stands at that rank when all are put in order. */
TEST(LatencyBuckets, quantiles_hold_the_value_of_that_rank)
{
	RandomStream random(300);

	while (random.more()) {
		std::array<__u64, hist_buckets> counts{};
		std::vector<std::uint64_t> values(1 + random.below(500));
		const auto shift = 20 + random.below(44);
		for (auto &value : values) {
			value = random.word() >> (shift - random.below(16));
			counts[bucket_of(value)]++;
		}
		std::ranges::sort(values);

		constexpr std::pair<std::uint32_t, std::uint32_t> quantiles[] = {
			{0, 1}, {1, 2}, {9, 10}, {99, 100}, {999, 1000}, {1, 1}};
		for (auto [numerator, denominator] : quantiles) {
			std::uint64_t rank =
				(values.size() * numerator + denominator - 1) / denominator;
			rank = std::max<std::uint64_t>(rank, 1);
			ASSERT_EQ(quantile_bucket(counts, numerator, denominator),
				  bucket_of(values[rank - 1]));
		}
	}
}

TEST(LatencyBuckets, quantile_of_nothing_is_no_bucket)
{
	const std::array<__u64, hist_buckets> counts{};

	EXPECT_EQ(quantile_bucket(counts, 1, 2), hist_buckets);
}

TEST(LatencyBuckets, quantiles_of_huge_counts_do_not_overflow)
{
	std::array<__u64, hist_buckets> counts{};

	counts[3] = UINT64_MAX / 2;
	counts[9] = UINT64_MAX / 2;
	EXPECT_EQ(quantile_bucket(counts, 499999, 1000000), 3U);
	EXPECT_EQ(quantile_bucket(counts, 1, 2), 3U);
	EXPECT_EQ(quantile_bucket(counts, 500001, 1000000), 9U);
}

} // namespace
