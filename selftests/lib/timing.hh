/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long each of many cycles took, for the reader; no verdict hangs on it.
 */
#pragma once

#include "tap.hh"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace corbel::selftest {

/* Of @sorted, lowest first, which is not empty. */
inline uint64_t percentile(const std::vector<uint64_t> &sorted, unsigned percent)
{
	return sorted[std::min(sorted.size() - 1, sorted.size() * percent / 100)];
}

class timing {
public:
	explicit timing(std::string name) : name(std::move(name)) {}

	template <typename Body>
	void measure(Body &&body)
	{
		auto begin = std::chrono::steady_clock::now();

		body();
		cycles.push_back(std::chrono::duration<double, std::milli>(
					 std::chrono::steady_clock::now() - begin)
					 .count());
	}

	void print()
	{
		if (cycles.empty())
			return;
		std::ranges::sort(cycles);
		comment("{}: {} cycles, ms: min {:.1f}, median {:.1f}, max {:.1f}", name,
			cycles.size(), cycles.front(), cycles[cycles.size() / 2], cycles.back());
	}

private:
	std::string name;
	std::vector<double> cycles;
};

} // namespace corbel::selftest
