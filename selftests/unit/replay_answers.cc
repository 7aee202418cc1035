// SPDX-License-Identifier: GPL-2.0-or-later
/* What RDTSC is answered: against a model of guest and monitor, and with an area of nonsense. */
#include "random_stream.hh"
#include "replay_area.hh"

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace corbel::unit;
using Kind = corbel::replay::Decision::Kind;

constexpr std::uint64_t kernel_rip = 0xffffffff81000000;

TEST(replay_answers, off_is_not_ours)
{
	ReplayArea test;

	EXPECT_EQ(test.read_counter(kernel_rip, 1000).decision.kind, Kind::again);
	EXPECT_EQ(test.area->nr_tsc, 0u);
	test.area->breakpoint = kernel_rip;
	EXPECT_FALSE(test.answers.breaks_at(kernel_rip));
	test.area->mode = CORBEL_REPLAY_CLOCK;
	EXPECT_TRUE(test.answers.breaks_at(kernel_rip));
	EXPECT_FALSE(test.answers.breaks_at(kernel_rip & 0xffffffffffff));
	test.area->breakpoint = 0;
	EXPECT_FALSE(test.answers.breaks_at(0));
}

TEST(replay_answers, the_clock_grows_and_is_dilated)
{
	ReplayArea test;

	test.begin(CORBEL_REPLAY_CLOCK);
	test.area->base = 1000;
	test.area->shift = 2;
	EXPECT_EQ(test.read_counter(1, 5000).decision.value, 1000u);
	EXPECT_EQ(test.read_counter(1, 5003).decision.value, 1001u);
	EXPECT_EQ(test.read_counter(1, 1000).decision.value, 1002u);
	EXPECT_EQ(test.read_counter(1, 0).decision.value, 1003u);
	EXPECT_EQ(test.read_counter(1, 9000).decision.value, 2000u);
	EXPECT_EQ(test.area->head, 0u);
	EXPECT_EQ(test.area->nr_tsc, 5u);
	test.area->last = ~0ULL - 1;
	EXPECT_EQ(test.read_counter(1, 9000).decision.value, ~0ULL);
	EXPECT_EQ(test.read_counter(1, 9000).reason, CORBEL_REPLAY_EXIT_BAD);
}

