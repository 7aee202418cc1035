/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rt/function_ref.hh"
#include "rt/scoped.hh"
#include "rt/text.hh"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using corbel::rt::FunctionRef;
using corbel::rt::ScopedRef;
using corbel::rt::ScopeExit;
using corbel::rt::Text;

TEST(ScopeExit, runs_at_the_end_in_reverse_order)
{
	std::vector<int> order;
	{
		ScopeExit first([&] { order.push_back(1); });
		ScopeExit second([&] { order.push_back(2); });
		order.push_back(0);
	}
	EXPECT_EQ(order, (std::vector{0, 2, 1}));
}

TEST(ScopeExit, a_dismissed_one_does_nothing)
{
	bool ran = false;
	{
		ScopeExit undo([&] { ran = true; });
		undo.dismiss();
	}
	EXPECT_FALSE(ran);
}

struct Object {
	int references = 1; /* the test's own */
	void get_ref() { references++; }
	void put_ref() { references--; }
};
using Ref = ScopedRef<Object>;

static_assert(!std::is_copy_constructible_v<Ref> && !std::is_copy_assignable_v<Ref>);

TEST(ScopedRef, each_reference_is_put_once)
{
	Object object;
	{
		auto first = Ref::take(&object);
		EXPECT_EQ(object.references, 2);
		auto second = first.share();
		EXPECT_EQ(object.references, 3);
		auto third = std::move(first);
		EXPECT_EQ(object.references, 3);
		EXPECT_FALSE(first);
		EXPECT_EQ(third.get(), &object);
	}
	EXPECT_EQ(object.references, 1);
}

TEST(ScopedRef, assignment_puts_the_old_one)
{
	Object a, b;
	auto ref = Ref::take(&a);

	ref = Ref::take(&b);
	EXPECT_EQ(a.references, 1);
	EXPECT_EQ(b.references, 2);
	auto &same = ref;
	ref = std::move(same);
	EXPECT_EQ(ref.get(), &b);
	EXPECT_EQ(b.references, 2);
	ref.reset();
	EXPECT_EQ(b.references, 1);
	ref = Ref::take(nullptr);
	EXPECT_FALSE(ref);
}

TEST(ScopedRef, adopt_and_release_do_not_count)
{
	Object object;
	auto ref = Ref::adopt(&object);

	EXPECT_EQ(object.references, 1);
	EXPECT_EQ(ref.release(), &object);
	EXPECT_EQ(object.references, 1);
}

/* The last reference goes while its object refers to the holder. */
TEST(ScopedRef, is_empty_already_while_it_puts)
{
	struct Node {
		ScopedRef<Node> *holder = nullptr;
		bool seen_empty = false;
		void get_ref() {}
		void put_ref() { seen_empty = !*holder; }
	};
	Node node;
	auto ref = ScopedRef<Node>::adopt(&node);

	node.holder = &ref;
	ref.reset();
	EXPECT_TRUE(node.seen_empty);
}

int apply(FunctionRef<int(int, std::string)> function)
{
	return function(3, "abc");
}

TEST(FunctionRef, calls_what_it_refers_to)
{
	int calls = 0;
	auto owner = std::make_unique<int>(4);

	EXPECT_EQ(apply([&](int number, const std::string &text) {
			  calls++;
			  return number + static_cast<int>(text.size()) + *owner;
		  }),
		  10);
	const auto constant = [](int number, std::string) { return number; };
	EXPECT_EQ(apply(constant), 3);
	EXPECT_EQ(calls, 1);
}

TEST(Text, parts_never_reach_outside)
{
	constexpr Text text = "arch.apic";

	EXPECT_EQ(text.find('.'), 4U);
	EXPECT_TRUE(text.first(4) == "arch");
	EXPECT_TRUE(text.after(5) == "apic");
	EXPECT_TRUE(text.first(100) == text);
	EXPECT_TRUE(text.after(9).empty());
	EXPECT_TRUE(text.after(100).empty());
	EXPECT_EQ(text.find('x'), text.size());
	EXPECT_TRUE(text.starts_with("arch."));
	EXPECT_FALSE(text.starts_with("arch.apic."));
	EXPECT_FALSE(Text("ab") == Text("ac"));
	EXPECT_TRUE(Text() == Text(""));
}

} // namespace
