// SPDX-License-Identifier: GPL-2.0-or-later
/* What a stats descriptor reads as, whatever pieces it is read in. */
#include "core/stats_layout.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

using namespace corbel;
using namespace corbel::core;

constexpr StatsTable table({{"first"},
			    {"second", StatKind::instant},
			    {"third", StatKind::bytes, 3},
			    {"last", StatKind::nanoseconds}});
static_assert(table.count == 4 && table.values == 6);
static_assert(table.descriptors[1].offset == 8 && table.descriptors[1].size == 1);
static_assert(table.descriptors[0].flags == CORBEL_STATS_CUMULATIVE);
static_assert(table.descriptors[1].flags == CORBEL_STATS_INSTANT);
static_assert(table.descriptors[2].flags == (CORBEL_STATS_CUMULATIVE | CORBEL_STATS_BYTES));
static_assert(table.descriptors[2].offset == 16 && table.descriptors[2].size == 3);
static_assert(table.descriptors[3].flags == (CORBEL_STATS_CUMULATIVE | CORBEL_STATS_SECONDS));
static_assert(table.descriptors[3].offset == 40 && table.descriptors[3].exponent == -9);

TEST(stats_layout, names)
{
	EXPECT_STREQ(table.descriptors[0].name, "first");
	EXPECT_STREQ(table.descriptors[1].name, "second");
}

TEST(stats_layout, head)
{
	StatsHead head(3);

	EXPECT_EQ(head.header.id_offset, 24U);
	EXPECT_EQ(head.header.desc_offset, 72U);
	EXPECT_EQ(head.header.data_offset, 72U + 3 * 64);
	head.append("corbel-");
	head.append(std::uint64_t{0});
	head.append("/");
	head.append(std::uint64_t{1203});
	EXPECT_STREQ(head.id, "corbel-0/1203");
	for (unsigned i = 0; i < 10; i++)
		head.append(~std::uint64_t{0});
	EXPECT_EQ(std::strlen(head.id), CORBEL_STATS_NAME_LEN - 1U) << "the last NUL stays";
}

TEST(stats_layout, pieces)
{
	const std::string a = "abcdefg", b = "hij", c = "klmnopqrstuvwxyz", whole = a + b + c;
	const StatsBlock blocks[] = {
		{a.data(), a.size()}, {b.data(), b.size()}, {"", 0}, {c.data(), c.size()}};

	for (std::uint64_t offset = 0; offset < whole.size() + 3; offset++)
		for (std::uint64_t bytes = 0; bytes < whole.size() + 3; bytes++) {
			std::string got(bytes, '.');
			const auto done = read_blocks(
				blocks, offset, bytes,
				[&](std::uint64_t at, const void *from, std::uint64_t length) {
					EXPECT_LE(at + length, bytes);
					std::memcpy(got.data() + at, from, length);
					return rt::Result<void>();
				});
			const auto want =
				offset < whole.size() ? whole.substr(offset, bytes) : std::string();

			ASSERT_TRUE(done);
			EXPECT_EQ(done.value(), want.size());
			EXPECT_EQ(got.substr(0, want.size()), want) << bytes << " at " << offset;
		}
}

TEST(stats_layout, a_bad_pointer_ends_it)
{
	const StatsBlock blocks[] = {{"abc", 3}, {"def", 3}};
	unsigned calls = 0;
	const auto done = read_blocks(
		blocks, 0, 6, [&](std::uint64_t, const void *, std::uint64_t) -> rt::Result<void> {
			if (++calls == 2)
				return rt::Error::bad_address;
			return {};
		});

	ASSERT_FALSE(done);
	EXPECT_EQ(done.error(), rt::Error::bad_address);
}

} // namespace
