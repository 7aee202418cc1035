// SPDX-License-Identifier: GPL-2.0-or-later
/* The block store beside a model of it, in random streams of operations. */
#include "block_bench.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::unit;

/* All volumes of @bench but the read-only ones, if @writable. */
std::vector<VolumeId> volumes_of(const Bench &bench, bool writable)
{
	std::vector<VolumeId> ids;

	for (const auto &[id, volume] : bench.model)
		if (!writable || !volume.read_only)
			ids.push_back({id});
	return ids;
}

/* One operation; what the pool refuses for want of space is refused. */
void operate(Bench &bench, RandomStream &random)
{
	const auto writable = volumes_of(bench, true), all = volumes_of(bench, false);
	const auto of = [&](const std::vector<VolumeId> &ids) {
		return ids[random.below(ids.size())];
	};

	if (writable.empty() || (all.size() < 3 && random.below(10) == 0)) {
		bench.create(random.below(2) ? 400 : 40);
		return;
	}
	const auto volume = of(writable);
	const auto blocks = bench.model[volume.value].blocks;
	switch (random.below(24)) {
	case 0:
	case 1:
		if (all.size() < 12)
			bench.snapshot(of(all), random.below(3) == 0);
		break;
	case 2:
		if (all.size() > 6)
			bench.remove(of(all));
		break;
	case 3:
	case 4: {
		const auto lba = random.below(blocks);
		bench.discard(volume, lba,
			      1 + random.below(random.below(8) ? 4 : blocks - lba) %
					      (blocks - lba));
		break;
	}
	case 5:
	case 6:
	case 7:
		bench.relocate(random.below(200),
			       {static_cast<std::uint16_t>(random.below(2)), random.below(2) != 0});
		break;
	case 8:
		bench.finish_deleting();
		break;
	case 9:
		if (random.below(3) == 0)
			bench.roll_back(volume, of(all));
		break;
	case 10:
		if (random.below(8) == 0)
			bench.abort();
		break;
	case 11:
		if (random.below(4) == 0) {
			bench.flush();
			bench.open();
			bench.compare();
		}
		break;
	case 12:
		bench.flush();
		bench.check_metadata();
		break;
	case 13:
		bench.drain();
		break;
	default: {
		/* Runs, so that leaves fill up in order as well. */
		auto lba = random.below(blocks);
		for (auto count = random.below(4) ? 1 : random.below(20); count && lba < blocks;
		     count--, lba++)
			bench.write(volume, lba,
				    {static_cast<std::uint16_t>(random.below(2)), false});
	}
	}
}

std::string run(const BenchShape &shape, RandomStream &random)
{
	Bench bench(shape);

	for (unsigned i = 0; random.more() && bench.trouble.empty(); i++) {
		operate(bench, random);
		if (i % 256 == 255)
			bench.verify();
	}
	bench.flush();
	bench.verify();
	/* In the end all is given back. */
	for (const auto volume : volumes_of(bench, false))
		bench.remove(volume);
	bench.finish_deleting();
	bench.flush();
	bench.verify();
	const auto &super = bench.pool->super();
	if (bench.trouble.empty() && (super.mapped || super.volumes || super.nodes[0] ||
				      super.nodes[1] || super.nodes[2] || super.nodes[3]))
		bench.complain("an empty pool has something in it");
	if (bench.trouble.empty() && bench.pool->free_meta() != bench.pool->store().space().size())
		bench.complain("an empty pool's metadata is not free");
	return bench.trouble;
}

TEST(BlockPool, holds_what_the_model_does)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		RandomStream random(2000, variant);

		EXPECT_EQ(run({1024, {600, 300}, 64}, random), "") << variant;
	}
}

TEST(BlockPool, when_data_and_metadata_are_short)
{
	for (unsigned variant = 0; variant < 6; variant++) {
		RandomStream random(1500, 100 + variant);

		EXPECT_EQ(run({variant < 3 ? 160U : 200U, {80, 30}, 32}, random), "") << variant;
	}
}

/* What the logic could get wrong and this would show. */
TEST(BlockPool, notices_what_is_broken)
{
	for (const auto what : {Sabotage::copy_without_raise, Sabotage::middle_count_off,
				Sabotage::reverse_left_behind, Sabotage::shared_written_in_place,
				Sabotage::unshared_written_in_place}) {
		std::string trouble;

		for (unsigned variant = 0; variant < 8 && trouble.empty(); variant++) {
			RandomStream random(1500, 200 + variant);
			const Broken broken(what);
			trouble = run({1024, {600, 300}, 64}, random);
		}
		EXPECT_NE(trouble, "") << static_cast<int>(what);
	}
}

} // namespace
