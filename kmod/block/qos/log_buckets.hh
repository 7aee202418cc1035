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

#include <bit>

namespace corbel::qos {

inline constexpr unsigned bucket_steps_bits = 3, bucket_steps = 1 << bucket_steps_bits;
inline constexpr unsigned first_octave = 12, octaves = 23;
inline constexpr unsigned latency_buckets = 1 + octaves * bucket_steps + 1;

[[nodiscard]] constexpr unsigned bucket_of(Time duration)
{
	if (duration >> first_octave == 0)
		return 0;
	const auto octave = static_cast<unsigned>(std::bit_width(duration)) - 1;
	if (octave >= first_octave + octaves)
		return latency_buckets - 1;
	const auto step =
		static_cast<unsigned>(duration >> (octave - bucket_steps_bits)) % bucket_steps;
	const unsigned bucket = 1 + (octave - first_octave) * bucket_steps + step;
	return sabotaged(Sabotage::bucket_off) && step == 5 ? bucket + 1 : bucket;
}

/* The least duration that counts in @bucket, which is below latency_buckets. */
[[nodiscard]] constexpr Time lower_bound(unsigned bucket)
{
	if (bucket == 0)
		return 0;
	const unsigned octave = first_octave + (bucket - 1) / bucket_steps;
	const u64 step = (bucket - 1) % bucket_steps;
	return (bucket_steps + step) << (octave - bucket_steps_bits);
}

/* The greatest one. */
[[nodiscard]] constexpr Time upper_bound(unsigned bucket)
{
	return bucket + 1 < latency_buckets ? lower_bound(bucket + 1) - 1 : never;
}

} /* namespace corbel::qos */
