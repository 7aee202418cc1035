// SPDX-License-Identifier: GPL-2.0-or-later
#include "qos_bench.hh"

#include <gtest/gtest.h>

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

} // namespace
