/* SPDX-License-Identifier: GPL-2.0 */
/*
 * log_buckets.hh - which bucket of a histogram a duration counts in.
 *
 * Eight buckets between one power of two and the next, from 4.1 us to 34 s; one for all that is
 * shorter, and one for all that is longer. But for these two, a bucket is at most an eighth of
 * its least duration wide: a quantile told as the end of its bucket is too high by less than
 * 12.5 %, told as its middle it is off by no more than 6.25 %.
 */
#pragma once

#include "sabotage.hh"
#include "types.hh"

#include <corbel/log_buckets.hh>

namespace corbel::qos {

inline constexpr unsigned bucket_steps_bits = 3, bucket_steps = 1 << bucket_steps_bits;
inline constexpr unsigned first_octave = 12, octaves = 23;
inline constexpr unsigned latency_buckets = 1 + octaves * bucket_steps + 1;
using LatencyBuckets = LogBuckets<first_octave, bucket_steps_bits, latency_buckets>;

[[nodiscard]] constexpr unsigned bucket_of(Time duration)
{
	const unsigned bucket = LatencyBuckets::bucket_of(duration);

	return bucket % bucket_steps == 6 && sabotaged(Sabotage::bucket_off) ? bucket + 1 : bucket;
}

/* The least duration that counts in @bucket, which is below latency_buckets. */
[[nodiscard]] constexpr Time lower_bound(unsigned bucket)
{
	return LatencyBuckets::lower_bound(bucket);
}

/* The greatest one. */
[[nodiscard]] constexpr Time upper_bound(unsigned bucket)
{
	return LatencyBuckets::upper_bound(bucket);
}

} /* namespace corbel::qos */
