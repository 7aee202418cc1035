// SPDX-License-Identifier: GPL-2.0-or-later
#include "result.hh"
#include "store_suite.hh"

#include <gmock/gmock.h>

#include <cerrno>
#include <map>
#include <random>
#include <thread>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::state;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::ElementsAre;

Version put(Store &store, const std::string &key, const std::string &value, LeaseId lease = 0)
{
	const auto outcome =
		must(store.commit({.conditions = {}, .changes = {Put{key, value, lease}}}));

	EXPECT_TRUE(outcome.committed);
	return outcome.version;
}

Outcome erase(Store &store, const std::string &key)
{
	return must(store.commit({.conditions = {}, .changes = {Erase{key}}}));
}

/* Puts @value if @key was last changed at @changed. */
bool swap(Store &store, const std::string &key, Version changed, const std::string &value)
{
	return must(store.commit({.conditions = {{key, changed}}, .changes = {Put{key, value}}}))
		.committed;
}

std::optional<std::string> value_of(Store &store, const std::string &key)
{
	const auto entry = must(store.get(key));

	return entry ? std::optional(entry->value) : std::nullopt;
}

std::vector<std::string> keys_in(Store &store, std::string_view prefix, std::string_view after = {},
				 std::size_t limit = 1000)
{
	std::vector<std::string> keys;

	for (const auto &entry : must(store.list(prefix, after, limit)))
		keys.push_back(entry.key);
	return keys;
}

} /* namespace */

TEST_P(StoreSuite, is_empty_at_first)
{
	EXPECT_EQ(must(store->version()), 0U);
	EXPECT_FALSE(must(store->get("a")));
	EXPECT_TRUE(must(store->list("")).empty());
	EXPECT_TRUE(must(store->changes("", 0)).empty());
}

TEST_P(StoreSuite, keeps_what_was_put)
{
	EXPECT_EQ(put(*store, "a", "1"), 1U);
	EXPECT_EQ(put(*store, "b", ""), 2U);
	EXPECT_EQ(put(*store, "a", "2"), 3U);
	EXPECT_EQ(must(store->get("a")), (Entry{"a", "2", 1, 3, 0}));
	EXPECT_EQ(must(store->get("b")), (Entry{"b", "", 2, 2, 0}));
	store.reset();
	store = place->open();
	EXPECT_EQ(must(store->get("a")), (Entry{"a", "2", 1, 3, 0}));
	EXPECT_EQ(must(store->version()), 3U);
}

TEST_P(StoreSuite, forgets_what_was_erased)
{
	put(*store, "a", "1");
	EXPECT_EQ(erase(*store, "a").version, 2U);
	EXPECT_FALSE(must(store->get("a")));
	EXPECT_EQ(erase(*store, "a").version, 2U) << "nothing changed";
	put(*store, "a", "2");
	EXPECT_EQ(must(store->get("a"))->created, 3U) << "it is another one";
}

TEST_P(StoreSuite, keys_and_values_are_bytes)
{
	const std::string key("k\0\xff\n'%", 6), value("\0\xfe\0", 3);

	put(*store, key, value);
	EXPECT_EQ(value_of(*store, key), value);
	EXPECT_FALSE(must(store->get("k")));
	EXPECT_THAT(keys_in(*store, std::string_view("k\0", 2)), ElementsAre(key));
}

TEST_P(StoreSuite, lists_by_prefix_in_order_and_in_pages)
{
	for (const char *key : {"vm/2", "vm/10", "vm", "vn", "vm/1", "v\xff", "v\xff\xff", "w"})
		put(*store, key, "");
	EXPECT_THAT(keys_in(*store, "vm/"), ElementsAre("vm/1", "vm/10", "vm/2"));
	EXPECT_THAT(keys_in(*store, "vm/", "vm/1"), ElementsAre("vm/10", "vm/2"));
	EXPECT_THAT(keys_in(*store, "vm/", "vm/1", 1), ElementsAre("vm/10"));
	EXPECT_THAT(keys_in(*store, "v\xff"), ElementsAre("v\xff", "v\xff\xff"));
	EXPECT_THAT(keys_in(*store, "", "vn"), ElementsAre("v\xff", "v\xff\xff", "w"));
	EXPECT_TRUE(keys_in(*store, "x").empty());
	EXPECT_TRUE(keys_in(*store, "", "", 0).empty());
}

