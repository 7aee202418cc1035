// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts of accesses, that stop, fade and share bytes. */
#include "block/heat.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel;
using namespace corbel::block;

struct Counting {
	unsigned synchronized = 0;
	Heat heat;

	auto begin(std::uint64_t mbas)
	{
		return heat.begin(mbas, [&] { synchronized++; });
	}
};

TEST(BlockHeat, counts_stop_and_fade)
{
	Counting at;

	at.heat.note({3});
	at.heat.age();
	EXPECT_EQ(at.heat.of({3}), 0);
	EXPECT_EQ(at.heat.bytes(), 0U);
	ASSERT_TRUE(at.begin(100).value());
	for (unsigned i = 0; i < 1000; i++)
		at.heat.note({99});
	at.heat.note({98});
	at.heat.note({100});
	EXPECT_EQ(at.heat.of({99}), 255);
	EXPECT_EQ(at.heat.of({98}), 1);
	EXPECT_EQ(at.heat.of({100}), 0) << "nobody said that there is one";
	at.heat.age();
	EXPECT_EQ(at.heat.of({99}), 127);
	EXPECT_EQ(at.heat.of({98}), 0) << "nothing of the one beside it";
	EXPECT_EQ(at.synchronized, 0U);
}

TEST(BlockHeat, begins_anew_if_there_is_more)
{
	Counting at;

	ASSERT_TRUE(at.begin(100).value());
	at.heat.note({7});
	EXPECT_FALSE(at.begin(50).value());
	EXPECT_EQ(at.heat.of({7}), 1);
	EXPECT_TRUE(at.begin(1000).value());
	EXPECT_EQ(at.synchronized, 1U) << "before what was there is given back";
	EXPECT_EQ(at.heat.of({7}), 0);
	at.heat.note({999});
	EXPECT_EQ(at.heat.of({999}), 1);
	at.heat.end([&] { at.synchronized++; });
	EXPECT_EQ(at.synchronized, 2U);
	EXPECT_FALSE(at.heat.is_on());
}

TEST(BlockHeat, its_memory_is_bounded)
{
	constexpr std::uint64_t mbas = Heat::most_bytes * 4;
	Counting at;

	ASSERT_TRUE(at.begin(mbas).value());
	EXPECT_LE(at.heat.bytes(), Heat::most_bytes);
	at.heat.note({mbas - 1});
	EXPECT_EQ(at.heat.of({mbas - 1}), 1);
	EXPECT_EQ(at.heat.of({mbas - 2}), 1) << "neighbours share a count";
	EXPECT_EQ(at.heat.of({mbas / 2}), 0);
}

} // namespace
