// SPDX-License-Identifier: GPL-2.0-or-later
/* Pools that are looked at, and mended, without the kernel. */
#include "pool_image.hh"

#include "../pool/dump.hh"
#include "../pool/findings.hh"
#include "../pool/repair.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace {

using namespace corbel;
using namespace corbel::block;
using corbel::test::Image;
using corbel::test::image_blocks;
using corbel::test::make_image;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;

pool::Findings checked(Image &image)
{
	auto findings = pool::check(image, image_blocks, "image");

	if (!findings)
		throw std::runtime_error(findings.error().sentence);
	return *findings;
}

corbel::Result<pool::Repair> repaired(Image &image, bool dry_run = false)
{
	return pool::repair(image, image_blocks, "image", dry_run);
}

/* What volumes hold: for each block of each, where its contents lie. */
using Contents = std::vector<std::vector<std::uint64_t>>;
Contents contents_of(Image &image)
{
	const auto pool = std::make_unique<Pool>(image);
	Contents contents;

	test::must(pool->open(image_blocks, 64, Access::read_only), "open");
	for (std::uint64_t id = 1; id <= 3; id++) {
		auto &places = contents.emplace_back();

		for (std::uint64_t lba = 0; lba < 1000; lba++) {
			const auto extent = test::must(pool->look_up({id}, {lba}, 1), "look up");
			places.push_back(extent.mapped ? extent.pba.packed() : ~std::uint64_t{0});
		}
	}
	return contents;
}

TEST(pool_check, a_pool_fits_together)
{
	const auto image = make_image();
	const auto findings = checked(*image);

	EXPECT_EQ(findings.total, 0U);
	EXPECT_TRUE(findings.complete);
	EXPECT_EQ(findings.survey.super.volumes, 3U);
	EXPECT_EQ(findings.survey.super.mapped, 602U);
	EXPECT_THAT(image->written, IsEmpty());
}

/* The second superblock comes with the second commit. */
TEST(pool_check, a_new_pool_has_one_superblock)
{
	Image image;

	test::must(Store::format(image, image_blocks, 65536, Uuid{{1}}), "format");
	EXPECT_EQ(checked(image).total, 0U);
}

TEST(pool_check, says_why_there_is_nothing_to_look_at)
{
	Image none;
	const auto image = make_image();
	const auto no_pool = pool::check(none, image_blocks, "image");
	const auto cut_off = pool::check(*image, image_blocks - 1, "image");

	ASSERT_FALSE(no_pool);
	EXPECT_EQ(no_pool.error().number, ENOENT);
	EXPECT_THAT(no_pool.error().sentence, HasSubstr("image holds no pool's metadata"));
	ASSERT_FALSE(cut_off);
	EXPECT_THAT(cut_off.error().sentence, HasSubstr("smaller than"));
	image->change<SuperblockV1>(image->super().header.block,
				    [](SuperblockV1 &super) { super.features = 1; });
	const auto later = pool::check(*image, image_blocks, "image");
	ASSERT_FALSE(later);
	EXPECT_THAT(later.error().sentence, HasSubstr("later version"));
}

TEST(pool_dump, tells_every_entry_once)
{
	const auto image = make_image();
	const auto pool = std::make_unique<Pool>(*image);
	std::map<std::string, std::uint64_t> pieces, entries;
	std::vector<nlohmann::ordered_json> changed;

	test::must(pool->open(image_blocks, 64, Access::read_only), "open");
	const auto whole =
		pool::dump(*pool, std::nullopt, "image", [&](const nlohmann::ordered_json &piece) {
			const auto type = piece.at("type").get<std::string>();
			pieces[type]++;
			entries[type] += piece.value("count", 1U);
			if (type == "mapping" && piece["device"] == 1)
				changed.push_back(piece);
			return true;
		});
	ASSERT_TRUE(whole && *whole);
	EXPECT_EQ(pieces["superblock"], 1U);
	EXPECT_EQ(pieces["device"], 2U);
	EXPECT_EQ(pieces["volume"], 3U);
	EXPECT_EQ(entries["mapping"], 3 * 600U);
	/* 600 in a row but for one in the first and one in the third. */
	EXPECT_EQ(pieces["mapping"], 3U + 1 + 3);
	EXPECT_EQ(entries["middle"], 602U);
	EXPECT_EQ(entries["reverse"], 602U);
	ASSERT_EQ(changed.size(), 2U);
	EXPECT_EQ(changed[0]["volume"], 1);
	EXPECT_EQ(changed[0]["first"], 5);
	EXPECT_EQ(changed[0]["count"], 1);
}