TEST(replay_answers, a_rip_keeps_48_bits)
{
	ReplayArea test;

	test.begin(CORBEL_REPLAY_RECORD);
	(void)test.read_counter(kernel_rip, 7);
	EXPECT_EQ(test.log[0].tag, 0x0100'ffff'8100'0000u);
	EXPECT_EQ(test.log[0].value, 7u);
	test.begin(CORBEL_REPLAY_REPLAY, 1);
	EXPECT_EQ(test.read_counter(kernel_rip + 1, 0).reason, CORBEL_REPLAY_EXIT_DIVERGED);
	EXPECT_EQ(test.area->seen, 0x0100'ffff'8100'0001u);
	EXPECT_EQ(test.area->head, 0u);
	EXPECT_EQ(test.read_counter(kernel_rip, 0).decision.value, 7u);
	EXPECT_EQ(test.read_counter(kernel_rip, 0).reason, CORBEL_REPLAY_EXIT_EMPTY);
}

TEST(replay_answers, the_end_of_the_log_is_no_entry_of_anybodys)
{
	ReplayArea test;

	test.begin(CORBEL_REPLAY_RECORD);
	for (std::uint64_t i = 0; i < ReplayArea::entries; i++)
		ASSERT_EQ(test.read_counter(i, i + 1).reason, 0u);
	EXPECT_EQ(test.read_counter(0, 1000).reason, CORBEL_REPLAY_EXIT_FULL);
	test.begin(CORBEL_REPLAY_REPLAY);
	for (std::uint64_t i = 0; i < ReplayArea::entries; i++)
		ASSERT_EQ(test.read_counter(i, 0).reason, 0u) << i;
	EXPECT_EQ(test.read_counter(0, 0).reason, CORBEL_REPLAY_EXIT_EMPTY);
	/* What lies behind the end is not looked at, be it asynchronous or not. */
	test.log[5].tag = CORBEL_REPLAY_TAG(CORBEL_REPLAY_FIRST_ASYNC, 0, 0);
	test.begin(CORBEL_REPLAY_REPLAY, 5);
	for (std::uint64_t i = 0; i < 5; i++)
		ASSERT_EQ(test.read_counter(i, 0).reason, 0u);
}

/* One thing that happens to the guest: a read, or an entry of the monitor's. */
struct Step {
	bool read;
	std::uint64_t rip;
	corbel_replay_entry entry;
};

std::vector<Step> draw_steps(RandomStream &random)
{
	std::vector<Step> steps(20 + random.below(ReplayArea::entries - 20));

	for (Step &it : steps) {
		const std::uint64_t rip = kernel_rip + random.below(8);
		const std::uint64_t kind =
			CORBEL_REPLAY_FIRST_OTHER + random.below(0x100 - CORBEL_REPLAY_FIRST_OTHER);

		it = {random.below(4) != 0,
		      rip,
		      {random.word(), CORBEL_REPLAY_TAG(kind, random.word(), rip)}};
	}
	return steps;
}

/* Guest and monitor follow @steps; the values that the guest got. */
std::vector<std::uint64_t> record(ReplayArea &test, const std::vector<Step> &steps,
				  RandomStream &random)
{
	std::vector<std::uint64_t> values;
	std::uint64_t now = 1;

	test.begin(CORBEL_REPLAY_RECORD);
	for (const Step &it : steps) {
		now += random.below(3);
		if (it.read) {
			const auto outcome = test.read_counter(it.rip, now);

			EXPECT_EQ(outcome.reason, 0u);
			EXPECT_TRUE(values.empty() || outcome.decision.value > values.back());
			values.push_back(outcome.decision.value);
		} else {
			test.log[test.area->head++] = it.entry;
		}
	}
	return values;
}

/* The same from the log, the monitor taking its own; the index at which something is wrong. */
std::size_t replay(ReplayArea &test, const std::vector<Step> &steps,
		   const std::vector<std::uint64_t> &values)
{
	std::size_t taken = 0;

	test.begin(CORBEL_REPLAY_REPLAY, steps.size());
	for (std::size_t i = 0; i < steps.size(); i++) {
		const bool next_is_async = i + 1 < steps.size() &&
					   test.log[i + 1].tag >> 56 >= CORBEL_REPLAY_FIRST_ASYNC;

		if (!steps[i].read) {
			const corbel_replay_entry &mine = test.log[test.area->head];

			if (mine.tag != steps[i].entry.tag || mine.value != steps[i].entry.value)
				return i;
			test.area->head++;
			continue;
		}
		const auto outcome = test.read_counter(steps[i].rip, 0);

		if (outcome.decision.kind != Kind::answer)
			return i;
		EXPECT_EQ(outcome.reason == CORBEL_REPLAY_EXIT_NEXT, next_is_async) << i;
		if (outcome.decision.value != values[taken++])
			return i;
	}
	EXPECT_EQ(test.area->head, steps.size());
	return steps.size();
}

TEST(replay_answers, what_is_recorded_replays_and_no_flipped_bit_does)
{
	for (RandomStream random(300); random.more();) {
		ReplayArea test;
		const auto steps = draw_steps(random);
		const auto values = record(test, steps, random);

		ASSERT_EQ(replay(test, steps, values), steps.size());
		const std::size_t index = random.below(steps.size());
		const std::uint64_t bit = random.below(128);
		(bit < 64 ? test.log[index].value : test.log[index].tag) ^= 1ULL << bit % 64;
		ASSERT_EQ(replay(test, steps, values), index) << "bit " << bit;
	}
}

std::uint64_t draw_index(RandomStream &random)
{
	switch (random.below(4)) {
	case 0:
		return random.word();
	case 1:
		return ReplayArea::entries - 2 + random.below(4);
	default:
		return random.below(ReplayArea::entries + 1);
	}
}

/* Whatever is in the area: nothing beside it is touched, and a value comes only of sense. */
TEST(replay_answers, nonsense_hurts_nobody)
{
	ReplayArea test;
	std::uint64_t answered = 0;

	for (RandomStream random(200'000); random.more();) {
		corbel_replay_area &area = *test.area;
		const std::uint64_t rip = random.below(2);

		area.mode = static_cast<std::uint32_t>(random.below(8) ? random.below(4)
								       : random.word());
		area.shift = static_cast<std::uint32_t>(random.below(8) ? random.below(32)
									: random.word());
		area.head = draw_index(random);
		area.end = draw_index(random);
		area.base = random.word();
		area.last = random.below(8) ? random.below(1000) : ~random.below(2);
		area.deadline = random.below(2) ? ~0ULL : random.below(1000);
		test.log[random.below(ReplayArea::entries)] = {
			random.word(),
			CORBEL_REPLAY_TAG(random.below(2) ? 1 : random.below(256), 0, rip)};
		const corbel_replay_area before = area;
		const auto [decision, reason] = test.read_counter(rip, random.word());

		if (decision.kind != Kind::answer) {
			ASSERT_EQ(area.head, before.head);
			ASSERT_EQ(area.last, before.last);
			ASSERT_EQ(decision.kind == Kind::again, before.mode == 0);
			ASSERT_EQ(reason != 0, decision.kind == Kind::leave);
			continue;
		}
		ASSERT_EQ(area.nr_tsc, ++answered);
		ASSERT_LE(before.mode, 3u);
		ASSERT_LE(before.shift, 31u);
		ASSERT_EQ(area.last, decision.value);
		if (before.mode != CORBEL_REPLAY_REPLAY) {
			ASSERT_GT(decision.value, before.last);
		}
		if (before.mode != CORBEL_REPLAY_CLOCK) {
			ASSERT_LT(before.head, before.end);
			ASSERT_LE(before.end, ReplayArea::entries);
			ASSERT_EQ(area.head, before.head + 1);
			ASSERT_EQ(test.log[before.head].value, decision.value);
		}
	}
	EXPECT_GT(answered, 1000u);
}

} // namespace
