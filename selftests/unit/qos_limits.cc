// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits, bursts, changes of them and budgets that several share, in simulated time. */
#include "qos_bench.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace {

using namespace corbel::unit;

TEST(QosLimits, many_at_once)
{
	const auto errors = worst_limit_errors(60, 2);

	EXPECT_LE(errors.second, 0.01);
	EXPECT_LE(errors.tenth, 0.05);
	const QosBroken broken(Sabotage::lateness_lost);
	EXPECT_GT(worst_limit_errors(60, 2).second, 0.01);
}

/* Limits of either direction do not hold the other one; a total holds both. */
TEST(QosLimits, directions_and_totals)
{
	QosBench bench({});
	Policy policy = limited(Limited::write_ios, 500);

	auto &budget = bench.add_budget(policy);
	auto &reader = bench.add_client(&budget), &writer = bench.add_client(&budget);
	writer.op = Op::write;
	reader.outstanding = writer.outstanding = 4;
	bench.run_until(ns_per_s);
	EXPECT_NEAR(static_cast<double>(writer.sum(writer.admitted, 0, ns_per_s)), 501, 2);
	EXPECT_NEAR(static_cast<double>(reader.sum(reader.admitted, 0, ns_per_s)), 40'000, 100);
	policy.limit(Limited::ios).rate = 2000;
	ASSERT_TRUE(bench.scheduler.set_policy(budget, policy, bench.now).ok());
	bench.run_until(3 * ns_per_s);
	EXPECT_NEAR(static_cast<double>(writer.sum(writer.admitted, ns_per_s, 3 * ns_per_s)), 1000,
		    10);
	EXPECT_NEAR(static_cast<double>(reader.sum(reader.admitted, ns_per_s, 3 * ns_per_s)), 3000,
		    30);
}

/* Large I/O is several units; its bytes are counted as they are. */
TEST(QosLimits, large_io)
{
	for (const std::uint32_t bytes : {512U, 32768U, 32769U, 1U << 20, 3U << 20}) {
		QosBench bench({});
		auto &by_units = bench.add(limited(Limited::ios, 3200));
		auto &by_bytes = bench.add(limited(Limited::bytes, 100 << 20));

		by_units.bytes = by_bytes.bytes = bytes;
		bench.run_until(10 * ns_per_s);
		const std::uint64_t units = (bytes + 32767) / 32768;
		const auto of = [&](const QosClient &client) {
			return static_cast<double>(client.sum(client.admitted, 0, 10 * ns_per_s) /
						   units);
		};
		EXPECT_NEAR(of(by_units), 32'000.0 / static_cast<double>(units), 1.01) << bytes;
		/* Or as many as are under way can be completed, if they are small. */
		if (bytes > 4096) {
			EXPECT_NEAR(of(by_bytes), 10.0 * (100 << 20) / bytes, 1.01) << bytes;
		}
	}
	const CostModel whole{0};
	EXPECT_EQ(whole.units(Op::write, ~0U), 1U);
	EXPECT_EQ(CostModel{1}.units(Op::write, ~0U), ~0U);
	EXPECT_EQ(CostModel{}.units(Op::discard, ~0U), 1U);
	EXPECT_EQ(CostModel{}.units(Op::read, 0), 1U);
}

TEST(QosLimits, burst_after_idleness)
{
	QosBench bench({});
	auto &client = bench.add(limited(Limited::ios, 1000, 200));

	client.until = 100 * ms;
	bench.run_until(150 * ms);
	/* All of the burst at first. */
	EXPECT_NEAR(static_cast<double>(client.sum(client.admitted, 0, 100 * ms)), 300, 2);
	/* 50 ms were not used by then; 100 ms more bring it to 150 or so. */
	auto &late = bench.add_client(client.budget);
	late.from = 250 * ms;
	bench.run_until(350 * ms);
	const auto gone = late.sum(late.admitted, 250 * ms, 350 * ms);
	EXPECT_NEAR(static_cast<double>(gone), 100 + 150 - 32, 4);
}

/* Of 10 ms each, behind the 10 ms in which the limit was changed. */
std::string run_changes()
{
	const std::uint64_t rates[] = {10'000, 1'000, 100, 50'000, 2'000, 1, 20'000};
	QosBench bench({});
	auto &client = bench.add(limited(Limited::ios, 5'000));
	Time at = 0;

	for (const auto rate : rates) {
		at += 100 * ms;
		bench.run_until(at);
		if (!bench.scheduler.set_policy(*client.budget, limited(Limited::ios, rate), at)
			     .ok())
			return "refused";
		bench.run_until(at + 100 * ms);
		for (Time begin = at + bin; begin < at + 90 * ms; begin += bin) {
			const auto gone = static_cast<double>(
				client.sum(client.admitted, begin, begin + bin));
			const auto expected = static_cast<double>(rate) / 100;
			if (gone > expected * 1.05 + 1 || gone < expected * 0.95 - 1)
				return std::to_string(rate) + ": " + std::to_string(gone);
		}
		at += 100 * ms;
	}
	return "";
}

TEST(QosLimits, changes_hold_within_10_ms)
{
	EXPECT_EQ(run_changes(), "");
	const QosBroken broken(Sabotage::change_keeps_debt);
	EXPECT_NE(run_changes(), "");
}

/* One budget for many, who want differently much of it and have the same right to it. */
std::string run_shared()
{
	constexpr unsigned count = 50;
	QosBench bench({});
	auto &budget = bench.add_budget(limited(Limited::ios, 5000));

	for (unsigned i = 0; i < count; i++)
		bench.add_client(&budget).outstanding = 1 + i % 7 * 10;
	bench.run_until(3 * ns_per_s);
	std::uint64_t all = 0;
	for (const auto &client : bench.clients) {
		const auto [least, most] =
			client->extremes(client->admitted, 100 * ms, 3 * ns_per_s, ns_per_s);
		if (least < 98 || most > 102)
			return "share of one: " + std::to_string(least) + " " +
			       std::to_string(most);
		all += client->sum(client->admitted, 0, 3 * ns_per_s);
	}
	return all >= 14'950 && all <= 15'002 ? "" : "sum: " + std::to_string(all);
}

TEST(QosLimits, a_shared_budget_is_shared)
{
	EXPECT_EQ(run_shared(), "");
	const QosBroken broken(Sabotage::share_by_first);
	EXPECT_NE(run_shared(), "");
}

/* Who leaves a budget, or comes to another, takes what waits with him; none is lost. */
TEST(QosLimits, objects_move_between_budgets)
{
	QosBench bench({});
	auto &slow = bench.add_budget(limited(Limited::ios, 100));
	auto &fast = bench.add_budget(limited(Limited::ios, 10'000));
	auto &client = bench.add_client(&slow);

	client.is_mixed = true;
	for (unsigned i = 1; i <= 20; i++) {
		const Time begin = bench.now;

		bench.run_until(begin + 100 * ms);
		EXPECT_NEAR(static_cast<double>(client.sum(client.admitted, begin, bench.now)),
			    i % 2 ? 10 : 1000, i % 2 ? 4 : 50);
		bench.scheduler.attach(client, i % 2 ? fast : slow, bench.now);
	}
	auto left = bench.scheduler.detach(client, bench.now);
	unsigned count = 0;
	while (left.pop())
		count++;
	const auto at_device =
		std::ranges::count_if(client.ios, [](const Io &io) { return io.next == &io; });
	EXPECT_EQ(count + static_cast<unsigned>(at_device), client.outstanding);
	EXPECT_FALSE(slow.has_work() || fast.has_work());
}

std::string run_rest()
{
	QosBench bench({20'000, 100'000, 8});

	for (unsigned i = 0; i < 3; i++)
		bench.add(limited(Limited::ios, 1000 + i));
	auto &journal = bench.add_client(nullptr);
	Budget budget;
	if (!bench.scheduler.add(budget, limited(Limited::ios, 1), 0).ok())
		return "add";
	bench.scheduler.attach(journal, budget, 0);
	bench.run_until(ns_per_s);
	const auto most = *std::ranges::max_element(journal.latencies);
	const auto some = journal.latencies.size() > 10'000;
	(void)bench.scheduler.detach(journal, bench.now);
	bench.scheduler.remove(budget);
	/* Whatever is at the device before it. */
	return some && most <= 100'000 + 20'000 * (32 + 8) ? "" : "waited";
}

TEST(QosLimits, rest_never_waits)
{
	EXPECT_EQ(run_rest(), "");
	const QosBroken broken(Sabotage::rest_queued);
	EXPECT_NE(run_rest(), "");
}

TEST(QosLimits, policies_that_cannot_be)
{
	Policy policy;

	EXPECT_TRUE(policy.check().ok());
	policy.weight = 0;
	EXPECT_FALSE(policy.check().ok());
	policy.weight = Policy::max_weight + 1;
	EXPECT_FALSE(policy.check().ok());
	policy = {};
	policy.priority = static_cast<Class>(3);
	EXPECT_FALSE(policy.check().ok());
	policy = limited(Limited::bytes, 0, 1);
	EXPECT_FALSE(policy.check().ok());
	policy = limited(Limited::ios, 99);
	policy.floor = 100;
	EXPECT_FALSE(policy.check().ok());
	policy.floor = 99;
	EXPECT_TRUE(policy.check().ok());
	QosBench bench({});
	auto &client = bench.add(policy);
	policy.weight = 0;
	EXPECT_FALSE(bench.scheduler.set_policy(*client.budget, policy, 0).ok());
	EXPECT_EQ(client.budget->policy.weight, 100U);
}

} // namespace
