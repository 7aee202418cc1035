// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/balance.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace {

using namespace corbel::cli;
using corbel::agent::CpuSet;
using corbel::agent::GuestIrq;

/* A guest whose interrupts do as they are told. */
class Balancing : public testing::Test {
protected:
	void add(std::uint32_t number, std::uint16_t cpu, std::uint64_t rate = 100)
	{
		GuestIrq irq;

		irq.number = number;
		irq.movable = true;
		irq.affinity = irq.effective = CpuSet::of(cpu);
		irq.counts = {{cpu, 1}};
		irqs.push_back(irq);
		rates[number] = rate;
	}

	BalanceStep step(std::vector<double> waiting)
	{
		std::vector<CpuLoad> loads;

		for (std::size_t cpu = 0; cpu < waiting.size(); cpu++)
			loads.push_back({static_cast<std::uint16_t>(cpu), 0.1, waiting[cpu]});
		now += std::chrono::seconds(1);
		for (auto &irq : irqs)
			irq.counts[0].count += rates[irq.number];
		auto made = balance.step(now, loads, irqs);
		for (const auto &move : made.moves) {
			if (refuse) {
				balance.failed(move.irq, now, refuse_for_good);
				continue;
			}
			balance.moved(move.irq, now);
			std::ranges::find(irqs, move.irq, &GuestIrq::number)->effective =
				CpuSet::of(move.to);
		}
		moves += made.moves.size();
		over_budget += made.over_budget;
		return made;
	}
	void steps(unsigned count, const std::vector<double> &waiting)
	{
		while (count-- > 0)
			(void)step(waiting);
	}
	unsigned where(std::uint32_t number) const
	{
		return *std::ranges::find(irqs, number, &GuestIrq::number)->effective.lowest();
	}

	BalanceRules rules;
	Balance balance{rules};
	Balance::Clock::time_point now;
	std::vector<GuestIrq> irqs;
	std::map<std::uint32_t, std::uint64_t> rates;
	std::size_t moves = 0, over_budget = 0;
	bool refuse = false, refuse_for_good = false;
};

TEST_F(Balancing, waits_until_it_is_sure)
{
	add(24, 0);
	steps(rules.starved_after - 1, {0.9, 0});
	steps(1, {0.2, 0});
	steps(rules.starved_after - 1, {0.9, 0});
	EXPECT_EQ(moves, 0u);
	const auto made = step({0.9, 0});
	ASSERT_EQ(made.changes.size(), 1u);
	EXPECT_TRUE(made.changes[0].starved);
	EXPECT_EQ(where(24), 1u);
}

TEST_F(Balancing, does_not_bring_back)
{
	add(24, 0);
	steps(5, {0.9, 0});
	steps(100, {0, 0});
	EXPECT_EQ(where(24), 1u);
	EXPECT_EQ(moves, 1u);
}

TEST_F(Balancing, uses_a_cpu_again_when_it_has_been_well_for_long)
{
	add(24, 0);
	steps(5, {0.9, 0});
	/* Now the other one, while the first is not yet trusted. */
	steps(rules.well_after - 1, {0, 0.9});
	EXPECT_EQ(where(24), 1u);
	steps(20, {0, 0.9});
	EXPECT_EQ(where(24), 0u);
}

/* The load goes back and forth as fast as it can. */
TEST_F(Balancing, does_not_swing)
{
	for (std::uint32_t irq = 20; irq < 24; irq++)
		add(irq, irq % 2);
	for (int i = 0; i < 300; i++)
		(void)step(i / 3 % 2 ? std::vector{0.9, 0.0} : std::vector{0.0, 0.9});
	EXPECT_LE(moves, irqs.size());

	std::mt19937 random(1);
	std::uniform_real_distribution<double> share;
	moves = 0;
	for (int i = 0; i < 3000; i++)
		(void)step({share(random), share(random)});
	EXPECT_LE(moves, 3000 / rules.well_after * irqs.size());
	EXPECT_LE(moves, 3000 / 60 * rules.budget + rules.budget);
}

TEST_F(Balancing, keeps_the_budget)
{
	for (std::uint32_t irq = 20; irq < 40; irq++)
		add(irq, 0, irq);
	steps(30, {0.9, 0});
	EXPECT_EQ(moves, rules.budget);
	EXPECT_GT(over_budget, 0u);
	EXPECT_EQ(where(39), 1u) << "the busiest first";
	EXPECT_EQ(where(20), 0u);
	steps(60, {0.9, 0});
	EXPECT_EQ(moves, 2 * rules.budget) << "a minute later";
}

TEST_F(Balancing, leaves_a_single_cpu_alone)
{
	add(24, 0);
	steps(50, {0.9});
	EXPECT_EQ(moves, 0u);
}

TEST_F(Balancing, leaves_all_when_all_are_starved)
{
	add(24, 0);
	add(25, 1);
	steps(50, {0.9, 0.9});
	EXPECT_EQ(moves, 0u);
}

TEST_F(Balancing, leaves_pinned_and_idle_ones)
{
	add(24, 0);
	irqs.back().movable = false;
	add(25, 0, 0);
	add(26, 7); /* on a CPU of which nothing is known */
	steps(50, {0.9, 0});
	EXPECT_EQ(moves, 0u);
}

TEST_F(Balancing, goes_to_the_least_loaded)
{
	add(24, 0, 100);
	steps(10, {0.9, 0.2, 0.1, 0.25});
	EXPECT_EQ(where(24), 2u);
}

TEST_F(Balancing, spreads)
{
	for (std::uint32_t irq = 20; irq < 24; irq++)
		add(irq, 0, 100);
	steps(10, {0.9, 0.01, 0});
	EXPECT_EQ(where(20) + where(21) + where(22) + where(23), 1u + 1 + 2 + 2);
}

TEST_F(Balancing, tries_less_and_less_what_fails)
{
	add(24, 0);
	refuse = true;
	steps(1000, {0.9, 0});
	EXPECT_EQ(moves, 3u);
}

TEST_F(Balancing, never_tries_again_what_is_pinned)
{
	add(24, 0);
	refuse = refuse_for_good = true;
	steps(1000, {0.9, 0});
	EXPECT_EQ(moves, 1u);
}

TEST_F(Balancing, bears_counts_that_go_back)
{
	add(24, 0);
	steps(2, {0.9, 0});
	irqs[0].counts[0].count = 0;
	EXPECT_TRUE(step({0.9, 0}).moves.empty());
	EXPECT_EQ(step({0.9, 0}).moves.size(), 1u);
}

} /* namespace */
