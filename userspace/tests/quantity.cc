// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/quantity.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;

TEST(quantity, duration)
{
	EXPECT_EQ(show_duration(0), "0 ns");
	EXPECT_EQ(show_duration(999), "999 ns");
	EXPECT_EQ(show_duration(1000), "1.00 us");
	EXPECT_EQ(show_duration(12'345), "12.3 us");
	EXPECT_EQ(show_duration(999'499), "999 us");
	EXPECT_EQ(show_duration(999'500), "1.00 ms") << "not 1000 us";
	EXPECT_EQ(show_duration(9'996'000), "10.0 ms") << "not 10.00 ms";
	EXPECT_EQ(show_duration(2'500'000'000), "2.50 s");
	EXPECT_EQ(show_duration(100'000'000'000), "100 s");
}

TEST(quantity, rate)
{
	EXPECT_EQ(show_rate(0), "0/s");
	EXPECT_EQ(show_rate(0.01), "<0.1/s") << "something is not nothing";
	EXPECT_EQ(show_rate(0.4), "0.4/s");
	EXPECT_EQ(show_rate(37.4), "37/s");
	EXPECT_EQ(show_rate(999.6), "1.00k/s");
	EXPECT_EQ(show_rate(12'345), "12.3k/s");
	EXPECT_EQ(show_rate(4'050'000), "4.05M/s");
}

TEST(quantity, count)
{
	EXPECT_EQ(show_count(0), "0");
	EXPECT_EQ(show_count(9'999'999), "9999999");
	EXPECT_EQ(show_count(12'340'000), "12.3M");
	EXPECT_EQ(show_count(4'050'000'000), "4.05G");
	EXPECT_EQ(show_number_of(1, "vCPU"), "1 vCPU");
	EXPECT_EQ(show_number_of(0, "vCPU"), "0 vCPUs");
	EXPECT_EQ(show_vector(5), "0x05");
}

TEST(quantity, time)
{
	EXPECT_EQ(show_time(std::chrono::system_clock::from_time_t(1'700'000'000)),
		  "2023-11-14T22:13:20Z");
}

} /* namespace */
