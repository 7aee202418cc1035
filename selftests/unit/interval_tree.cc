/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_stream.hh"
#include "rt/interval_tree.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

namespace {

using corbel::rt::IntervalHook;
using corbel::rt::IntervalTree;
using corbel::unit::RandomStream;

struct Range {
	int number = 0;
	IntervalHook<> hook;
};
using Tree = IntervalTree<Range, &Range::hook>;

/* All that overlap, as the tree enumerates them. */
std::vector<Range *> overlaps(const Tree &tree, std::uint64_t begin, std::uint64_t end)
{
	std::vector<Range *> all;

	for (auto *range = tree.first(begin, end); range != nullptr;
	     range = tree.next(*range, begin, end))
		all.push_back(range);
	return all;
}

/* @span: how far the intervals spread; a narrow one makes equal and nested ones. */
void run_against_model(std::uint64_t span, std::uint64_t longest, std::uint64_t length)
{
	RandomStream random(length);
	std::vector<std::unique_ptr<Range>> ranges;
	for (int i = 0; i < 200; i++)
		ranges.push_back(std::make_unique<Range>());
	Tree tree;
	std::set<Range *> model;

	while (random.more()) {
		Range *range = ranges[random.below(ranges.size())].get();

		ASSERT_EQ(range->hook.linked(), model.contains(range));
		if (model.erase(range) != 0) {
			tree.erase(*range);
		} else {
			const auto begin = random.below(span);
			tree.insert(*range, begin, begin + 1 + random.below(longest));
			model.insert(range);
		}
		ASSERT_EQ(tree.empty(), model.empty());

		const auto begin = random.below(span);
		const auto end = begin + 1 + random.below(longest);
		auto found = overlaps(tree, begin, end);

		ASSERT_TRUE(std::ranges::is_sorted(
			found, {}, [](const Range *range) { return range->hook.begin(); }));
		std::vector<Range *> wanted;
		std::ranges::copy_if(model, std::back_inserter(wanted), [&](const Range *range) {
			return range->hook.begin() < end && begin < range->hook.end();
		});
		std::ranges::sort(found);
		ASSERT_EQ(found, wanted); /* and none of them twice */
	}
	for (auto *range : model)
		tree.erase(*range);
}

TEST(IntervalTree, agrees_with_a_linear_search_when_sparse)
{
	run_against_model(1U << 20, 1000, 8000);
}

TEST(IntervalTree, agrees_with_a_linear_search_when_dense)
{
	run_against_model(50, 20, 8000);
}

TEST(IntervalTree, agrees_with_a_linear_search_when_nested)
{
	run_against_model(10000, 10000, 8000);
}

TEST(IntervalTree, ends_are_not_part_of_an_interval)
{
	Range range;
	Tree tree;

	tree.insert(range, 10, 20);
	EXPECT_EQ(tree.first(0, 10), nullptr);
	EXPECT_EQ(tree.first(0, 11), &range);
	EXPECT_EQ(tree.first(19, 30), &range);
	EXPECT_EQ(tree.first(20, 30), nullptr);
	tree.erase(range);
}

TEST(IntervalTree, reaches_the_end_of_the_key_space)
{
	Range range;
	Tree tree;

	tree.insert(range, UINT64_MAX - 1, UINT64_MAX);
	EXPECT_EQ(tree.first(0, UINT64_MAX), &range);
	EXPECT_EQ(tree.first(0, UINT64_MAX - 1), nullptr);
	tree.erase(range);
}

/* A key that counts how often it is compared: the measure of depth. */
struct CountingKey {
	std::uint64_t value = 0;
	static inline std::uint64_t comparisons = 0;

	bool operator==(const CountingKey &) const = default;
	auto operator<=>(const CountingKey &other) const
	{
		comparisons++;
		return value <=> other.value;
	}
};

struct CountingRange {
	IntervalHook<CountingKey> hook;
};

TEST(IntervalTree, stays_shallow_when_filled_in_order)
{
	constexpr std::uint64_t count = 1U << 14;
	std::vector<CountingRange> ranges(count);
	IntervalTree<CountingRange, &CountingRange::hook> tree;

	for (std::uint64_t i = 0; i < count; i++)
		tree.insert(ranges[i], {i * 2}, {i * 2 + 1});
	std::uint64_t most = 0;
	for (std::uint64_t i = 0; i < count; i++) {
		CountingKey::comparisons = 0;
		ASSERT_EQ(tree.first({i * 2}, {i * 2 + 1}), &ranges[i]);
		most = std::max(most, CountingKey::comparisons);
	}
	/* An AVL tree of n is at most 1.45 log2 n deep; up to four comparisons each. */
	EXPECT_LE(most, 4 * 145 * 14 / 100 + 4);
	for (auto &range : ranges)
		tree.erase(range);
}

TEST(IntervalTreeDeathTest, empty_intervals_and_double_insertion_stop)
{
	EXPECT_DEATH(
		{
			Range range;
			Tree tree;
			tree.insert(range, 5, 5);
		},
		"");
	EXPECT_DEATH(
		{
			Range range;
			Tree tree;
			tree.insert(range, 5, 6);
			tree.insert(range, 5, 6);
		},
		"");
	EXPECT_DEATH(
		{
			Range range;
			Tree tree;
			tree.erase(range);
		},
		"");
}

} // namespace
