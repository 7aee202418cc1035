// SPDX-License-Identifier: GPL-2.0-or-later
/* Trees against maps: shared, compared, filled and emptied. */
#include "block_trees.hh"

namespace {

using namespace corbel::unit;

struct Clone {
	Meta root{};
	std::map<std::uint64_t, std::uint64_t> entries;
};

TEST(BlockTree, clones_against_maps)
{
	for (unsigned variant = 0; variant < 3; variant++) {
		Trees test(4000);
		RandomStream random(6000, variant);
		std::vector<Clone> clones(1);
		std::uint64_t next = 1;
		std::string trouble;

		for (unsigned i = 0; random.more(); i++) {
			Clone &clone = clones[random.below(clones.size())];
			const auto key = random.below(variant ? 3000 : 1 << 20);

			switch (random.below(40)) {
			case 0:
				if (clones.size() < 5 && clone.root != Meta{}) {
					ASSERT_TRUE(test.store.raise(clone.root).ok());
					clones.push_back(clone);
				}
				break;
			case 1: {
				/* All of one goes, as a deleted volume does. */
				if (clones.size() < 3)
					break;
				bool empty = false, unshared = false;
				while (!empty)
					empty = test.tree
							.drop_front(
								clone.root,
								[&](std::uint64_t value)
									-> Result<bool> {
									test.names.counts[value]--;
									return true;
								},
								unshared)
							.value();
				clone.entries.clear();
				break;
			}
			case 2:
				ASSERT_TRUE(test.store.commit().ok());
				break;
			case 3: {
				/* Where two differ, in order. */
				const Clone &other = clones[random.below(clones.size())];
				std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>
					found, expected;
				const auto from = random.below(3) ? 0 : key;
				for (const auto &[at, value] : clone.entries)
					expected[at].first = value;
				for (const auto &[at, value] : other.entries)
					expected[at].second = value;
				std::erase_if(expected, [&](const auto &one) {
					return one.first < from ||
					       one.second.first == one.second.second;
				});
				ASSERT_TRUE(
					test.tree
						.diff(clone.root, other.root, from,
						      [&](std::uint64_t at, const std::uint64_t *a,
							  const std::uint64_t *b) -> Result<bool> {
							      found[at] = {a ? *a : 0, b ? *b : 0};
							      return true;
						      })
						.ok());
				EXPECT_EQ(found, expected);
				break;
			}
			default: {
				/* Mostly growing for a while, then mostly shrinking. */
				const auto in = clone.entries.lower_bound(key);
				if (random.below(10) < (i / 1500 % 2 ? 8 : 2) &&
				    in != clone.entries.end()) {
					const auto old = in->second;
					ASSERT_TRUE(
						test.tree.remove(clone.root, in->first).value());
					clone.entries.erase(in);
					test.names.counts[old]--;
					break;
				}
				std::uint64_t old = 0;
				const auto found = test.tree.find(clone.root, key, &old).value();
				ASSERT_EQ(found.found, clone.entries.contains(key));
				if (found.found) {
					ASSERT_TRUE(test.tree.update(clone.root, key, &next).ok());
					test.names.counts[old]--;
				} else {
					ASSERT_TRUE(
						test.tree.insert(clone.root, key, &next).value());
				}
				test.names.counts[next]++;
				clone.entries[key] = next++;
			}
			}
			if (i % 500 == 499) {
				for (const Clone &one : clones)
					ASSERT_EQ(read_all(test.tree, one.root, trouble),
						  one.entries);
				ASSERT_EQ(trouble, "");
			}
		}
		/* When all are gone, so is every node, and every value is named by none. */
		for (Clone &clone : clones)
			for (bool empty = false, unshared = false; !empty;)
				empty = test.tree
						.drop_front(
							clone.root,
							[&](std::uint64_t value) -> Result<bool> {
								test.names.counts[value]--;
								return true;
							},
							unshared)
						.value();
		EXPECT_EQ(test.store.super().nodes[static_cast<unsigned>(Kind::logical)], 0U);
		for (const auto &[value, count] : test.names.counts)
			ASSERT_EQ(count, 0U) << value;
		ASSERT_TRUE(test.store.commit().ok());
		EXPECT_EQ(test.store.space().available(), test.store.space().size());
	}
}

TEST(BlockTree, what_is_filled_in_order_fills_its_nodes)
{
	Trees test(2000);
	Meta root{};

	for (std::uint64_t key = 0; key < 253 * 40; key++)
		ASSERT_TRUE(test.tree.insert(root, key, &key).ok());
	EXPECT_LE(test.store.super().nodes[static_cast<unsigned>(Kind::logical)], 42U);
	/* And small leaves are joined. */
	for (std::uint64_t key = 0; key < 253 * 40; key++)
		if (key % 16) {
			ASSERT_TRUE(test.tree.remove(root, key).value());
		}
	EXPECT_LE(test.store.super().nodes[static_cast<unsigned>(Kind::logical)], 25U);
}

TEST(BlockTree, what_differs_is_all_that_is_read)
{
	Trees test(4000);
	Meta root{};

	for (std::uint64_t key = 0; key < 200'000; key++)
		ASSERT_TRUE(test.tree.insert(root, key, &key).ok());
	ASSERT_TRUE(test.store.raise(root).ok());
	Meta other = root;
	const std::uint64_t value = 7;
	for (const std::uint64_t key : {3U, 100'000U, 100'001U})
		ASSERT_TRUE(test.tree.update(other, key, &value).ok());
	ASSERT_TRUE(test.store.commit().ok());

	Store fresh(test.disk);
	ASSERT_TRUE(fresh.open(4000, 32, Access::read_only).ok());
	Tree tree(fresh, Kind::logical);
	std::vector<std::uint64_t> found;
	const auto before = test.disk.reads;
	ASSERT_TRUE(tree.diff(root, other, 0,
			      [&](std::uint64_t key, const std::uint64_t *,
				  const std::uint64_t *) -> Result<bool> {
				      found.push_back(key);
				      return true;
			      })
			    .ok());
	EXPECT_EQ(found, (std::vector<std::uint64_t>{3, 100'000, 100'001}));
	EXPECT_LE(test.disk.reads - before, 12U) << "of some 800 nodes";
}

} // namespace
