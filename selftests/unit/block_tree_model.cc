// SPDX-License-Identifier: GPL-2.0-or-later
/* Trees and the store beneath them, nearly full, after a crash at any write. */
#include "block_trees.hh"

namespace {

using namespace corbel::unit;

/*
 * One tree in a store that is nearly full, so that what is freed is soon used again; cut off
 * at every write and flush. The root goes where that of the reverse map belongs.
 */
std::string crash_when_full(unsigned variant)
{
	constexpr std::uint64_t blocks = 128;
	RandomStream random(300, variant);
	Trees test(blocks);
	std::map<std::uint64_t, std::uint64_t> entries;
	std::vector<std::map<std::uint64_t, std::uint64_t>> committed(2);
	Tree tree(test.store, Kind::reverse);
	Contents flushed = test.disk.contents;

	for (std::uint64_t next = 1; random.more(); next++) {
		auto root = Meta{test.store.super().roots[static_cast<unsigned>(Kind::reverse)]};
		test.disk.recording = true;
		test.disk.events.clear();
		for (unsigned i = 0; i < 6 && test.store.space().available() > 8; i++) {
			const auto key = random.below(200'000);
			const auto in = entries.lower_bound(key);
			if (entries.size() > 5000 && in != entries.end()) {
				if (!tree.remove(root, in->first).ok())
					return "remove";
				entries.erase(in);
				continue;
			}
			for (std::uint64_t run = 0; run < 40 && test.store.space().available() > 8;
			     run++) {
				if (!tree.insert(root, key + run, &next).ok())
					return "insert";
				entries[key + run] = next;
			}
		}
		test.store.change_super().roots[static_cast<unsigned>(Kind::reverse)] = root.value;
		if (!test.store.commit().ok())
			return "commit";
		committed.push_back(entries);

		std::vector<const Event *> pending;
		for (const Event &event : test.disk.events) {
			if (event.kind == Event::Kind::meta_flush) {
				for (const Event *one : pending)
					Disk::apply_to(flushed, *one);
				pending.clear();
				continue;
			}
			pending.push_back(&event);
			Contents image = flushed;
			for (const Event *one : pending)
				if (random.below(2))
					Disk::apply_to(image, *one);
			Disk disk(std::move(image));
			Store store(disk);
			std::string trouble;
			if (!store.open(blocks, 32, Access::read_write).ok())
				return "open";
			Tree after(store, Kind::reverse);
			const auto &super = store.super();
			if (super.header.generation + 1 < committed.size() - 1)
				return "lost";
			const auto found =
				read_all(after, {super.roots[static_cast<unsigned>(Kind::reverse)]},
					 trouble);
			if (!trouble.empty() || found != committed[super.header.generation])
				return "contents " + trouble;
		}
	}
	return "";
}

TEST(block_tree_model, crash_when_full)
{
	for (unsigned variant = 0; variant < 2; variant++)
		EXPECT_EQ(crash_when_full(variant), "");
	for (const auto what : {Sabotage::meta_reused_before_commit, Sabotage::nodes_in_place,
				Sabotage::counts_in_one_place}) {
		const Broken broken(what);

		EXPECT_NE(crash_when_full(0), "") << static_cast<int>(what);
	}
}

} // namespace