TEST(pool_dump, one_volume)
{
	const auto image = make_image();
	const auto pool = std::make_unique<Pool>(*image);
	std::set<std::string> types;
	unsigned pieces = 0;
	const auto take = [&](const nlohmann::ordered_json &piece) {
		types.insert(piece.at("type"));
		EXPECT_EQ(piece.at("volume"), 2);
		return ++pieces < 2;
	};

	test::must(pool->open(image_blocks, 64, Access::read_only), "open");
	EXPECT_TRUE(pool::dump(*pool, 2, "image", take));
	EXPECT_THAT(types, ElementsAre("mapping", "volume"));
	const auto none = pool::dump(*pool, 9, "image", take);
	ASSERT_FALSE(none);
	EXPECT_THAT(none.error().sentence, HasSubstr("no volume 9"));
}

TEST(pool_dump, goes_on_behind_damage)
{
	const auto image = make_image();
	const auto pool = std::make_unique<Pool>(*image);
	std::vector<std::string> where;
	std::uint64_t reverse = 0;

	image->blocks[image->leaf(Kind::middle)][9] ^= 1;
	test::must(pool->open(image_blocks, 64, Access::read_only), "open");
	const auto whole =
		pool::dump(*pool, std::nullopt, "image", [&](const nlohmann::ordered_json &piece) {
			if (piece.at("type") == "damage")
				where.push_back(piece.at("where"));
			if (piece.at("type") == "reverse")
				reverse += piece.at("count").get<unsigned>();
			return true;
		});
	ASSERT_TRUE(whole);
	EXPECT_FALSE(*whole);
	EXPECT_THAT(where, ElementsAre("middle map"));
	EXPECT_EQ(reverse, 602U);
}

/* ---- repair ------------------------------------------------------------------------- */

TEST(pool_repair, what_fits_together_is_left_alone)
{
	const auto image = make_image();
	const auto before = image->blocks;
	const auto repair = repaired(*image);

	ASSERT_TRUE(repair);
	EXPECT_FALSE(repair->changed);
	EXPECT_THAT(image->written, IsEmpty());
	EXPECT_TRUE(image->blocks == before);
}

struct Damage {
	const char *name;
	const char *what; /* the finding that tells of it */
	void (*make)(Image &image);
	const char *done; /* what the repair says of it */
};

void PrintTo(const Damage &damage, std::ostream *out)
{
	*out << damage.name;
}

/* The block of counts that counts, and the entry of the node @block in it. */
std::uint64_t counts_block(const Image &image)
{
	return pool::counts_place(0, pool::is_second(image.super(), 0)).value;
}
std::uint64_t entry_of(std::uint64_t node)
{
	return node - first_node_of(image_blocks).value;
}

void change_super(Image &image, void (*change)(SuperblockV1 &))
{
	image.change<SuperblockV1>(image.super().header.block, change);
}

