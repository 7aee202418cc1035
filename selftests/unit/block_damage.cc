// SPDX-License-Identifier: GPL-2.0-or-later
/* Metadata that is not as it was written: found, and told where. */
#include "block_bench.hh"

#include "block/crc32c.hh"
#include "block/superblock.hh"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace corbel::unit;

TEST(BlockDamage, the_checksum_is_crc32c)
{
	EXPECT_EQ(crc32c("123456789", 9), 0xe3069283U);
	EXPECT_EQ(crc32c("", 0), 0U);
	/* RFC 3720, B.4 */
	std::array<std::uint8_t, 32> bytes{};
	EXPECT_EQ(crc32c(bytes.data(), bytes.size()), 0x8a9136aaU);
	bytes.fill(0xff);
	EXPECT_EQ(crc32c(bytes.data(), bytes.size()), 0x62a8ab43U);
}

std::unique_ptr<Bench> make_used()
{
	auto bench = std::make_unique<Bench>(BenchShape{128, {400}, 64});
	const auto volume = bench->create(1000);

	for (std::uint64_t lba = 0; lba < 300; lba++)
		bench->write(volume, lba);
	bench->snapshot(volume, true);
	bench->write(volume, 5);
	bench->flush();
	return bench;
}

/* Violations of the pool that lies on @disk; all of it if it does not even open. */
std::set<Wrong> violations(Disk &disk, bool &opened)
{
	std::set<Wrong> found;
	Pool pool(disk);

	opened = pool.open(128, 64, Access::read_only).ok();
	if (opened) {
		EXPECT_TRUE(
			check(pool, [&](const Violation &one) { found.insert(one.what); }).ok());
	}
	return found;
}

/* Every block that counts, damaged in a bit, is refused by who reads it. */
TEST(BlockDamage, every_block_in_use_counts)
{
	const auto bench = make_used();
	const auto generation = bench->pool->super().header.generation;
	unsigned refused = 0, nodes = 0;

	for (std::uint64_t block = 0; block < 128; block++) {
		Disk disk(bench->disk.contents);
		auto damaged = std::make_shared<MetaBlock>(*disk.contents.meta[block]);
		(*damaged)[block * 31 % 4096] ^= 4;
		disk.contents.meta[block] = damaged;
		bool opened = false;
		const auto found = violations(disk, opened);
		const bool in_use = bench->pool->store().count({block});
		nodes += in_use;
		refused += !opened;
		if (opened && block != generation % 2) {
			EXPECT_EQ(found.contains(Wrong::unreadable), in_use) << block;
		}
	}
	EXPECT_GT(nodes, 8U);
	EXPECT_GE(refused, 1U) << "counts; or the older superblock, whose counts were written over";
}

/* What is whole and wrong: one entry of each kind changed. */
TEST(BlockDamage, the_checker_tells_what_is_wrong)
{
	const auto bench = make_used();
	const auto &super = bench->pool->super();
	const auto change = [&](Kind kind, std::size_t word, std::uint64_t add, bool values) {
		Disk disk(bench->disk.contents);
		auto at = kind == Kind::logical ? bench->pool->find_volume({1}).value().root
						: super.roots[static_cast<unsigned>(kind)];

		for (;;) {
			auto block = std::make_shared<MetaBlock>(*disk.contents.meta[at]);
			auto &node = *reinterpret_cast<NodeV1 *>(block->data());
			if (node.level) {
				at = *value_of(node, 0);
				continue;
			}
			(values ? value_of(node, 0) : keys_of(node))[word] += add;
			seal(node.header);
			disk.contents.meta[at] = block;
			break;
		}
		bool opened = false;
		auto found = violations(disk, opened);
		EXPECT_TRUE(opened);
		return found;
	};
	const auto has = [](const std::set<Wrong> &found, Wrong what) {
		return found.contains(what);
	};

	EXPECT_TRUE(has(change(Kind::middle, 1, 1, true), Wrong::middle_count));
	EXPECT_TRUE(has(change(Kind::middle, 0, 1, true), Wrong::reverse_missing));
	EXPECT_TRUE(
		has(change(Kind::middle, 0, std::uint64_t{7} << 48, true), Wrong::middle_entry));
	EXPECT_TRUE(has(change(Kind::reverse, 0, 1, true), Wrong::reverse_wrong));
	EXPECT_TRUE(has(change(Kind::logical, 0, 1, true), Wrong::middle_count));
	EXPECT_TRUE(has(change(Kind::logical, 0, 5000, true), Wrong::mapping_outside));
	EXPECT_TRUE(has(change(Kind::volumes, 2, 1, true), Wrong::volume_mapped));
	EXPECT_TRUE(has(change(Kind::volumes, 1, ~std::uint64_t{0} - 990, true),
			Wrong::mapping_outside));
	EXPECT_TRUE(has(change(Kind::volumes, 5, 4, true), Wrong::volume_entry));
	EXPECT_TRUE(has(change(Kind::reverse, 2, 1, false), Wrong::unreadable)) << "a key twice";
}

