/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_stream.hh"
#include "rt/intrusive_list.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <vector>

namespace {

using corbel::rt::List;
using corbel::rt::ListHook;
using corbel::unit::RandomStream;

/* The hooks lie behind other members, so that a wrong offset shows. */
struct Item {
	explicit Item(int number) : number(number) {}
	int number;
	ListHook first;
	char between[24] = {};
	ListHook second;
};

using FirstList = List<Item, &Item::first>;
using SecondList = List<Item, &Item::second>;

std::vector<int> numbers(auto &list)
{
	std::vector<int> all;

	for (auto &item : list)
		all.push_back(item.number);
	return all;
}

TEST(IntrusiveList, agrees_with_std_list)
{
	RandomStream random(50000);
	std::vector<std::unique_ptr<Item>> items;
	for (int i = 0; i < 40; i++)
		items.push_back(std::make_unique<Item>(i));
	FirstList list;
	std::list<int> model;
	auto place_of = [&](const Item &item) { return std::ranges::find(model, item.number); };

	while (random.more()) {
		Item &item = *items[random.below(items.size())];
		Item &other = *items[random.below(items.size())];
		const bool inside = item.first.linked();

		ASSERT_EQ(inside, place_of(item) != model.end());
		switch (random.below(6)) {
		case 0:
			if (!inside) {
				list.push_front(item);
				model.push_front(item.number);
			}
			break;
		case 1:
			if (!inside) {
				list.push_back(item);
				model.push_back(item.number);
			}
			break;
		case 2:
			if (!inside && other.first.linked()) {
				list.insert_before(other, item);
				model.insert(place_of(other), item.number);
			}
			break;
		case 3:
			if (inside) {
				list.remove(item);
				model.erase(place_of(item));
			}
			break;
		case 4:
			item.first.unlink(); /* also of one that is in no list */
			std::erase(model, item.number);
			break;
		case 5:
			if (random.below(4) == 0) {
				Item *popped = list.pop_front();
				ASSERT_EQ(popped == nullptr, model.empty());
				if (popped != nullptr) {
					ASSERT_EQ(popped->number, model.front());
					model.pop_front();
				}
			}
			break;
		}
		ASSERT_EQ(numbers(list), std::vector<int>(model.begin(), model.end()));
		ASSERT_EQ(list.empty(), model.empty());
		if (!model.empty()) {
			ASSERT_EQ(list.front()->number, model.front());
			ASSERT_EQ(list.back()->number, model.back());
			ASSERT_EQ(list.next(*list.back()), nullptr);
		}
	}
	while (list.pop_front() != nullptr)
		;
}

TEST(IntrusiveList, the_body_of_a_loop_may_destroy_its_object)
{
	FirstList list;

	for (int i = 0; i < 10; i++)
		list.push_back(*new Item(i));
	for (auto &item : list)
		if (item.number % 2 == 0) {
			list.remove(item);
			delete &item;
		}
	EXPECT_EQ(numbers(list), (std::vector{1, 3, 5, 7, 9}));
	for (auto &item : list) {
		list.remove(item);
		delete &item;
	}
	EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, an_object_is_in_a_list_for_each_hook)
{
	Item a(1), b(2);
	FirstList first;
	SecondList second;

	first.push_back(a);
	first.push_back(b);
	second.push_front(a);
	second.push_front(b);
	EXPECT_EQ(numbers(first), (std::vector{1, 2}));
	EXPECT_EQ(numbers(second), (std::vector{2, 1}));
	first.remove(a);
	EXPECT_EQ(numbers(first), (std::vector{2}));
	EXPECT_EQ(numbers(second), (std::vector{2, 1}));
	first.remove(b);
	second.remove(a);
	second.remove(b);
}

TEST(IntrusiveList, splice_takes_all_in_order)
{
	Item a(1), b(2), c(3), d(4);
	FirstList list, other;

	list.splice_back(other);
	EXPECT_TRUE(list.empty());
	list.push_back(a);
	other.push_back(b);
	other.push_back(c);
	list.splice_back(other);
	EXPECT_TRUE(other.empty());
	EXPECT_EQ(numbers(list), (std::vector{1, 2, 3}));
	other.push_back(d);
	list.remove(c);
	other.splice_back(list);
	EXPECT_EQ(numbers(other), (std::vector{4, 1, 2}));
	while (other.pop_front() != nullptr)
		;
}

TEST(IntrusiveListDeathTest, linking_twice_or_dying_linked_stops)
{
	EXPECT_DEATH(
		{
			Item item(1);
			FirstList list;
			list.push_back(item);
			list.push_back(item);
		},
		"");
	EXPECT_DEATH(
		{
			FirstList list;
			Item item(1);
			list.push_back(item);
		},
		"");
}

} // namespace
