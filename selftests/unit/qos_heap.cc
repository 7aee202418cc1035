// SPDX-License-Identifier: GPL-2.0-or-later
#include "random_stream.hh"

#include "block/qos/leftist_heap.hh"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

unsigned comparisons;

struct Item {
	HeapHook hook;
	std::uint64_t key = 0;
};

struct ByKey {
	bool operator()(const Item &a, const Item &b) const
	{
		comparisons++;
		return a.key < b.key;
	}
};

using Heap = LeftistHeap<Item, &Item::hook, ByKey>;

TEST(QosHeap, random_operations_against_a_set)
{
	constexpr unsigned count = 1000;
	RandomStream random(200'000);
	std::vector<Item> items(count);
	std::set<std::pair<std::uint64_t, Item *>> in;
	Heap heap;
	unsigned most = 0;

	while (random.more()) {
		/* Few and many of them in turn, so that it grows and shrinks. */
		Item &item = items[random.below(random.below(4) ? count : 50)];

		comparisons = 0;
		if (item.hook.linked()) {
			heap.remove(item);
			in.erase({item.key, &item});
		} else {
			item.key = random.below(random.below(2) ? 10 : 100'000);
			heap.insert(item);
			in.insert({item.key, &item});
		}
		if (!in.empty() && random.below(3) == 0) {
			Item *first = heap.first();
			heap.remove(*first);
			in.erase({first->key, first});
		}
		most = std::max(most, comparisons);
		ASSERT_EQ(heap.empty(), in.empty());
		if (!in.empty()) {
			ASSERT_EQ(heap.first()->key, in.begin()->first);
		}
	}
	while (!heap.empty())
		heap.remove(*heap.first());
	/* Two merges, each down two ways of at most log2(1001) nodes, and a look around. */
	EXPECT_LE(most, 2 * 2 * 10U + 2);
}

/* The worst shapes there are to insert in: no operation is long. */
TEST(QosHeap, no_operation_is_long)
{
	constexpr unsigned count = 1 << 14;

	for (const bool upwards : {false, true}) {
		std::vector<Item> items(count);
		Heap heap;
		unsigned most = 0;

		for (unsigned i = 0; i < count; i++) {
			items[i].key = upwards ? i : count - i;
			comparisons = 0;
			heap.insert(items[i]);
			most = std::max(most, comparisons);
		}
		for (unsigned i = 0; i < count; i++) {
			comparisons = 0;
			Item *first = heap.first();
			ASSERT_EQ(first->key, upwards ? i : i + 1);
			heap.remove(*first);
			most = std::max(most, comparisons);
		}
		EXPECT_LE(most, 2 * 15U);
	}
}

} // namespace
