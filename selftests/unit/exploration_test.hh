/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exploration_test.hh - what a model's exploration says, as a test says it.
 */
#pragma once

#include "interleaving.hh"

#include <gtest/gtest.h>

#include <string>

namespace corbel::unit {

/* No violation, or the way to it; and how many states it took to say so. */
inline void expect_no_violation(const Exploration &found)
{
	std::string trace;

	for (const auto &step : found.trace)
		trace += "\n  " + step;
	EXPECT_EQ(found.violation, "") << trace;
	testing::Test::RecordProperty("states", static_cast<int>(found.states));
}

/* Of a scenario that has a name of words. */
template <typename Scenario>
std::string test_name(const testing::TestParamInfo<Scenario> &info)
{
	std::string name = info.param.name;

	for (char &c : name)
		if (c == ' ')
			c = '_';
	return name;
}

} // namespace corbel::unit
