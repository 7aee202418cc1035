// SPDX-License-Identifier: GPL-2.0-or-later
#include "observation.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;
using corbel::test::Observation;
using namespace std::chrono_literals;

TEST(sample, rates_are_of_the_time_between)
{
	Observation vm(2);

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 1'000, 400);
	auto before = vm.sample;
	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 100, 400);
	vm.deliver(1, 0xec, CORBEL_IRQ_PATH_LOCAL, 300, 800);
	vm.pass(2s);
	auto activity = between(before, vm.sample);

	EXPECT_EQ(activity.total.accepted_by_all(), 400U);
	EXPECT_DOUBLE_EQ(activity.per_second(activity.total.accepted_by_all()), 200);
	ASSERT_EQ(activity.vectors.size(), 2U);
	EXPECT_EQ(activity.vectors[0].vector, 0xecU) << "the busiest first";
	EXPECT_EQ(activity.vectors[1].flow.accepted[CORBEL_IRQ_PATH_DEVICE], 100U);
	EXPECT_EQ(activity.vectors[1].flow.latencies.samples(), 100U);
	ASSERT_EQ(activity.vcpus.size(), 2U);
	EXPECT_EQ(activity.vcpus[0].flow.injected, 100U);
}

TEST(sample, idle_vectors_are_left_out)
{
	Observation vm(1);

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 5, 400);
	auto before = vm.sample;
	vm.pass(1s);
	auto activity = between(before, vm.sample);

	EXPECT_TRUE(activity.vectors.empty());
	EXPECT_TRUE(activity.total.idle());
	ASSERT_EQ(activity.vcpus.size(), 1U) << "a vCPU is shown also when it is idle";
}

TEST(sample, a_vcpu_that_appeared_counts_from_zero)
{
	Observation one(1), two(2);

	two.deliver(1, 0x40, CORBEL_IRQ_PATH_IPI, 7, 500);
	two.pass(1s);
	auto activity = between(one.sample, two.sample);

	EXPECT_EQ(activity.total.accepted[CORBEL_IRQ_PATH_IPI], 7U);
	EXPECT_EQ(activity.vcpus.size(), 2U);
}

TEST(sample, counts_never_run_backwards)
{
	Observation vm(1);

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 5, 400);
	auto later = vm.sample;
	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 5, 400);
	auto activity = between(vm.sample, later);

	EXPECT_TRUE(activity.total.idle());
	EXPECT_EQ(activity.total.latencies.samples(), 0U);
}

TEST(sample, totals_have_no_interval)
{
	Observation vm(1);

	vm.deliver(0, 0x31, CORBEL_IRQ_PATH_DEVICE, 5, 400);
	auto totals = totals_of(vm.sample);

	EXPECT_EQ(totals.interval.count(), 0);
	EXPECT_EQ(totals.total.injected, 5U);
	EXPECT_EQ(totals.per_second(5), 0);
}

TEST(sample, vectors_of_a_record)
{
	Observation vm(1);

	for (unsigned vector : {0U, 63U, 64U, 255U})
		vm.set_pending(0, vector);
	EXPECT_EQ(vectors_in(vm.sample.vcpus[0].state.record), (std::vector{0U, 63U, 64U, 255U}));
}

} /* namespace */
