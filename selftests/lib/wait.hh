/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for a condition. The limit is only there to end a hung test: it is
 * never part of what is tested, since an emulated machine has no clock to trust.
 */
#pragma once

#include "tap.hh"

#include <chrono>
#include <concepts>
#include <string_view>
#include <thread>

namespace corbel::selftest {

inline constexpr std::chrono::seconds patience{180};

bool wait_for(std::predicate auto &&condition, std::chrono::seconds limit = patience)
{
	using clock = std::chrono::steady_clock;
	auto end = clock::now() + limit;
	auto pause = std::chrono::microseconds(50);

	while (!condition()) {
		if (clock::now() > end)
			return condition();
		std::this_thread::sleep_for(pause);
		if (pause < std::chrono::milliseconds(10))
			pause *= 2;
	}
	return true;
}

void wait_until(std::string_view what, std::predicate auto &&condition)
{
	if (!wait_for(condition))
		throw failure(fmt::format("gave up waiting until {}", what));
}

} // namespace corbel::selftest
