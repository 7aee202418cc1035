/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * latency_buckets.hh - arithmetic of the latency histogram of <corbel/irq.h>.
 *
 * One text for both sides: the kernel counts with bucket_of, the tool turns the
 * counts back into ticks with the bounds. Integers only.
 */
#pragma once

#include <corbel/irq.h>
#include <corbel/log_buckets.hh>

#include <cstdint>
#include <span>

namespace corbel::irq {

inline constexpr unsigned hist_buckets = CORBEL_IRQ_HIST_BUCKETS;
inline constexpr unsigned hist_shift = CORBEL_IRQ_HIST_SHIFT;

/* Four buckets between one power of two and the next. */
using HistBuckets = LogBuckets<hist_shift, 2, hist_buckets>;

[[nodiscard]] constexpr unsigned bucket_of(std::uint64_t ticks)
{
	return HistBuckets::bucket_of(ticks);
}

/* The least latency that counts in @bucket, which is below hist_buckets. */
[[nodiscard]] constexpr std::uint64_t lower_bound(unsigned bucket)
{
	return HistBuckets::lower_bound(bucket);
}

/* The greatest latency that counts in @bucket: inclusive, as the last has no end. */
[[nodiscard]] constexpr std::uint64_t upper_bound(unsigned bucket)
{
	return HistBuckets::upper_bound(bucket);
}

using HistCounts = std::span<const __u64, hist_buckets>;

[[nodiscard]] constexpr std::uint64_t total_count(HistCounts counts)
{
	std::uint64_t total = 0;

	for (auto count : counts)
		total += count;
	return total;
}

/*
 * The bucket that the quantile @numerator / @denominator falls in: of all
 * latencies counted, put in order, that with the rank total * quantile, rounded
 * up, and at least 1. 99.9 % is (999, 1000), the median (1, 2), the least (0, 1).
 * hist_buckets if nothing was counted.
 *
 * The true value lies between the bounds of the bucket; to state a bound that a
 * quantile does not exceed, take upper_bound.
 */
[[nodiscard]] constexpr unsigned quantile_bucket(HistCounts counts, std::uint32_t numerator,
						 std::uint32_t denominator)
{
	const auto total = total_count(counts);

	if (total == 0)
		return hist_buckets;

	/* Quotient and remainder apart: total * numerator may need 96 bits. */
	const auto whole = total / denominator * numerator;
	const auto part = (total % denominator * numerator + denominator - 1) / denominator;
	const auto rank = whole + part > 0 ? whole + part : 1;

	std::uint64_t seen = 0;
	for (unsigned bucket = 0; bucket < hist_buckets; bucket++) {
		seen += counts[bucket];
		if (seen >= rank)
			return bucket;
	}
	return hist_buckets - 1; /* a quantile above 1 */
}

} /* namespace corbel::irq */