TEST_P(StoreSuite, swaps_only_what_was_compared)
{
	EXPECT_TRUE(swap(*store, "a", 0, "1")) << "there is none";
	EXPECT_FALSE(swap(*store, "a", 0, "2")) << "there is one";
	EXPECT_TRUE(swap(*store, "a", 1, "2"));
	EXPECT_FALSE(swap(*store, "a", 1, "3")) << "it was changed";
	EXPECT_EQ(value_of(*store, "a"), "2");
	EXPECT_EQ(must(store->version()), 2U);
	put(*store, "a", "2");
	EXPECT_FALSE(swap(*store, "a", 2, "3")) << "the same value is a change too";
}

TEST_P(StoreSuite, does_all_or_nothing)
{
	put(*store, "old", "1");
	const Transaction move{.conditions = {{"old", 1}, {"new", 0}},
			       .changes = {Erase{"old"}, Put{"new", "1"}, Put{"more", "1"}}};

	EXPECT_EQ(must(store->commit(move)).version, 2U);
	EXPECT_THAT(keys_in(*store, ""), ElementsAre("more", "new"));
	EXPECT_FALSE(must(store->commit(move)).committed);
	const Transaction lost{.conditions = {}, .changes = {Put{"x", "1"}, Put{"y", "1", 4711}}};
	EXPECT_EQ(error_of(store->commit(lost)), ENOENT) << "there is no such lease";
	EXPECT_THAT(keys_in(*store, ""), ElementsAre("more", "new"));
	EXPECT_EQ(must(store->version()), 2U);
	EXPECT_TRUE(must(store->commit({})).committed) << "nothing is easily done";
}

TEST_P(StoreSuite, has_limits)
{
	const auto refuses = [&](const Transaction &transaction) {
		EXPECT_EQ(error_of(store->commit(transaction)), EINVAL);
	};

	refuses({.conditions = {}, .changes = {Put{"", "1"}}});
	refuses({.conditions = {}, .changes = {Put{std::string(longest_key + 1, 'k'), "1"}}});
	refuses({.conditions = {}, .changes = {Put{"k", std::string(longest_value + 1, 'v')}}});
	refuses({.conditions = {{"", 0}}, .changes = {}});
	refuses({.conditions = {}, .changes = {Put{"k", "1"}, Erase{"k"}}});
	Transaction many;
	for (std::size_t i = 0; i < most_operations; i++)
		many.changes.emplace_back(Put{fmt::format("{}", i), "1"});
	EXPECT_TRUE(must(store->commit(many)).committed);
	many.conditions.push_back({"0", 1});
	refuses(many);
	EXPECT_EQ(error_of(store->grant(shortest_lease - 1ms)), EINVAL);
	EXPECT_EQ(error_of(store->grant(longest_lease + 1ms)), EINVAL);
	put(*store, std::string(longest_key, 'k'), std::string(longest_value, 'v'));
}

TEST_P(StoreSuite, a_lease_takes_its_keys_with_it)
{
	const auto lease = must(store->grant(1000ms)), longer = must(store->grant(5000ms));

	EXPECT_NE(lease, longer);
	put(*store, "mine", "1", lease);
	put(*store, "longer", "1", longer);
	put(*store, "ours", "1", lease);
	put(*store, "ours", "2");
	EXPECT_EQ(must(store->get("mine"))->lease, lease);
	place->pass(999ms);
	EXPECT_TRUE(must(store->get("mine")));
	place->pass(1ms);
	EXPECT_FALSE(must(store->get("mine")));
	EXPECT_THAT(keys_in(*store, ""), ElementsAre("longer", "ours"));
	EXPECT_EQ(must(store->version()), 5U);
	EXPECT_THAT(must(store->changes("", 4)), ElementsAre(Change{5, "mine", std::nullopt}));
	EXPECT_EQ(error_of(store->keep_alive(lease)), ENOENT);
	EXPECT_EQ(error_of(store->revoke(lease)), ENOENT);
	EXPECT_TRUE(swap(*store, "mine", 0, "others")) << "the next one can have it";
}

TEST_P(StoreSuite, a_lease_that_is_kept_alive_lasts)
{
	const auto lease = must(store->grant(1000ms));

	put(*store, "mine", "1", lease);
	for (int i = 0; i < 5; i++) {
		place->pass(900ms);
		must(store->keep_alive(lease));
	}
	EXPECT_TRUE(must(store->get("mine")));
	must(store->revoke(lease));
	EXPECT_FALSE(must(store->get("mine")));
}

