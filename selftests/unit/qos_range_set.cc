// SPDX-License-Identifier: GPL-2.0-or-later
#include "block/qos/range_set.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

namespace {

using namespace corbel::qos;

Range range_of(std::uint64_t first, std::uint64_t sectors, std::uint32_t object)
{
	return {{first}, sectors, {object}, 0};
}

TEST(QosRangeSet, reads_what_was_written)
{
	const std::vector<std::uint32_t> objects{1, 2, 3};
	const Range ranges[] = {range_of(0, 8, 2), range_of(8, 8, 3)};
	const RangeSetHeaderV1 header{1, 0, 3, 2};
	std::vector<std::uint64_t> words(range_set_bytes(3, 2) / 8);
	auto *bytes = reinterpret_cast<std::uint8_t *>(words.data());

	std::memcpy(bytes, &header, sizeof(header));
	std::memcpy(bytes + 16, objects.data(), 12);
	std::memcpy(bytes + 32, ranges, sizeof(ranges));
	const auto error_of = [&](std::uint64_t length) {
		const auto change = read_range_set(bytes, length);
		return change.ok() ? Error{} : change.error();
	};
	const auto length = words.size() * 8;
	ASSERT_EQ(error_of(length), Error{});
	const auto change = read_range_set(bytes, length).value();
	EXPECT_EQ(change.object_count, 3U);
	EXPECT_EQ(change.objects[2].value, 3U);
	EXPECT_EQ(change.range_count, 2U);
	EXPECT_EQ(change.ranges[1].end(), 16U);
	for (std::uint64_t less = 0; less < length; less++)
		ASSERT_EQ(error_of(less), Error::bad_message) << less;
	EXPECT_EQ(error_of(length + 1), Error::bad_message);
	const auto with = [&](std::size_t at, std::uint8_t value) {
		const auto before = std::exchange(bytes[at], value);
		const auto error = error_of(length);
		bytes[at] = before;
		return error;
	};
	EXPECT_EQ(with(0, 2), Error::not_supported);
	EXPECT_EQ(with(4, 1), Error::not_supported);
	EXPECT_EQ(with(8, 4), Error{}) << "the padding is an object";
	EXPECT_EQ(with(8, 0), Error::bad_message);
	EXPECT_EQ(with(11, 0xff), Error::too_big);
	EXPECT_EQ(with(15, 0xff), Error::too_big);
	EXPECT_EQ(with(28, 1), Error::bad_message);
}

} // namespace
