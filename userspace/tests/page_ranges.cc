// SPDX-License-Identifier: GPL-2.0-or-later
#include "../migrate/page_ranges.hh"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace corbel::migrate {
namespace {

using Bits = std::vector<std::uint64_t>;

void set(Bits &bits, std::uint64_t page)
{
	bits[page / 64] |= std::uint64_t{1} << page % 64;
}

TEST(PageRanges, None)
{
	EXPECT_EQ(text_of_pages({}, 10), "");
	EXPECT_EQ(text_of_pages(Bits(3), 10), "");
}

TEST(PageRanges, AcrossWords)
{
	Bits bits(3);

	for (const std::uint64_t page : {0, 1, 2, 3, 17, 62, 63, 64, 65, 191})
		set(bits, page);
	EXPECT_EQ(text_of_pages(bits, 10), "0-3,17,62-65,191");
	EXPECT_EQ(text_of_pages(Bits(2, ~std::uint64_t{0}), 10), "0-127");
}

TEST(PageRanges, NoMoreThanAskedFor)
{
	Bits bits(1);

	for (const std::uint64_t page : {1, 3, 5, 7, 9})
		set(bits, page);
	EXPECT_EQ(text_of_pages(bits, 5), "1,3,5,7,9");
	EXPECT_EQ(text_of_pages(bits, 2), "1,3 and 3 more ranges");
}

/* Against one page after the other. */
TEST(PageRanges, RandomSets)
{
	std::mt19937 random(1);

	for (int round = 0; round < 1000; round++) {
		Bits bits(1 + random() % 4);
		std::string expected;
		const std::uint64_t end = bits.size() * 64;
		const auto has = [&](std::uint64_t page) {
			return page < end && bits[page / 64] >> page % 64 & 1;
		};

		for (std::uint64_t page = 0; page < end; page++)
			if (random() % 8 < static_cast<unsigned>(round % 8) + 1)
				set(bits, page);
		for (std::uint64_t page = 0; page < end; page++) {
			if (!has(page))
				continue;
			const bool begins = !page || !has(page - 1), ends = !has(page + 1);

			if (begins)
				expected += (expected.empty() ? "" : ",") + std::to_string(page);
			if (ends && !begins)
				expected += "-" + std::to_string(page);
		}
		ASSERT_EQ(text_of_pages(bits, 1000), expected) << "round " << round;
	}
}

} /* namespace */
} /* namespace corbel::migrate */
