// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The block store after a crash: every sequence of up to three operations, cut off behind each
 * write and flush that it made, with what was not flushed lost in all or in many ways.
 *
 * What then opens must be the state that was acknowledged last or a later one, whole, and with
 * the contents that were written to it.
 */
#include "block_scenario.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::unit;

/* @visit(sequence): all of up to @length steps, until it says false. */
template <typename Visit>
void for_each_sequence(unsigned length, Visit &&visit)
{
	for (unsigned size = 1; size <= length; size++) {
		std::vector<unsigned> sequence(size);

		for (bool more = true; more;) {
			if (!visit(sequence))
				return;
			more = false;
			for (auto &step : sequence) {
				if (++step < steps) {
					more = true;
					break;
				}
				step = 0;
			}
		}
	}
}

std::string crash_all(unsigned length, std::uint64_t &states, bool skip_data_flush = false)
{
	RandomStream random(0);
	std::string trouble;

	for_each_sequence(length, [&](const std::vector<unsigned> &sequence) {
		Scenario scenario(sequence, skip_data_flush);

		trouble = scenario.trouble();
		if (trouble.empty())
			trouble = scenario.crash(random, states);
		if (!trouble.empty())
			for (const auto step : sequence)
				trouble += " [" + std::to_string(step) + "]";
		return trouble.empty();
	});
	return trouble;
}

TEST(block_crash_model, every_sequence_and_every_crash)
{
	std::uint64_t states = 0;

	EXPECT_EQ(crash_all(3, states), "");
	std::printf("# %llu states after a crash\n", static_cast<unsigned long long>(states));
	EXPECT_GT(states, 10000u);
}

TEST(block_crash_model, long_sequences)
{
	std::uint64_t states = 0;
	RandomStream random(150, 1);

	while (random.more()) {
		std::vector<unsigned> sequence(12);
		for (auto &step : sequence)
			step = static_cast<unsigned>(random.below(steps));
		Scenario scenario(sequence);
		ASSERT_EQ(scenario.trouble(), "");
		ASSERT_EQ(scenario.crash(random, states), "");
	}
	std::printf("# %llu states after a crash\n", static_cast<unsigned long long>(states));
}

std::string crash_twice(std::uint64_t &states)
{
	RandomStream random(0, 2);
	std::string trouble;

	for_each_sequence(1, [&](const std::vector<unsigned> &sequence) {
		Scenario scenario(sequence);

		trouble = scenario.crash_twice(random, states);
		return trouble.empty();
	});
	return trouble;
}

TEST(block_crash_model, power_fails_behind_a_crash_of_the_host)
{
	std::uint64_t states = 0;

	EXPECT_EQ(crash_twice(states), "");
	std::printf("# %llu states after both\n", static_cast<unsigned long long>(states));
	const Broken broken(Sabotage::no_flush_at_open);
	EXPECT_NE(crash_twice(states), "");
}

TEST(block_crash_model, notices_what_is_broken)
{
	for (const auto what :
	     {Sabotage::no_flush_before_superblock, Sabotage::no_flush_after_superblock,
	      Sabotage::superblock_in_one_place, Sabotage::counts_in_one_place,
	      Sabotage::nodes_in_place, Sabotage::data_reused_before_commit,
	      Sabotage::copy_without_raise, Sabotage::middle_count_off,
	      Sabotage::reverse_left_behind, Sabotage::shared_written_in_place,
	      Sabotage::unshared_written_in_place}) {
		const Broken broken(what);
		std::uint64_t states = 0;

		EXPECT_NE(crash_all(3, states), "") << static_cast<int>(what);
	}
	std::uint64_t states = 0;
	EXPECT_NE(crash_all(3, states, true), "") << "data is not flushed before a commit";
}

} // namespace
