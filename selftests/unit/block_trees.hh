/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trees in a store of their own. */
#pragma once

#include "block/tree.hh"
#include "block_bench.hh"

#include <gtest/gtest.h>

namespace corbel::unit {

/* What the leaves of a logical tree refer to, counted as the middle map would. */
class Names final : public Sharing {
public:
	Result<void> raise_value(std::uint64_t value) override
	{
		counts[value]++;
		return {};
	}
	std::map<std::uint64_t, std::uint64_t> counts;
};

/* A store, and trees of one kind in it that share nodes. */
struct Trees {
	explicit Trees(std::uint64_t blocks) : blocks(blocks), disk(blocks)
	{
		EXPECT_TRUE(Store::format(disk, blocks, 4096, pool_uuid).ok());
		EXPECT_TRUE(store.open(blocks, 32, Access::read_write).ok());
	}
	std::uint64_t blocks;
	Disk disk;
	Store store{disk};
	Names names;
	Tree tree{store, Kind::logical, &names};
};

inline std::map<std::uint64_t, std::uint64_t> read_all(Tree &tree, Meta root, std::string &trouble)
{
	std::map<std::uint64_t, std::uint64_t> entries;
	const auto result =
		tree.walk(root, 0, ~std::uint64_t{0},
			  [&](std::uint64_t key, const std::uint64_t *value) -> Result<bool> {
				  if (!entries.empty() && entries.rbegin()->first >= key)
					  trouble = "keys are out of order";
				  entries[key] = *value;
				  return true;
			  });

	if (!result.ok())
		trouble = "a walk failed: " + std::to_string(result.to_errno());
	return entries;
}

} // namespace corbel::unit
