// SPDX-License-Identifier: GPL-2.0-or-later
/* The label of a data device: believed as it was made, and in no other way. */
#include "block/label.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

using namespace corbel::block;

DataLabelV1 make_label()
{
	DataLabelV1 label{};

	label.version = label_version;
	label.pool[3] = 0x5a;
	label.device[15] = 0xa5;
	std::memcpy(label.tier, "fast", 4);
	label.data_start = default_data_start;
	seal(label);
	return label;
}

/* What a label whose @change was sealed anew is taken for. */
template <typename Change>
int checked(Change &&change)
{
	auto label = make_label();

	change(label);
	seal(label);
	return check_label(label).to_errno();
}

TEST(BlockLabel, what_was_sealed_is_believed)
{
	EXPECT_EQ(check_label(make_label()).to_errno(), 0);
	EXPECT_EQ(checked([](DataLabelV1 &l) { std::memset(l.tier, 'x', sizeof(l.tier)); }), 0)
		<< "a tier may fill its room";
	EXPECT_EQ(checked([](DataLabelV1 &l) { std::memset(l.tier, 0, sizeof(l.tier)); }), 0)
		<< "or have no name";
}

/* As Documentation/formats.md has it. */
TEST(BlockLabel, lies_where_the_format_says)
{
	const auto label = make_label();
	const auto *bytes = reinterpret_cast<const char *>(&label);
	std::uint64_t start = 0;

	EXPECT_EQ(std::string(bytes, 4), "CbPD");
	EXPECT_EQ(bytes[8], 1);
	EXPECT_EQ(bytes[16 + 3], 0x5a);
	EXPECT_EQ(bytes[32 + 15], static_cast<char>(0xa5));
	EXPECT_EQ(std::string(bytes + 48, 4), "fast");
	std::memcpy(&start, bytes + 64, sizeof(start));
	EXPECT_EQ(start, 1U << 20);
}

TEST(BlockLabel, damage_of_any_bit_is_noticed)
{
	const auto whole = make_label();

	for (std::size_t at = 0; at < sizeof(whole); at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			auto label = whole;
			reinterpret_cast<unsigned char *>(&label)[at] ^= 1U << bit;
			const auto result = check_label(label);
			ASSERT_FALSE(result.ok()) << at;
			EXPECT_EQ(result.error(), at < 4 ? Error::not_found : Error::bad_message)
				<< at;
		}
}

TEST(BlockLabel, what_cannot_be_is_refused)
{
	const int bad = to_errno(Error::bad_message);

	EXPECT_EQ(checked([](DataLabelV1 &l) { l.version = 2; }), to_errno(Error::not_supported));
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.version = 0; }), to_errno(Error::not_supported));
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.reserved = 1; }), bad);
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.pool[3] = 0; }), bad) << "no UUID of a pool";
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.device[15] = 0; }), bad) << "none of a device";
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.tier[9] = 'x'; }), bad) << "behind the end";
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.data_start = 0; }), bad);
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.data_start = 4097; }), bad);
	EXPECT_EQ(checked([](DataLabelV1 &l) { l.data_start = std::uint64_t{1} << 63; }), bad);
	for (std::size_t at = 0; at < sizeof(DataLabelV1::unused); at++)
		EXPECT_EQ(checked([&](DataLabelV1 &l) { l.unused[at] = 1; }), bad) << at;
}

TEST(BlockLabel, zeros_are_no_label)
{
	EXPECT_EQ(check_label(DataLabelV1{}).to_errno(), to_errno(Error::not_found));
}

} // namespace
