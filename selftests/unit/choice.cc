/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of several vCPUs takes an interrupt. */
#include "irq/choice.hh"

#include <gtest/gtest.h>

#include <initializer_list>

namespace {

using corbel::irq::Best;
using corbel::irq::Candidate;

constexpr Candidate resident{0, CORBEL_RES_RESIDENT, false, 5};
constexpr Candidate halted{1, CORBEL_RES_HALTED, false, 4};
constexpr Candidate contended{2, CORBEL_RES_RESIDENT, true, 3};
constexpr Candidate preempted{3, CORBEL_RES_PREEMPTED, true, 2};
constexpr Candidate outside{4, CORBEL_RES_USER, false, 1};

unsigned chosen(unsigned policy, std::initializer_list<Candidate> candidates)
{
	Best best(policy);

	for (const auto &one : candidates)
		best.consider(one);
	EXPECT_EQ(best.count(), candidates.size());
	return best.get().index;
}

TEST(Choice, the_nearest_first_whatever_the_order)
{
	constexpr unsigned policy = CORBEL_IRQ_POLICY_RESIDENT_FIRST;

	EXPECT_EQ(chosen(policy, {resident, halted, contended, preempted, outside}), 0U);
	EXPECT_EQ(chosen(policy, {outside, preempted, contended, halted}), 1U);
	EXPECT_EQ(chosen(policy, {preempted, contended, outside}), 2U);
	EXPECT_EQ(chosen(policy, {outside, preempted}), 3U);
	EXPECT_EQ(chosen(policy, {outside}), 4U);
}

TEST(Choice, of_equals_the_one_with_less_pending_then_the_first)
{
	constexpr unsigned policy = CORBEL_IRQ_POLICY_RESIDENT_FIRST;
	Candidate other = resident;

	other.index = 9;
	EXPECT_EQ(chosen(policy, {resident, other}), 0U);
	EXPECT_EQ(chosen(policy, {other, resident}), 9U);
	other.pending--;
	EXPECT_EQ(chosen(policy, {resident, other}), 9U);
}

TEST(Choice, least_pending_counts_before_residency)
{
	constexpr unsigned policy = CORBEL_IRQ_POLICY_LEAST_PENDING;
	Candidate other = outside;

	EXPECT_EQ(chosen(policy, {resident, halted, contended, preempted, outside}), 4U);
	other.pending = resident.pending;
	EXPECT_EQ(chosen(policy, {other, resident}), 0U);
}

} // namespace
