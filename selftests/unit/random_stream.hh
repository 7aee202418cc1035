/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operation streams that can be run again: the seed is fixed, or taken from
 * CORBEL_SEED, and CORBEL_SCALE makes the stream that many times as long.
 */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace corbel::unit {

inline std::uint64_t number_from_environment(const char *name, std::uint64_t otherwise)
{
	const char *text = std::getenv(name);

	return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 0) : otherwise;
}

class RandomStream {
public:
	/* @length operations; streams of other variants differ. */
	explicit RandomStream(std::uint64_t length, std::uint64_t variant = 0)
		: engine_(number_from_environment("CORBEL_SEED", 0xc02be1) + variant),
		  left_(length * number_from_environment("CORBEL_SCALE", 1))
	{}

	bool more() { return left_-- != 0; }

	/* 0 .. @end - 1 */
	std::uint64_t below(std::uint64_t end)
	{
		return std::uniform_int_distribution<std::uint64_t>(0, end - 1)(engine_);
	}

	std::uint64_t word() { return engine_(); }

private:
	std::mt19937_64 engine_;
	std::uint64_t left_;
};

} // namespace corbel::unit
