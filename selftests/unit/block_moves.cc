// SPDX-License-Identifier: GPL-2.0-or-later
/* What moving a block costs and when it is refused; when places are given out again. */
#include "block_bench.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::unit;

struct Receipt {
	std::uint64_t middle, logical, bytes;
};

/* One block that @snapshots snapshots share, each with a leaf of its own, goes elsewhere. */
Receipt move_shared(unsigned snapshots)
{
	Bench bench({8192, {20'000}, 256});
	const auto volume = bench.create(100);
	Receipt receipt{};

	EXPECT_TRUE(bench.write(volume, 0));
	for (unsigned i = 0; i < snapshots; i++) {
		const auto clone = bench.snapshot(volume, false);
		EXPECT_TRUE(bench.write(clone, 1));
	}
	bench.flush();
	const auto mba = bench.pool->mba_at({0, 0});
	EXPECT_TRUE(mba.ok());
	Move move;
	const auto before = bench.pool->written();
	EXPECT_TRUE(bench.pool->begin_move(move, mba.value(), {}).ok());
	bench.disk.write_data(move.to, bench.disk.data_at(move.from));
	EXPECT_TRUE(bench.pool->finish_move(move).ok());
	bench.flush();
	const auto after = bench.pool->written();
	receipt = {after.middle - before.middle, after.logical - before.logical,
		   after.bytes - before.bytes};
	EXPECT_TRUE(bench.verify()) << bench.trouble;
	return receipt;
}

TEST(BlockMoves, one_entry_however_many_share_it)
{
	const auto one = move_shared(1);

	for (const unsigned snapshots : {1U, 32U, 1024U}) {
		const auto receipt = move_shared(snapshots);

		EXPECT_EQ(receipt.middle, 1U) << snapshots;
		EXPECT_EQ(receipt.logical, 0U) << snapshots;
		/* A path of either map, counts, superblock; maps of 1,000 blocks are deeper. */
		EXPECT_LE(receipt.bytes, one.bytes + std::uint64_t{4} * 4096) << snapshots;
		std::printf("# shared by %u: %llu middle entry, %llu bytes of metadata\n",
			    snapshots, static_cast<unsigned long long>(receipt.middle),
			    static_cast<unsigned long long>(receipt.bytes));
	}
}

/* In one pool, so that maps are the same: bytes do not depend on who shares. */
TEST(BlockMoves, bytes_are_flat)
{
	Bench bench({8192, {20'000}, 256});
	const auto volume = bench.create(3000);

	for (std::uint64_t lba = 0; lba < 2000; lba++)
		ASSERT_TRUE(bench.write(volume, lba));
	std::uint64_t first = 0;
	unsigned made = 0;
	for (const unsigned snapshots : {1U, 32U, 1024U}) {
		while (made < snapshots) {
			ASSERT_NE(bench.snapshot(volume, true), VolumeId{});
			made++;
		}
		bench.flush();
		const auto before = bench.pool->written();
		ASSERT_TRUE(bench.relocate(0));
		bench.flush();
		const auto bytes = bench.pool->written().bytes - before.bytes;
		if (!first)
			first = bytes;
		EXPECT_EQ(bytes, first) << snapshots;
	}
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

TEST(BlockMoves, stale_if_the_block_goes_meanwhile)
{
	const auto scenario = [] {
		Bench bench({256, {40}, 64});
		const auto volume = bench.create(20);
		bench.write(volume, 0);
		bench.write(volume, 1);
		bench.flush();
		const auto mba = bench.pool->mba_at({0, 0}).value();
		Move move, second;
		EXPECT_TRUE(bench.pool->begin_move(move, mba, {}).ok());
		EXPECT_EQ(bench.pool->begin_move(second, mba, {}).error(), Error::busy);
		bench.disk.write_data(move.to, bench.disk.data_at(move.from));
		bench.discard(volume, 0, 1);
		bench.flush();
		bench.drain();
		/* Its number comes round again, for other contents. */
		for (unsigned lba = 2; lba < 20 && !bench.pool->find_mba(mba).ok(); lba++)
			bench.write(volume, lba);
		while (bench.pool->find_mba(mba).error() == Error::not_found) {
			bench.write(volume, 5);
			bench.discard(volume, 5, 1);
			bench.write(volume, 5);
			bench.flush();
			bench.drain();
			if (bench.pool->find_mba(mba).ok())
				break;
		}
		const auto done = bench.pool->finish_move(move);
		const bool refused = !done.ok() && done.error() == Error::stale;
		if (move.of_pool.linked())
			bench.pool->cancel_move(move);
		bench.flush();
		bench.verify();
		return refused && bench.trouble.empty();
	};

	EXPECT_TRUE(scenario());
	const Broken broken(Sabotage::moved_unasked);
	EXPECT_FALSE(scenario());
}

TEST(BlockMoves, cancelled_and_aborted)
{
	Bench bench({256, {40}, 64});
	const auto volume = bench.create(20);

	bench.write(volume, 0);
	bench.flush();
	const auto mba = bench.pool->mba_at({0, 0}).value();
	Move move;
	ASSERT_TRUE(bench.pool->begin_move(move, mba, {}).ok());
	EXPECT_EQ(bench.pool->free_blocks(0), 38U);
	bench.pool->cancel_move(move);
	EXPECT_EQ(bench.pool->free_blocks(0), 39U);
	/* An abort may take back what it is of. */
	ASSERT_TRUE(bench.pool->begin_move(move, mba, {}).ok());
	bench.write(volume, 1);
	ASSERT_TRUE(bench.abort());
	EXPECT_EQ(bench.pool->finish_move(move).error(), Error::stale);
	bench.drain();
	EXPECT_EQ(bench.pool->free_blocks(0), 39U);
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

/* Who has looked a place up may use it until the drain. */
TEST(BlockMoves, places_are_given_out_behind_a_drain)
{
	const auto given_early = [] {
		Bench bench({256, {3}, 64});
		const auto volume = bench.create(20);
		bench.write(volume, 0);
		bench.write(volume, 1);
		bench.write(volume, 2);
		bench.flush();
		const auto extent = bench.pool->look_up(volume, {1}, 1).value();
		bench.discard(volume, 1, 1);
		bench.flush();
		const auto plan = bench.pool->prepare_write(volume, {3}, {});
		if (plan.ok())
			return plan.value().pba == extent.pba;
		EXPECT_EQ(plan.error(), Error::again);
		EXPECT_TRUE(bench.pool->begin_drain());
		EXPECT_FALSE(bench.pool->begin_drain()) << "one at a time";
		EXPECT_FALSE(bench.pool->prepare_write(volume, {3}, {}).ok());
		bench.pool->end_drain();
		EXPECT_TRUE(bench.pool->prepare_write(volume, {3}, {}).ok());
		return false;
	};

	EXPECT_FALSE(given_early());
	const Broken broken(Sabotage::data_reused_before_drain);
	EXPECT_TRUE(given_early());
}

/* And what others get is not changed by it. */
TEST(BlockMoves, a_place_that_is_asked_for)
{
	Bench bench({512, {200}, 64});
	const auto volume = bench.create(100);
	const auto place_of = [&](std::uint64_t lba) {
		return bench.pool->look_up(volume, {lba}, 1).value().pba.block;
	};
	const auto is_used = [&](std::uint64_t place) {
		for (std::uint64_t lba = 0; lba < 10; lba++)
			if (place_of(lba) == place)
				return true;
		return false;
	};

	for (std::uint64_t lba = 0; lba < 10; lba++)
		ASSERT_TRUE(bench.write(volume, lba));
	const auto last = place_of(9);
	for (std::uint64_t place = 150; place < 153; place++) {
		EXPECT_FALSE(is_used(place));
		ASSERT_TRUE(bench.relocate(place - 150, {0, true, 150}));
		EXPECT_TRUE(is_used(place)) << "the first free one from there on";
	}
	ASSERT_TRUE(bench.write(volume, 50));
	EXPECT_EQ(place_of(50), last + 1);
	ASSERT_TRUE(bench.relocate(3, {0, true, 1000}));
	bench.flush();
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

TEST(BlockMoves, a_device_is_emptied_and_removed)
{
	Bench bench({512, {60, 60}, 64});
	const auto volume = bench.create(200);

	for (std::uint64_t lba = 0; lba < 50; lba++)
		ASSERT_TRUE(bench.write(volume, lba));
	bench.snapshot(volume, true);
	bench.flush();
	EXPECT_EQ(bench.pool->resize_device(0, 0).error(), Error::busy);
	ASSERT_TRUE(bench.pool->limit_device(0, 0).ok());
	while (bench.pool->super().devices[0].used)
		ASSERT_TRUE(bench.relocate(0, {1, true}));
	EXPECT_EQ(bench.pool->resize_device(0, 0).error(), Error::again);
	bench.flush();
	bench.drain();
	ASSERT_TRUE(bench.pool->resize_device(0, 0).ok());
	bench.flush();
	ASSERT_TRUE(bench.write(volume, 100));
	EXPECT_TRUE(bench.verify()) << bench.trouble;
	/* Its number is free for another one. */
	const auto added = bench.pool->add_device(device_uuid, "hdd", 10);
	ASSERT_TRUE(added.ok());
	EXPECT_EQ(added.value(), 0);
	bench.flush();
	bench.open();
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

/* Told block by block: what the model has, at the place that holds it. */
std::map<std::uint64_t, std::uint64_t> contents_by_map(Bench &bench, VolumeId volume,
						       std::uint64_t first)
{
	std::map<std::uint64_t, std::uint64_t> found;
	const auto walked = bench.pool->walk_volume(
		volume, {first}, [&](Lba lba, Mba mba, Pba pba) -> Result<bool> {
			found[lba.value] = bench.disk.data_at(pba);
			EXPECT_EQ(bench.pool->find_mba(mba).value(), pba);
			return true;
		});

	EXPECT_TRUE(walked.ok());
	return found;
}

TEST(BlockMoves, a_map_leads_to_what_is_held)
{
	Bench bench({4096, {3000, 3000}, 64});
	const auto volume = bench.create(2000);

	for (std::uint64_t i = 0; i < 1500; i++)
		ASSERT_TRUE(bench.write(volume, i * 7 % 1900));
	const auto kept = bench.snapshot(volume, true);
	for (std::uint64_t i = 0; i < 300; i++)
		ASSERT_TRUE(bench.write(volume, i * 5));
	for (std::uint64_t i = 0; i < 200; i++)
		ASSERT_TRUE(bench.relocate(i * 11, {1, true}));
	for (const auto id : {volume, kept}) {
		const auto &model = bench.model[id.value].contents;

		EXPECT_EQ(contents_by_map(bench, id, 0),
			  (std::map<std::uint64_t, std::uint64_t>(model.begin(), model.end())));
		EXPECT_EQ(contents_by_map(bench, id, 1000),
			  (std::map<std::uint64_t, std::uint64_t>(model.lower_bound(1000),
								  model.end())));
	}
	std::uint64_t seen = 0;
	ASSERT_TRUE(
		bench.pool
			->walk_volume(volume, {0},
				      [&](Lba, Mba, Pba) -> Result<bool> { return ++seen < 10; })
			.ok());
	EXPECT_EQ(seen, 10U);
	const auto none = [](Lba, Mba, Pba) -> Result<bool> { return true; };
	EXPECT_EQ(bench.pool->walk_volume(volume, {2000}, none).error(), Error::range);
	EXPECT_EQ(bench.pool->walk_volume({99}, {0}, none).error(), Error::not_found);
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

TEST(BlockMoves, volumes_are_told_apart)
{
	Bench bench({256, {100}, 64});
	const auto volume = bench.create(20);
	bench.write(volume, 3);
	const auto kept = bench.snapshot(volume, true);
	Pool &pool = *bench.pool;

	EXPECT_EQ(pool.prepare_write(kept, {3}, {}).error(), Error::permission);
	EXPECT_EQ(pool.prepare_write(volume, {20}, {}).error(), Error::range);
	EXPECT_EQ(pool.discard(volume, {19}, 2).error(), Error::range);
	EXPECT_EQ(pool.resize_volume(volume, 3).error(), Error::busy);
	EXPECT_EQ(pool.look_up({99}, {0}, 1).error(), Error::not_found);
	EXPECT_EQ(pool.delete_some(volume).error(), Error::invalid);
	bench.write(volume, 3);
	bench.write(volume, 9);
	std::vector<std::uint64_t> differ;
	ASSERT_TRUE(pool.diff(volume, kept, {0}, [&](Lba lba, bool, bool in_b) -> Result<bool> {
				differ.push_back(lba.value * 2 + in_b);
				return true;
			}).ok());
	EXPECT_EQ(differ, (std::vector<std::uint64_t>{7, 18}));
	bench.remove(kept);
	EXPECT_EQ(pool.look_up(kept, {0}, 1).error(), Error::not_found);
	bench.finish_deleting();
	bench.flush();
	EXPECT_TRUE(bench.verify()) << bench.trouble;

	Pool reader(bench.disk);
	ASSERT_TRUE(reader.open(256, 32, Access::read_only).ok());
	EXPECT_EQ(reader.create_volume(1).error(), Error::permission);
	EXPECT_EQ(reader.prepare_write(volume, {15}, {}).error(), Error::permission);
	EXPECT_TRUE(reader.look_up(volume, {3}, 1).value().mapped);
}

} // namespace