/* Also of a client that did not see it pass. */
TEST_P(StoreSuite, nothing_can_be_put_with_a_lease_that_has_passed)
{
	const auto lease = must(store->grant(1000ms));
	auto other = place->open();

	put(*other, "mine", "1", lease);
	place->pass(1000ms);
	EXPECT_EQ(error_of(other->commit({.conditions = {}, .changes = {Put{"late", "1", lease}}})),
		  ENOENT);
	EXPECT_FALSE(must(store->get("mine")));
}

TEST_P(StoreSuite, tells_what_changed)
{
	put(*store, "a", "1");
	put(*store, "b", "1");
	must(store->commit({.conditions = {}, .changes = {Put{"c", "1"}, Erase{"b"}}}));
	erase(*store, "nothing");
	EXPECT_THAT(must(store->changes("", 0)),
		    ElementsAre(Change{1, "a", "1"}, Change{2, "b", "1"},
				Change{3, "b", std::nullopt}, Change{3, "c", "1"}));
	EXPECT_THAT(must(store->changes("b", 1)),
		    ElementsAre(Change{2, "b", "1"}, Change{3, "b", std::nullopt}));
	EXPECT_EQ(must(store->changes("", 0, 1)).size(), 1U);
	EXPECT_EQ(must(store->changes("", 2, 1)).size(), 2U) << "all of a version";
	EXPECT_TRUE(must(store->changes("", 3)).empty());
}

/* Whoever swaps knows that nobody else did. */
TEST_P(StoreSuite, several_clients_lose_no_increment)
{
	constexpr unsigned clients = 4, each = 50;
	std::vector<std::thread> threads(clients);

	put(*store, "counter", "0");
	for (auto &thread : threads)
		thread = std::thread([&] {
			auto mine = place->open();

			for (unsigned done = 0; done < each;) {
				const auto now = *must(mine->get("counter"));
				const auto next = fmt::format("{}", std::stoul(now.value) + 1);

				done += swap(*mine, "counter", now.changed, next);
			}
		});
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(value_of(*store, "counter"), fmt::format("{}", clients * each));
	EXPECT_EQ(must(store->version()), 1 + clients * each);
}

/* Anything, by two clients that come and go, beside a map. */
TEST_P(StoreSuite, does_what_a_map_does)
{
	struct Value {
		std::string text;
		Version created, changed;
	};
	std::map<std::string, Value> oracle;
	std::vector<Change> log;
	Version version = 0;
	std::mt19937 random(1);
	std::unique_ptr<Store> clients[2] = {std::move(store), place->open()};

	for (unsigned step = 0; step < 1500; step++) {
		auto &client = clients[random() % 2];
		Transaction transaction;
		std::map<std::string, std::optional<std::string>> wanted;
		bool holds = true, changes = false;

		if (random() % 100 == 0) {
			client.reset();
			client = place->open();
		}
		for (unsigned i = random() % 4; i; i--) {
			const auto key = fmt::format("{}", random() % 20);
			const auto now = oracle.contains(key) ? oracle[key].changed : 0;
			const auto claimed = random() % 8 ? now : random() % (version + 1);

			holds &= claimed == now;
			transaction.conditions.push_back({key, claimed});
		}
		for (unsigned i = random() % 4; i; i--)
			wanted[fmt::format("{}", random() % 20)] =
				random() % 3 ? std::optional(fmt::format("v{}", step))
					     : std::nullopt;
		for (const auto &[key, text] : wanted) {
			if (text)
				transaction.changes.emplace_back(Put{key, *text});
			else
				transaction.changes.emplace_back(Erase{key});
			changes |= text || oracle.contains(key);
		}
		version += holds && changes;
		for (const auto &[key, text] : wanted) {
			if (!holds || (!text && !oracle.contains(key)))
				continue;
			log.push_back({version, key, text});
			if (text)
				oracle[key] = {*text,
					       oracle.contains(key) ? oracle[key].created : version,
					       version};
			else
				oracle.erase(key);
		}
		const auto outcome = must(client->commit(transaction));
		ASSERT_EQ(outcome.committed, holds) << step;
		ASSERT_EQ(outcome.version, version) << step;
		if (step % 50)
			continue;
		std::vector<Entry> want;
		want.reserve(oracle.size());
		for (const auto &[key, value] : oracle)
			want.push_back({key, value.text, value.created, value.changed, 0});
		ASSERT_EQ(must(client->list("")), want) << step;
	}
	EXPECT_EQ(must(clients[0]->changes("", 0, 100000)), log);
}

} /* namespace corbel::test */
