// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes to which tier, and the job that has it done, over a device-mapper in this process. */
#include "volumes_test.hh"

#include "../volumes/tiering.hh"

#include <random>
#include <thread>

using namespace corbel::test;
namespace jobs = corbel::jobs;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

TierDevice device(std::uint32_t number, std::uint32_t rank, std::uint64_t limit,
		  const std::map<unsigned, std::uint64_t> &heat)
{
	TierDevice device{number, rank, 0, limit, {}};

	for (const auto &[each, count] : heat) {
		device.heat.at(each) = count;
		device.used += count;
	}
	return device;
}

TEST(TierPlan, what_is_hot_goes_up_as_long_as_there_is_room)
{
	const auto plan = plan_tiers(
		{device(0, 0, 100, {{0, 80}}), device(1, 1, 100, {{3, 5}, {50, 4}, {60, 8}})}, {});

	EXPECT_THAT(plan.down, ElementsAre(TierMove{0, 1, 0, 0, 2}));
	/* Ten have room below 90 %, two change places with what was never used. */
	EXPECT_THAT(plan.up, ElementsAre(TierMove{1, 0, 50, 50, 4}, TierMove{1, 0, 60, 60, 8}));
}

TEST(TierPlan, a_full_tier_is_drained_coldest_first)
{
	const auto plan =
		plan_tiers({device(0, 0, 100, {{1, 5}, {9, 95}}), device(1, 1, 100, {})}, {});

	EXPECT_THAT(plan.down, ElementsAre(TierMove{0, 1, 1, 1, 5}, TierMove{0, 1, 9, 9, 5}));
	EXPECT_THAT(plan.up, IsEmpty());
}

TEST(TierPlan, nothing_goes_to_and_fro)
{
	/* A little hotter is not hot enough to change places. */
	const auto same =
		plan_tiers({device(0, 0, 10, {{20, 9}}), device(1, 1, 100, {{40, 20}})}, {});
	EXPECT_THAT(same.up, IsEmpty());
	EXPECT_THAT(same.down, IsEmpty());
	const auto hotter =
		plan_tiers({device(0, 0, 10, {{20, 9}}), device(1, 1, 100, {{44, 20}})}, {});
	EXPECT_THAT(hotter.up, ElementsAre(TierMove{1, 0, 44, 44, 9}));
	EXPECT_THAT(hotter.down, ElementsAre(TierMove{0, 1, 20, 20, 9}));
	/* Nor is there what has no room below, or more than was asked for. */
	EXPECT_THAT(plan_tiers({device(0, 0, 10, {{0, 9}}), device(1, 1, 20, {{44, 20}})}, {}).up,
		    IsEmpty());
	EXPECT_THAT(
		plan_tiers({device(0, 0, 100, {}), device(1, 1, 100, {{9, 50}})}, {.most = 7}).up,
		ElementsAre(TierMove{1, 0, 9, 9, 7}));
}

/* Done as it is planned, on counts alone: rooms are kept, and the second pass has nothing to do. */
TEST(TierPlan, comes_to_rest)
{
	std::mt19937_64 random(1);

	for (unsigned round = 0; round < 500; round++) {
		std::vector<TierDevice> devices;
		const auto count = 2 + random() % 3;

		for (std::uint32_t i = 0; i < count; i++) {
			std::map<unsigned, std::uint64_t> heat;
			const auto limit = 20 + random() % 100;
			for (auto left = random() % limit; left > 0;) {
				const auto some = 1 + random() % left;
				heat[random() % 3 ? random() % 16 : random() % 256] += some;
				left -= some;
			}
			devices.push_back(device(i, i ? 1 : 0, limit, heat));
			devices.back().used = 0;
			for (const auto each : devices.back().heat)
				devices.back().used += each;
		}
		const auto carry_out = [&](const std::vector<TierMove> &moves) {
			for (const auto &move : moves) {
				auto left = move.count;
				for (auto heat = move.coldest; heat <= move.hottest; heat++) {
					const auto some =
						std::min(left, devices[move.from].heat[heat]);
					devices[move.from].heat[heat] -= some;
					devices[move.from].used -= some;
					devices[move.to].heat[heat] += some;
					devices[move.to].used += some;
					left -= some;
				}
				ASSERT_EQ(left, 0U) << "more is planned than there is";
				ASSERT_LE(devices[move.to].used, devices[move.to].limit);
			}
		};
		for (unsigned passes = 0;; passes++) {
			const auto plan = plan_tiers(devices, {});
			if (plan.down.empty() && plan.up.empty())
				break;
			ASSERT_LT(passes, 20U) << "round " << round;
			carry_out(plan.down);
			carry_out(plan.up);
		}
	}
}