const Damage damages[] = {
	{"counts_unreadable", "damaged counts",
	 [](Image &image) { image.blocks[counts_block(image)][100] ^= 1; }, "counts of nodes"},
	{"count_too_high", "count of a node",
	 [](Image &image) {
		 const auto node = image.logical_leaf();
		 image.change<CountsV1>(counts_block(image), [&](CountsV1 &counts) {
			 counts.counts[entry_of(node)] += 3;
		 });
	 },
	 "1 counts of nodes"},
	{"count_too_low", "count of a node",
	 [](Image &image) {
		 const auto node = image.leaf(Kind::middle);
		 image.change<CountsV1>(counts_block(image), [&](CountsV1 &counts) {
			 counts.counts[entry_of(node)] = 0;
		 });
	 },
	 "1 counts of nodes"},
	{"leaked_node", "count of a node",
	 [](Image &image) {
		 image.change<CountsV1>(counts_block(image), [](CountsV1 &counts) {
			 counts.counts[entry_of(image_blocks - 1)] = 1;
		 });
	 },
	 "1 blocks of nodes that nothing refers to"},
	{"middle_count", "count of a middle entry",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::middle),
				      [](NodeV1 &node) { value_of(node, 7)[1] += 2; });
	 },
	 "1 counts of contents"},
	{"middle_orphan", "count of a middle entry",
	 [](Image &image) {
		 /* The snapshot's own block 5 is named by one leaf: it forgets it. */
		 image.change<NodeV1>(image.logical_leaf(), [](NodeV1 &node) { node.count--; });
	 },
	 "contents"},
	{"reverse_unreadable", "unreadable node",
	 [](Image &image) { image.blocks[image.leaf(Kind::reverse)][60] ^= 1; },
	 "reverse map is made anew, with 602 entries"},
	{"reverse_root_unreadable", "unreadable node",
	 [](Image &image) { image.blocks[image.super().roots[2]][60] ^= 1; },
	 "reverse map is made anew"},
	{"reverse_entry", "wrong reverse entry",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::reverse),
				      [](NodeV1 &node) { *value_of(node, 3) += 100; });
	 },
	 "1 entries of the reverse map are taken out, 1 put in"},
	{"reverse_lost_entry", "missing reverse entry",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::reverse),
				      [](NodeV1 &node) { remove_at(node, 3); });
	 },
	 "0 entries of the reverse map are taken out, 1 put in"},
	{"volume_mapped", "mapped blocks of a volume",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::volumes),
				      [](NodeV1 &node) { value_of(node, 0)[2] = 1; });
	 },
	 "mapped blocks of 1 volumes"},
	{"totals", "number of nodes",
	 [](Image &image) { change_super(image, [](SuperblockV1 &super) { super.nodes[3]++; }); },
	 "Totals"},
	{"volumes_total", "number of volumes",
	 [](Image &image) { change_super(image, [](SuperblockV1 &super) { super.volumes--; }); },
	 "Totals"},
	{"used", "used blocks of a device",
	 [](Image &image) {
		 change_super(image, [](SuperblockV1 &super) {
			 super.devices[0].used--;
			 super.devices[1].used++;
		 });
	 },
	 "Totals"},
	{"older_superblock", "missing superblock",
	 [](Image &image) { image.blocks[1 - image.super().header.block][9] ^= 1; },
	 "superblock in block"},
	{"several", "damaged counts",
	 [](Image &image) {
		 for (const auto &other : {0, 4, 6, 10})
			 damages[other].make(image);
	 },
	 "reverse map is made anew"},
};

class EveryDamage : public testing::TestWithParam<Damage> {};

TEST_P(EveryDamage, is_found_and_mended)
{
	const auto image = make_image();
	const auto contents = contents_of(*image);

	GetParam().make(*image);
	const auto damaged = image->blocks;
	const auto super = image->super();
	EXPECT_THAT(checked(*image).by_what, testing::Contains(Key(GetParam().what)));

	const auto dry = repaired(*image, true);
	ASSERT_TRUE(dry) << dry.error().sentence;
	EXPECT_TRUE(dry->changed);
	EXPECT_THAT(image->written, IsEmpty());

	const auto repair = repaired(*image);
	ASSERT_TRUE(repair) << repair.error().sentence;
	EXPECT_EQ(repair->done, dry->done);
	EXPECT_THAT(repair->done, testing::Contains(HasSubstr(GetParam().done)));
	EXPECT_EQ(repair->blocks, image->written.size());
	EXPECT_EQ(checked(*image).total, 0U);
	EXPECT_EQ(image->super().header.generation, super.header.generation + 1);
	if (GetParam().name != std::string("middle_orphan")) {
		EXPECT_EQ(contents_of(*image), contents);
	}
	/* The state before is as it was: without the new superblock it is there again. */
	image->blocks[image->super().header.block] = damaged[image->super().header.block];
	EXPECT_EQ(std::memcmp(&image->super(), &super, sizeof(super)), 0);
	EXPECT_THAT(checked(*image).by_what, testing::Contains(Key(GetParam().what)));
}

/* Whenever a repair ends, another one comes to what it was to come to. */
TEST_P(EveryDamage, can_be_mended_after_a_crash_of_the_repair)
{
	const auto image = make_image();

	GetParam().make(*image);
	const auto damaged = image->blocks;
	const auto blocks = repaired(*image)->blocks;
	const auto mended = contents_of(*image);
	for (std::uint64_t left = 0; left < blocks; left++) {
		image->blocks = damaged;
		image->writes_left = static_cast<std::int64_t>(left);
		EXPECT_FALSE(repaired(*image));
		image->writes_left = -1;
		const auto again = repaired(*image);
		ASSERT_TRUE(again) << left << ": " << again.error().sentence;
		EXPECT_EQ(checked(*image).total, 0U) << left;
		EXPECT_EQ(contents_of(*image), mended) << left;
	}
}

