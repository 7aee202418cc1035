/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_buckets.hh - which bucket of a logarithmic histogram a number counts in.
 *
 * One bucket for all below 2^shift, then 2^mantissa_bits buckets between one power of two and
 * the next, each at most 1 / 2^mantissa_bits of its least number wide; the last one takes all
 * that is above as well. Integers only, for both sides.
 */
#pragma once

#include <bit>
#include <cstdint>

namespace corbel {

template <unsigned shift, unsigned mantissa_bits, unsigned buckets>
struct LogBuckets {
	static constexpr unsigned steps = 1U << mantissa_bits;
	static_assert(shift >= mantissa_bits && shift + buckets / steps < 64);

	[[nodiscard]] static constexpr unsigned bucket_of(std::uint64_t number)
	{
		if (number >> shift == 0)
			return 0;

		const auto exponent = static_cast<unsigned>(std::bit_width(number)) - 1;
		const auto mantissa =
			static_cast<unsigned>(number >> (exponent - mantissa_bits)) % steps;
		const auto bucket = 1 + steps * (exponent - shift) + mantissa;

		return bucket < buckets ? bucket : buckets - 1;
	}

	/* The least number that counts in @bucket, which is below buckets. */
	[[nodiscard]] static constexpr std::uint64_t lower_bound(unsigned bucket)
	{
		if (bucket == 0)
			return 0;

		const auto exponent = shift + (bucket - 1) / steps;
		const std::uint64_t mantissa = (bucket - 1) % steps;

		return (steps + mantissa) << (exponent - mantissa_bits);
	}

	/* The greatest: inclusive, as the last has no end. */
	[[nodiscard]] static constexpr std::uint64_t upper_bound(unsigned bucket)
	{
		return bucket + 1 < buckets ? lower_bound(bucket + 1) - 1 : UINT64_MAX;
	}
};

} /* namespace corbel */
