// SPDX-License-Identifier: GPL-2.0-or-later
/* A pool whose data or metadata runs out, or whose device or memory fails: errors, and no harm. */
#include "block_bench.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::unit;

TEST(BlockSpace, data_full)
{
	Bench bench({256, {20}, 64});
	const auto volume = bench.create(100);

	for (std::uint64_t lba = 0; lba < 20; lba++)
		ASSERT_TRUE(bench.write(volume, lba));
	EXPECT_FALSE(bench.write(volume, 20));
	EXPECT_FALSE(bench.pool->is_broken());
	EXPECT_EQ(bench.pool->free_blocks(0), 0U);
	/* In place there is always room. */
	EXPECT_TRUE(bench.write(volume, 3));
	/* What is given back is not free before the commit and the drain. */
	ASSERT_TRUE(bench.discard(volume, 0, 5));
	const auto plan = bench.pool->prepare_write(volume, {30}, {});
	ASSERT_FALSE(plan.ok());
	EXPECT_EQ(plan.error(), Error::again);
	EXPECT_TRUE(bench.write(volume, 30));
	EXPECT_TRUE(bench.verify()) << bench.trouble;
}

/* Volumes diverge until there is no room for it; then all of it can be deleted. */
TEST(BlockSpace, metadata_full)
{
	for (std::uint64_t blocks = 128; blocks < 320; blocks += 13) {
		Bench bench({blocks, {4000}, 64});
		const auto base = bench.create(3000);
		bool full = false;

		for (std::uint64_t lba = 0; lba < 600 && !full; lba++)
			full = !bench.write(base, lba * 5);
		for (std::uint64_t i = 0; i < 5000 && !full; i++) {
			const auto clone = bench.snapshot(base, false);
			full = clone == VolumeId{} || !bench.write(clone, i * 37 % 3000);
		}
		ASSERT_TRUE(full) << blocks;
		EXPECT_FALSE(bench.pool->is_broken());
		EXPECT_LT(bench.pool->usable_meta(), 64U) << "reserved, and one operation's need";
		ASSERT_TRUE(bench.verify()) << bench.trouble;
		/* What nobody shares can be discarded, all can be deleted. */
		while (!bench.model.empty())
			ASSERT_TRUE(bench.remove({bench.model.rbegin()->first}));
		bench.finish_deleting();
		bench.flush();
		ASSERT_TRUE(bench.verify()) << bench.trouble;
		EXPECT_EQ(bench.pool->free_meta(), bench.pool->store().space().size());
		EXPECT_EQ(bench.pool->super().mapped, 0U);
	}
}

TEST(BlockSpace, discards_when_metadata_is_full)
{
	Bench bench({150, {8000}, 64});
	const auto volume = bench.create(100'000);
	std::uint64_t written = 0;

	while (bench.write(volume, written * 11))
		written++;
	ASSERT_GT(written, 100U);
	EXPECT_EQ(bench.pool->usable_meta() / 64, 0U);
	EXPECT_TRUE(bench.discard(volume, 0, 50'000));
	EXPECT_TRUE(bench.discard(volume, 50'000, 50'000));
	bench.flush();
	EXPECT_TRUE(bench.verify()) << bench.trouble;
	EXPECT_EQ(bench.pool->super().mapped, 0U);
}

/* Some of everything, whatever fails in it; true: nothing did. */
bool do_some(Bench &bench)
{
	Pool &pool = *bench.pool;
	bool all = true;
	const auto note = [&](const auto &result) { all &= result.ok(); };
	Move move;

	for (const std::uint64_t number : {1, 2}) {
		const VolumeId id{number};
		const auto plan = pool.prepare_write(id, {7}, {});
		note(plan);
		note(pool.snapshot(id, true));
		note(pool.prepare_write(id, {1}, {}));
		note(pool.discard(id, {2}, 3));
		note(pool.look_up(id, {0}, 10));
	}
	const auto begun = pool.begin_move(move, {0}, {});
	note(begun);
	if (begun.ok())
		note(pool.finish_move(move));
	if (move.of_pool.linked())
		pool.cancel_move(move);
	note(pool.commit());
	return all;
}

/* A pool with a history, reopened so that nothing of it is in memory. */
std::unique_ptr<Bench> make_used()
{
	auto bench = std::make_unique<Bench>(BenchShape{256, {100}, 32});
	const auto volume = bench->create(50);

	for (std::uint64_t lba = 0; lba < 6; lba++)
		bench->write(volume, lba);
	bench->snapshot(volume, false);
	bench->write(volume, 0);
	bench->flush();
	bench->open();
	return bench;
}

/* Aborts what broke, and holds that the pool is as before or as all was to be. */
void expect_whole(Bench &bench, const std::string &what)
{
	const auto committed = bench.committed;

	if (bench.pool->is_broken()) {
		const auto commit = bench.pool->commit();
		ASSERT_FALSE(commit.ok()) << what;
		const auto id = bench.pool->create_volume(1);
		ASSERT_FALSE(id.ok()) << what;
		EXPECT_EQ(id.error(), Error::cancelled) << what;
	}
	ASSERT_TRUE(bench.pool->abort().ok()) << what;
	ASSERT_TRUE(bench.check_metadata()) << what << ": " << bench.trouble;
	if (bench.pool->super().volumes == committed.size()) {
		bench.model = committed;
		ASSERT_TRUE(bench.compare()) << what << ": " << bench.trouble;
	}
	/* No place is given to two, none is lost. */
	bench.drain();
	EXPECT_EQ(bench.pool->free_blocks(0), 100 - bench.pool->super().devices[0].used) << what;
	ASSERT_TRUE(do_some(bench)) << what;
	ASSERT_TRUE(bench.check_metadata()) << what << ": " << bench.trouble;
	bench.open();
	ASSERT_TRUE(bench.check_metadata()) << what << ": " << bench.trouble;
}

TEST(BlockSpace, each_request_of_the_device_fails_once)
{
	bool all = false;
	std::int64_t at = 0;

	for (; !all && !HasFatalFailure(); at++) {
		auto bench = make_used();

		bench->disk.requests_left = at;
		all = do_some(*bench);
		bench->disk.requests_left = -1;
		if (!all)
			expect_whole(*bench, "request " + std::to_string(at));
	}
	EXPECT_GT(at, 10);
}

TEST(BlockSpace, each_allocation_fails)
{
	bool all = false;
	std::int64_t at = 0;

	for (; !all && !HasFatalFailure(); at++) {
		auto bench = make_used();

		allocations_left = at;
		all = do_some(*bench);
		allocations_left = -1;
		if (!all)
			expect_whole(*bench, "allocation " + std::to_string(at));
	}
	EXPECT_GT(at, 10);
	/* And of opening and checking. */
	auto bench = make_used();
	for (all = false, at = 0; !all; at++) {
		Pool pool(bench->disk);

		allocations_left = at;
		all = pool.open(256, 32, Access::read_only).ok() &&
		      check(pool, [](const Violation &) {}).ok();
		allocations_left = -1;
	}
	EXPECT_GT(at, 5);
}

} // namespace
