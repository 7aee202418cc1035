// SPDX-License-Identifier: GPL-2.0-or-later
/* Which blocks are gathered where, and the job that does it, over a device-mapper in this process. */
#include "volumes_test.hh"

#include "../volumes/defragment.hh"

#include <random>
#include <set>

using namespace corbel::test;
namespace jobs = corbel::jobs;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

TEST(GatherPlan, a_stretch_goes_to_the_smallest_gap_that_it_fits_in)
{
	const std::vector<MappedRun> runs = {{0, 2, 0, 10}, {2, 2, 0, 20}, {4, 1, 0, 5}};

	EXPECT_THAT(plan_gathering(runs, {{0, {{100, 50}, {200, 6}, {300, 4}}}}),
		    ElementsAre(Gathering{0, 4, 0, 200}));
	EXPECT_EQ(least_pieces(runs), 1U);
}

TEST(GatherPlan, what_fits_nowhere_goes_in_parts)
{
	const std::vector<MappedRun> runs = {
		{0, 9, 0, 0}, {9, 1, 0, 20}, {10, 1, 0, 30}, {11, 1, 0, 40}, {12, 9, 0, 50}};

	EXPECT_THAT(plan_gathering(runs, {{0, {{100, 4}, {200, 2}}}}),
		    ElementsAre(Gathering{9, 11, 0, 100}));
}

TEST(GatherPlan, no_gain_no_move)
{
	/* In order, with a hole, on another device, without room. */
	EXPECT_THAT(plan_gathering({{0, 5, 0, 10}}, {{0, {{100, 50}}}}), IsEmpty());
	EXPECT_THAT(plan_gathering({{0, 5, 0, 10}, {6, 5, 0, 30}}, {{0, {{100, 50}}}}), IsEmpty());
	EXPECT_THAT(plan_gathering({{0, 5, 0, 10}, {5, 5, 1, 30}}, {{0, {{100, 50}}}}), IsEmpty());
	EXPECT_THAT(plan_gathering({{0, 5, 0, 10}, {5, 5, 0, 30}}, {{0, {{100, 9}}}}), IsEmpty());
	EXPECT_THAT(plan_gathering({{0, 5, 0, 10}, {5, 5, 0, 30}}, {{1, {{100, 50}}}}), IsEmpty());
	EXPECT_EQ(least_pieces({{0, 5, 0, 10}, {6, 5, 0, 30}}), 2U);
}

/* Carried out on a device in memory: only what is free is written to, and there are fewer pieces. */
TEST(GatherPlan, never_worse)
{
	constexpr std::uint64_t places = 400, blocks = 150;
	std::mt19937_64 random(3);

	for (unsigned round = 0; round < 300; round++) {
		std::map<std::uint64_t, std::uint64_t> place_of;
		std::set<std::uint64_t> used;
		const auto holes = random() % 4;

		for (std::uint64_t lba = 0; lba < blocks; lba++) {
			if (random() % 16 < holes)
				continue;
			auto place = random() % places;
			const auto before = lba ? place_of.find(lba - 1) : place_of.end();
			if (before != place_of.end() && random() % 2)
				place = before->second + 1;
			while (place >= places || used.contains(place))
				place = random() % places;
			place_of[lba] = place;
			used.insert(place);
		}
		for (unsigned others = random() % 200; others && used.size() < places - 20;
		     others--)
			used.insert(random() % places);
		const auto map = [&] {
			std::vector<MappedRun> runs;
			for (const auto &[lba, place] : place_of)
				if (!runs.empty() && runs.back().lba + runs.back().count == lba &&
				    runs.back().block + runs.back().count == place)
					runs.back().count++;
				else
					runs.push_back({lba, 1, 0, place});
			return runs;
		};
		for (auto before = map();;) {
			std::vector<Gap> gaps;
			for (std::uint64_t place = 0; place < places; place++)
				if (used.contains(place))
					continue;
				else if (!gaps.empty() &&
					 gaps.back().first + gaps.back().count == place)
					gaps.back().count++;
				else
					gaps.push_back({place, 1});
			const auto plan = plan_gathering(before, {{0, gaps}});
			if (plan.empty())
				break;
			for (const auto &wish : plan) {
				auto place = wish.place;
				for (auto lba = wish.first; lba <= wish.last; lba++) {
					ASSERT_TRUE(place_of.contains(lba));
					ASSERT_LT(place, places);
					ASSERT_TRUE(used.insert(place).second) << "it is taken";
					used.erase(place_of[lba]);
					place_of[lba] = place++;
				}
			}
			const auto after = map();
			ASSERT_LT(after.size(), before.size());
			ASSERT_GE(after.size(), least_pieces(after));
			before = after;
		}
	}
}

