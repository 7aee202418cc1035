/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_stream.hh"
#include "rt/bitmap.hh"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace {

using corbel::rt::Bitmap;
using corbel::rt::Order;
using corbel::unit::RandomStream;

template <std::size_t N>
std::vector<std::size_t> members(const Bitmap<N> &bitmap)
{
	std::vector<std::size_t> all;

	bitmap.for_each_set([&](std::size_t bit) { all.push_back(bit); });
	return all;
}

template <std::size_t N>
void expect_same(const Bitmap<N> &bitmap, const std::set<std::size_t> &model)
{
	ASSERT_EQ(members(bitmap), std::vector<std::size_t>(model.begin(), model.end()));
	ASSERT_EQ(bitmap.count(), model.size());
	ASSERT_EQ(bitmap.any(), !model.empty());
	ASSERT_EQ(bitmap.any_atomic(Order::acquire), !model.empty());
}

/* Against std::set, for sizes around the edges of a word. */
template <typename Size>
class BitmapModel : public testing::Test {};
using Sizes = testing::Types<
	std::integral_constant<std::size_t, 1>, std::integral_constant<std::size_t, 63>,
	std::integral_constant<std::size_t, 64>, std::integral_constant<std::size_t, 65>,
	std::integral_constant<std::size_t, 256>>;
TYPED_TEST_SUITE(BitmapModel, Sizes);

TYPED_TEST(BitmapModel, agrees_with_a_set)
{
	constexpr std::size_t size = TypeParam::value;
	RandomStream random(20000);
	Bitmap<size> bitmap, other;
	std::set<std::size_t> model, other_model;

	while (random.more()) {
		const auto bit = random.below(size);

		switch (random.below(11)) {
		case 0:
			bitmap.set(bit);
			model.insert(bit);
			break;
		case 1:
			bitmap.clear(bit);
			model.erase(bit);
			break;
		case 2:
			ASSERT_EQ(bitmap.atomic_test_and_set(bit), !model.insert(bit).second);
			break;
		case 3:
			ASSERT_EQ(bitmap.atomic_test_and_clear(bit), model.erase(bit) == 1);
			break;
		case 4:
			ASSERT_EQ(bitmap.test(bit), model.contains(bit));
			ASSERT_EQ(bitmap.atomic_test(bit, Order::relaxed), model.contains(bit));
			break;
		case 5:
			other.set(bit);
			other_model.insert(bit);
			break;
		case 6:
			bitmap |= other;
			model.insert(other_model.begin(), other_model.end());
			break;
		case 7:
			bitmap.atomic_or(other);
			model.insert(other_model.begin(), other_model.end());
			break;
		case 8:
			bitmap &= other;
			std::erase_if(model, [&](auto b) { return !other_model.contains(b); });
			break;
		case 9:
			bitmap -= other;
			std::erase_if(model, [&](auto b) { return other_model.contains(b); });
			break;
		case 10:
			if (random.below(50) == 0) {
				other.clear_all();
				other_model.clear();
			}
			ASSERT_EQ(bitmap.snapshot(Order::acquire), bitmap);
			break;
		}
		expect_same(bitmap, model);
	}
}

TEST(Bitmap, words_have_the_layout_of_the_irr)
{
	Bitmap<256> bitmap;

	bitmap.set(0);
	bitmap.set(67);
	bitmap.set(255);
	EXPECT_EQ(bitmap.word(0), 1U);
	EXPECT_EQ(bitmap.word(1), 1U << 3);
	EXPECT_EQ(bitmap.word(2), 0U);
	EXPECT_EQ(bitmap.word(3), std::uint64_t{1} << 63);
}

TEST(Bitmap, set_word_drops_what_lies_past_the_end)
{
	Bitmap<65> bitmap;

	bitmap.set_word(0, ~std::uint64_t{0});
	bitmap.set_word(1, ~std::uint64_t{0});
	EXPECT_EQ(bitmap.count(), 65U);
}

TEST(Bitmap, visitor_may_clear_what_it_visits)
{
	Bitmap<256> bitmap;

	for (std::size_t bit = 0; bit < 256; bit += 3)
		bitmap.set(bit);
	bitmap.for_each_set([&](std::size_t bit) { bitmap.clear(bit); });
	EXPECT_FALSE(bitmap.any());
}

TEST(BitmapDeathTest, an_index_past_the_end_stops)
{
	Bitmap<65> bitmap;

	EXPECT_DEATH(bitmap.set(65), "");
	EXPECT_DEATH(bitmap.atomic_test_and_set(128), "");
}

} // namespace