INSTANTIATE_TEST_SUITE_P(pool_repair, EveryDamage, testing::ValuesIn(damages),
			 [](const auto &info) { return std::string(info.param.name); });

struct Loss {
	const char *name;
	void (*make)(Image &image);
	const char *why;
};

void PrintTo(const Loss &loss, std::ostream *out)
{
	*out << loss.name;
}

const Loss losses[] = {
	{"middle_map", [](Image &image) { image.blocks[image.leaf(Kind::middle)][60] ^= 1; },
	 "of the middle map, is damaged"},
	{"volume_table", [](Image &image) { image.blocks[image.leaf(Kind::volumes)][60] ^= 1; },
	 "of the volume table, is damaged"},
	{"map_of_a_volume", [](Image &image) { image.blocks[image.logical_leaf()][60] ^= 1; },
	 "of a volume's map, is damaged"},
	{"missing_contents",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::middle),
				      [](NodeV1 &node) { remove_at(node, 3); });
		 change_super(image, [](SuperblockV1 &super) {
			 super.mapped--;
			 super.devices[0].used--;
		 });
	 },
	 "Volumes name 1 contents"},
	{"one_place_twice",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::middle), [](NodeV1 &node) {
			 value_of(node, 3)[0] = value_of(node, 4)[0];
		 });
	 },
	 "1 places are given to two"},
	{"one_place_twice_and_no_reverse_map",
	 [](Image &image) {
		 losses[4].make(image);
		 image.blocks[image.super().roots[2]][60] ^= 1;
	 },
	 "1 places are given to two"},
	{"impossible_place",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::middle), [](NodeV1 &node) {
			 value_of(node, 3)[0] = Pba{5, 7}.packed();
		 });
	 },
	 "which cannot be"},
	{"behind_the_end",
	 [](Image &image) {
		 image.change<NodeV1>(image.leaf(Kind::volumes),
				      [](NodeV1 &node) { value_of(node, 0)[1] = 10; });
	 },
	 "would remain"},
	/* The state left has counts that a later one wrote over. */
	{"last_superblock",
	 [](Image &image) {
		 const auto pool = std::make_unique<Pool>(image);

		 test::must(pool->open(image_blocks, 64, Access::read_write), "open");
		 for (std::uint64_t lba = 700; lba < 702; lba++) {
			 (void)test::must(pool->prepare_write({1}, {lba}, {}), "write");
			 if (lba == 700)
				 test::must(pool->commit(), "commit");
		 }
		 const auto lost = image.super().header.block;
		 const auto kept = image.blocks[1 - lost];
		 test::must(pool->commit(), "commit");
		 image.blocks[1 - lost] = kept;
		 image.blocks[lost][9] ^= 1;
	 },
	 "last superblock is lost"},
};

class EveryLoss : public testing::TestWithParam<Loss> {};

TEST_P(EveryLoss, is_told_and_nothing_changed)
{
	const auto image = make_image();

	GetParam().make(*image);
	image->written.clear();
	EXPECT_GT(checked(*image).total, 0U);
	const auto repair = repaired(*image);
	ASSERT_FALSE(repair);
	EXPECT_EQ(repair.error().number, EUCLEAN);
	EXPECT_THAT(repair.error().sentence, HasSubstr(GetParam().why));
	EXPECT_THAT(image->written, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(pool_repair, EveryLoss, testing::ValuesIn(losses),
			 [](const auto &info) { return std::string(info.param.name); });

/* Any bit of any block: mended to what it was, or refused, and never worse. */
TEST(pool_repair, damage_anywhere_is_mended_or_refused)
{
	const auto whole = make_image();
	const auto contents = contents_of(*whole);
	unsigned clean = 0, mended = 0, refused = 0;

	for (std::uint64_t block = 0; block < image_blocks; block++) {
		Image image(*whole);
		image.blocks[block][block * 7 % 512] ^= 1ULL << (block % 64);
		const auto damaged = image.blocks;
		const auto repair = repaired(image);

		if (!repair) {
			EXPECT_TRUE(image.blocks == damaged) << block;
			refused++;
			continue;
		}
		EXPECT_EQ(checked(image).total, 0U) << block;
		/* Who loses the last superblock is back at the one before, which has no clone. */
		if (block != whole->super().header.block) {
			EXPECT_EQ(contents_of(image), contents) << block;
		}
		repair->changed ? mended++ : clean++;
	}
	EXPECT_GT(clean, 100U);
	EXPECT_GT(mended, 3U);
	EXPECT_GT(refused, 5U);
}

} /* namespace */
