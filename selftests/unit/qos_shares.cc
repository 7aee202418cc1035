// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets the device when there is not enough of it: floors, weights, classes, targets. */
#include "qos_bench.hh"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace {

using namespace corbel::unit;

/* 10,000 units a second. */
constexpr QosDevice slow{100'000, 500'000, 32};

Policy weighted(std::uint32_t weight, std::uint64_t floor = 0)
{
	Policy policy;

	policy.weight = weight;
	policy.floor = floor;
	return policy;
}

/*
 * Ten with floors that come to 95 % of the device, of the least weight, beside five that want
 * all of it. Before, one of the ten has it for itself, far above its floor.
 */
std::string run_floors(double &worst)
{
	QosBench bench(slow);
	const Time before = ns_per_s, begin = before + 100 * ms, end = begin + 3 * ns_per_s;

	for (unsigned i = 0; i < 10; i++) {
		auto &client = bench.add(weighted(1, 500 + i * 100));
		client.from = i ? before : 0;
	}
	for (unsigned i = 0; i < 5; i++)
		bench.add(weighted(1000)).from = before;
	bench.run_until(end + ns_per_s);
	for (unsigned i = 0; i < 10; i++) {
		const auto &client = *bench.clients[i];
		const auto floor = client.budget->policy.floor;
		const auto least = client.extremes(client.completed, begin, end, ns_per_s).first;

		worst = std::min(worst, static_cast<double>(least) / static_cast<double>(floor));
		if (least * 100 < floor * 99)
			return std::to_string(floor) + ": " + std::to_string(least);
	}
	/* What is left is for the others. */
	for (unsigned i = 10; i < 15; i++) {
		const auto &client = *bench.clients[i];
		if (client.sum(client.completed, begin, end) < 3 * 95)
			return "nothing is left";
	}
	return "";
}

TEST(QosShares, floors_hold_under_overload)
{
	double worst = 2;

	EXPECT_EQ(run_floors(worst), "");
	std::printf("# the least of a floor in any second: %.1f %%\n", worst * 100);
	for (const auto what : {Sabotage::floor_ignored, Sabotage::floor_runs_ahead}) {
		const QosBroken broken(what);

		EXPECT_NE(run_floors(worst), "") << static_cast<int>(what);
	}
}