TEST(TierPlan, ranks_of_tiers)
{
	const auto ranks = [](const std::vector<std::string> &tiers) {
		PoolStatus status{};
		for (const auto &tier : tiers)
			status.devices.emplace_back().tier = tier;
		return tier_ranks(status);
	};

	EXPECT_THAT(ranks({"fast", "slow", "fast"}), ElementsAre(0, 1, 0));
	EXPECT_THAT(ranks({"10", "2", "10"}), ElementsAre(1, 0, 1));
	EXPECT_THAT(ranks({"10", "x"}), ElementsAre(0, 1));
	EXPECT_EQ(error_of(parse_heat("1:2 300:1 end")), EPROTO);
	EXPECT_EQ(error_of(parse_heat("1:2")), EPROTO);
	EXPECT_EQ(must(parse_heat("1:2 more 7")).next, 7U);
}

class TieringTest : public VolumesTest {
protected:
	/* Ninety blocks, all on the slow device. */
	void SetUp() override
	{
		create();
		(void)must(volumes().create(name("vms/web"), 15 * MiB, false, false));
		id = id_of("vms/web");
		mapper->write("vms", id, 0, 90);
		(void)must(mapper->message("corbel-vms", "move 0 0 239 1"));
		(void)must(mapper->message("corbel-vms", "mover"));
		ASSERT_EQ(mapper->on(1, "vms", id, 0, 90), 90U);
		begin_engine();
	}
	void begin_engine()
	{
		engine = must(jobs::Engine::start(*store, {tier_job(*pools)}, {.lease = 1s}));
	}
	[[nodiscard]] jobs::Json argument(bool once) const
	{
		return {{"pool", "vms"}, {"promote", 4}, {"demote", 90}, {"most", 1024},
			{"every", 1},	 {"once", once}, {"target", "0"}};
	}
	template <typename Condition>
	void wait_until(const char *what, Condition &&condition)
	{
		const auto until = std::chrono::steady_clock::now() + 30s;
		while (!condition()) {
			ASSERT_LT(std::chrono::steady_clock::now(), until) << what;
			std::this_thread::sleep_for(10ms);
		}
	}
	[[nodiscard]] bool counts() const
	{
		return std::ranges::find(mapper->messages, "heat_on") != mapper->messages.end();
	}

	std::uint64_t id = 0;
};

TEST_F(TieringTest, one_pass)
{
	const auto job = must(engine->submit(tier_kind, argument(true)));
	wait_until("it counts", [&] { return counts(); });
	mapper->heat("vms", id, 30, 20, 100);
	const auto ended = must(engine->wait(job.id, 30s));

	EXPECT_EQ(ended.state, jobs::JobState::done) << ended.error << ended.stalled_by;
	EXPECT_EQ(mapper->on(0, "vms", id, 30, 20), 20U);
	EXPECT_EQ(mapper->on(1, "vms", id, 0, 90), 70U);
	EXPECT_EQ(ended.data["result"]["promoted"], 20);
	EXPECT_EQ(ended.data["result"]["middle_entries"], 20);
	EXPECT_EQ(ended.data["result"]["passes"], 1);
	EXPECT_EQ(mapper->messages.back(), "heat_off");
}

TEST_F(TieringTest, it_goes_on_until_it_is_cancelled)
{
	const auto job = must(engine->submit(tier_kind, argument(false)));
	wait_until("it counts", [&] { return counts(); });
	mapper->heat("vms", id, 0, 9, 200);
	wait_until("they are on the fast device",
		   [&] { return mapper->on(0, "vms", id, 0, 9) == 9; });
	/* The next daemon goes on with it. */
	engine.reset();
	begin_engine();
	mapper->heat("vms", id, 50, 9, 200);
	wait_until("others are too", [&] { return mapper->on(0, "vms", id, 50, 9) == 9; });
	EXPECT_EQ(mapper->on(0, "vms", id, 0, 9), 9U) << "there is room for both";
	(void)must(engine->cancel(job.id));
	const auto ended = must(engine->wait(job.id, 30s));
	EXPECT_EQ(ended.state, jobs::JobState::cancelled) << ended.error;
	EXPECT_EQ(mapper->messages.back(), "heat_off");
	EXPECT_EQ(ended.data["result"]["promoted"], 18);
}

TEST_F(TieringTest, what_cannot_be_is_told)
{
	auto wrong = argument(true);
	wrong["pool"] = "none";
	EXPECT_EQ(error_of(engine->submit(tier_kind, wrong)), ENOENT);
	mapper->fails = "heat_on";
	mapper->fails_with = ENOMEM;
	const auto job = must(engine->submit(tier_kind, argument(true)));
	EXPECT_EQ(must(engine->wait(job.id, 30s)).state, jobs::JobState::failed);
	(void)must(pools->stop("vms", false));
	EXPECT_EQ(error_of(engine->submit(tier_kind, argument(true))), ENODEV);
}

} // namespace