class DefragmentTest : public VolumesTest {
protected:
	/* Two volumes written to by turns. */
	void SetUp() override
	{
		create();
		make_volume("vms/web");
		make_volume("vms/db");
		for (std::uint64_t block = 0; block < 60; block++)
			for (const auto *each : {"vms/web", "vms/db"})
				mapper->write("vms", id_of(each), block, 1);
		engine = must(jobs::Engine::start(*store, {defragment_job(*pools)}, {.lease = 1s}));
	}
	jobs::Job defragment(const std::string &volume)
	{
		const auto wish = must(defragmentation_of(*pools, name(volume), ""));
		const auto job = must(engine->submit(defragment_kind, wish.argument));

		return must(engine->wait(job.id, 30s));
	}
};

TEST_F(DefragmentTest, blocks_lie_side_by_side)
{
	EXPECT_THAT(must(defragmentation_of(*pools, name("vms/web"), "")).plan,
		    testing::HasSubstr("60 pieces; 1 would do"));
	(void)must(volumes().snapshot({name("vms/web")}, "kept", false));
	const auto ended = defragment("vms/web");

	EXPECT_EQ(ended.state, jobs::JobState::done) << ended.error << ended.stalled_by;
	EXPECT_EQ(ended.data["result"]["pieces_before"], 60);
	EXPECT_EQ(ended.data["result"]["pieces_after"], 1);
	EXPECT_EQ(ended.data["result"]["least"], 1);
	EXPECT_EQ(ended.data["result"]["moved"], 60);
	EXPECT_EQ(ended.data["result"]["middle_entries"], 60);
	EXPECT_THAT(must(defragmentation_of(*pools, name("vms/web@kept"), "")).plan,
		    testing::HasSubstr("1 pieces"));
	/* What is in order is left alone. */
	EXPECT_FALSE(defragment("vms/web").data["result"].contains("moved"));
}

TEST_F(DefragmentTest, what_cannot_be_is_told)
{
	EXPECT_EQ(error_of(defragmentation_of(*pools, name("vms/none"), "")), ENOENT);
	EXPECT_EQ(error_of(defragmentation_of(*pools, name("none/web"), "")), ENOENT);
	EXPECT_EQ(error_of(defragmentation_of(*pools, name("vms/web"), "soon")), EINVAL);
	mapper->fails = "gather";
	mapper->fails_with = EIO;
	EXPECT_EQ(defragment("vms/web").state, jobs::JobState::failed);
	(void)must(pools->stop("vms", false));
	EXPECT_EQ(error_of(defragmentation_of(*pools, name("vms/web"), "")), ENODEV);
}

TEST(pool_target, maps_and_gaps)
{
	EXPECT_EQ(must(parse_gaps("1 2\n7 1\nend\n")).gaps.size(), 2U);
	EXPECT_EQ(must(parse_gaps("1 2\nmore 9\n")).next, 9U);
	EXPECT_EQ(error_of(parse_gaps("1 2\n")), EPROTO);
	EXPECT_EQ(error_of(parse_gaps("1\nend\n")), EPROTO);
	EXPECT_EQ(error_of(read_pages(
			  "free 0",
			  [](const std::string &) -> corbel::Result<std::string> {
				  return "1 2\nmore 0\n";
			  },
			  parse_gaps, [](const GapPage &) { return corbel::Result<void>(); })),
		  EPROTO);
}

} // namespace