/* More was promised than there is: everybody gets the same part of his floor. */
TEST(QosShares, floors_beyond_the_device)
{
	QosBench bench(slow);

	for (unsigned i = 1; i <= 5; i++)
		bench.add(weighted(1000 / i, i * 1'500));
	bench.run_until(5 * ns_per_s);
	for (unsigned i = 1; i <= 5; i++) {
		const auto &client = *bench.clients[i - 1];
		const auto got = client.sum(client.completed, ns_per_s, 5 * ns_per_s);

		EXPECT_NEAR(static_cast<double>(got), 40'000.0 * i / 15, 40'000.0 * i / 15 / 100);
	}
	/* And when there is enough again, soon no more than that. */
	for (unsigned i = 3; i <= 5; i++)
		bench.clients[i - 1]->until = bench.now;
	auto &other = bench.add(weighted(1000));
	other.from = bench.now;
	bench.run_until(8 * ns_per_s);
	const auto got = other.sum(other.completed, 6 * ns_per_s, 8 * ns_per_s);
	EXPECT_GT(got, 2U * (10'000 - 4'500) * 4 / 10) << "by weight, or what floors leave";
}

/* Objects that come to a budget which is behind its floor do not make it forget that. */
TEST(QosShares, newcomers_leave_floors_as_they_are)
{
	QosBench bench(slow);

	for (unsigned i = 0; i < 2; i++)
		bench.add(weighted(100, 10'000));
	auto &budget = *bench.clients[0]->budget;
	std::deque<Object> others(2000);
	for (unsigned i = 0; i < others.size(); i++) {
		others[i].id = {1000 + i};
		bench.at(ns_per_s + i * ms,
			 [&, i] { bench.scheduler.attach(others[i], budget, bench.now); });
	}
	bench.run_until(3 * ns_per_s);
	const auto got = bench.clients[0]->sum(bench.clients[0]->completed, ns_per_s, 3 * ns_per_s);
	EXPECT_NEAR(static_cast<double>(got), 10'000, 100);
	for (Object &other : others)
		(void)bench.scheduler.detach(other, bench.now);
}

std::string run_weights()
{
	const std::uint32_t weights[] = {1, 10, 33, 100, 300, 556};
	QosBench bench(slow);

	for (const auto weight : weights)
		bench.add(weighted(weight)).is_mixed = weight % 2;
	bench.run_until(11 * ns_per_s);
	for (unsigned i = 0; i < std::size(weights); i++) {
		const auto &client = *bench.clients[i];
		const auto got =
			static_cast<double>(client.sum(client.completed, ns_per_s, 11 * ns_per_s));
		const auto expected = 100.0 * weights[i];

		if (got < expected * 0.99 - 1 || got > expected * 1.01 + 1)
			return std::to_string(weights[i]) + ": " + std::to_string(got);
	}
	return "";
}

TEST(QosShares, weights_are_proportions)
{
	EXPECT_EQ(run_weights(), "");
	const QosBroken broken(Sabotage::weight_ignored);
	EXPECT_NE(run_weights(), "");
}

/*
 * One of many comes back after 5 s, and gets his part: neither what he missed, nor less. Also
 * if all the time something of his waited for a limit.
 */
std::string run_idle(unsigned count, bool has_writer)
{
	QosBench bench(slow);
	Policy policy = weighted(100);

	policy.limit(Limited::write_ios).rate = 10;
	for (unsigned i = 0; i < count; i++)
		bench.add(policy);
	auto &client = *bench.clients[0];
	client.until = ns_per_s;
	if (has_writer)
		bench.add_client(client.budget).op = Op::write;
	bench.run_until(6 * ns_per_s);
	/* As another client of its budget. */
	auto &back = bench.add_client(client.budget);
	back.from = 6 * ns_per_s;
	bench.run_until(7 * ns_per_s);
	for (Time at = 6 * ns_per_s; at < 7 * ns_per_s; at += 100 * ms) {
		const auto got = static_cast<double>(back.sum(back.completed, at, at + 100 * ms));
		const auto expected = 1000.0 / count;
		/* What was at the device when he came is done first. */
		const auto least = at > 6 * ns_per_s ? 0.99 : 0.9;
		if (got > expected * 1.01 + 1 || got < expected * least - 2)
			return std::to_string(got);
	}
	return "";
}

TEST(QosShares, no_burst_after_idleness)
{
	for (const bool has_writer : {false, true}) {
		EXPECT_EQ(run_idle(2, has_writer), "");
		EXPECT_EQ(run_idle(20, has_writer), "");
		const QosBroken broken(Sabotage::idle_keeps_tag);
		EXPECT_NE(run_idle(2, has_writer), "");
	}
}

/* The weight of large I/O is what it costs. */
TEST(QosShares, large_io_counts_as_much)
{
	QosBench bench(slow);
	auto &small = bench.add(weighted(100)), &large = bench.add(weighted(100));

	large.bytes = 1 << 20;
	bench.run_until(10 * ns_per_s);
	EXPECT_NEAR(static_cast<double>(small.sum(small.completed, 0, 10 * ns_per_s)), 50'000, 500);
	EXPECT_NEAR(static_cast<double>(large.sum(large.completed, 0, 10 * ns_per_s)), 50'000, 500);
}

std::string run_classes()
{
	QosBench bench(slow);
	Policy policies[] = {weighted(1), weighted(100), weighted(1000, 500)};

	policies[0].priority = Class::interactive;
	policies[0].limit(Limited::ios).rate = 4000;
	policies[1].priority = Class::normal;
	policies[2].priority = Class::background;
	for (const auto &policy : policies)
		bench.add(policy);
	bench.run_until(2 * ns_per_s);
	const auto got = [&](unsigned i) {
		const auto &client = *bench.clients[i];
		return client.sum(client.completed, ns_per_s, 2 * ns_per_s);
	};
	if (got(0) < 3960 || got(0) > 4001)
		return "the first class";
	if (got(2) < 495 || got(2) > 515)
		return "the last class has its floor, and no more";
	return got(1) > 5400 ? "" : "what is left";
}

TEST(QosShares, classes_go_one_before_the_other)
{
	EXPECT_EQ(run_classes(), "");
	const QosBroken broken(Sabotage::class_ignored);
	EXPECT_NE(run_classes(), "");
}

/*
 * One at a time beside a neighbour with a deep queue, on a device that takes all of it in and
 * so is late for everybody. Of the I/O of the last two seconds, how much took more than 2 ms?
 */
double late_part(bool has_target)
{
	QosBench bench({100'000, 200'000, 64});
	Policy policy = weighted(1000);

	if (has_target)
		policy.latency_target = 2 * ms;
	auto &victim = bench.add(policy), &neighbour = bench.add(weighted(100));
	victim.outstanding = 1;
	neighbour.outstanding = 128;
	bench.run_until(3 * ns_per_s);
	const auto before = victim.latencies.size();
	bench.run_until(5 * ns_per_s);
	const auto late =
		std::count_if(victim.latencies.begin() + static_cast<long>(before),
			      victim.latencies.end(), [](Time took) { return took > 2 * ms; });
	EXPECT_GT(neighbour.sum(neighbour.completed, 3 * ns_per_s, 5 * ns_per_s), 5000U);
	return static_cast<double>(late) / static_cast<double>(victim.latencies.size() - before);
}

TEST(QosShares, a_latency_target_holds_others_back)
{
	EXPECT_LE(late_part(true), 0.15);
	EXPECT_GE(late_part(false), 0.9);
	const QosBroken broken(Sabotage::latency_ignored);
	EXPECT_GE(late_part(true), 0.9);
}

/* Who does not use all of his floor, or is held by his limit, is in nobody's way. */
TEST(QosShares, what_is_not_used_is_for_others)
{
	QosBench bench(slow);
	Policy policy = weighted(100, 1000);

	policy.limit(Limited::ios).rate = 1000;
	auto &capped = bench.add(policy), &few = bench.add(weighted(100, 9000));
	auto &all = bench.add(weighted(1));
	few.outstanding = 1;
	bench.run_until(3 * ns_per_s);
	const auto got = [&](const QosClient &client) {
		return client.sum(client.completed, ns_per_s, 3 * ns_per_s);
	};
	EXPECT_NEAR(static_cast<double>(got(capped)), 2000, 20);
	EXPECT_GE(got(capped) + got(few) + got(all), 19'900U);
}

} // namespace