/*
 * A superblock is lost later. The one before it is good as long as nothing was written since,
 * and is not believed when something was.
 */
TEST(BlockDamage, an_old_state_is_not_believed_when_it_was_written_over)
{
	const auto bench = make_used();
	const auto newest = bench->pool->super().header.generation;
	const auto open = [&](Contents contents) {
		contents.meta[newest % 2] = std::make_shared<MetaBlock>();
		Disk disk(std::move(contents));
		Pool pool(disk);
		const auto opened = pool.open(128, 64, Access::read_only);
		if (opened.ok()) {
			EXPECT_EQ(pool.super().header.generation, newest - 1);
		}
		return opened.to_errno();
	};
	Contents since = bench->disk.contents;

	EXPECT_EQ(open(since), 0);
	bench->disk.recording = true;
	bench->write({1}, 10);
	bench->flush();
	for (const Event &event : bench->disk.events)
		if (event.kind != Event::Kind::meta_write || event.at > 1)
			Disk::apply_to(since, event);
	EXPECT_EQ(open(since), to_errno(Error::bad_message));
}

TEST(BlockDamage, other_versions_and_sizes_are_refused)
{
	const auto bench = make_used();
	const auto place = bench->pool->super().header.generation % 2;
	const auto open = [&](auto &&change, std::uint64_t blocks = 128) {
		Disk disk(bench->disk.contents);
		auto block = std::make_shared<MetaBlock>(*disk.contents.meta[place]);
		auto &super = *reinterpret_cast<SuperblockV1 *>(block->data());

		change(super);
		seal(super.header);
		disk.contents.meta[place] = block;
		Pool pool(disk);
		return pool.open(blocks, 64, Access::read_only).to_errno();
	};

	EXPECT_EQ(open([](SuperblockV1 &) {}), 0);
	EXPECT_EQ(open([](SuperblockV1 &) {}, 127), to_errno(Error::not_found));
	EXPECT_EQ(open([](SuperblockV1 &s) { s.version = 2; }), to_errno(Error::not_supported));
	EXPECT_EQ(open([](SuperblockV1 &s) { s.features = 1; }), to_errno(Error::not_supported));
	EXPECT_EQ(open([](SuperblockV1 &s) { s.meta_blocks = 129; }), to_errno(Error::no_space));
	for (const auto result : {
		     open([](SuperblockV1 &s) { s.data_block_bytes = 5000; }),
		     open([](SuperblockV1 &s) { s.roots[1] = 3; }),
		     open([](SuperblockV1 &s) { s.roots[3] = 50; }),
		     open([](SuperblockV1 &s) { s.uuid[0] ^= 1; }),
		     open([](SuperblockV1 &s) { s.mapped++; }),
		     open([](SuperblockV1 &s) { s.devices[3].blocks = ~0ULL; }),
		     open([](SuperblockV1 &s) { s.homes[9] = 1; }),
		     open([](SuperblockV1 &s) { s.unused[9] = 1; }),
		     open([](SuperblockV1 &s) { s.header.generation += 1; }),
	     })
		EXPECT_EQ(result, to_errno(Error::bad_message));
}

} // namespace
