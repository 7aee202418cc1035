// SPDX-License-Identifier: GPL-2.0-or-later
/* When a ledger balances, when it does not, and when that cannot be told. */
#include "../corbel/ledger.hh"

#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;

/* One vector of a vCPU with nothing wrong. */
VcpuLook good_look()
{
	VcpuLook look;
	auto &ledger = look.vectors[0x31];

	ledger.posted = {5, 3, 2};
	ledger.restored = 1;
	ledger.delivered = 6;
	ledger.coalesced = 1;
	ledger.refused = 2;
	ledger.vanished = 1;
	ledger.pending = 1;
	look.total = ledger;
	return look;
}

/* An injection that is counted and whose vector is in the record still. */
VcpuLook short_look()
{
	auto look = good_look();

	look.vectors[0x31].delivered++;
	look.total.delivered++;
	return look;
}

TEST(ledger, balance)
{
	auto ledger = good_look().total;

	EXPECT_EQ(ledger.posted_by_all(), 10U);
	EXPECT_EQ(ledger.balance(), 0);
	ledger.delivered += 2;
	EXPECT_EQ(ledger.balance(), -2);
	ledger.posted[CORBEL_IRQ_PATH_IPI] += 3;
	EXPECT_EQ(ledger.balance(), 1);
	EXPECT_FALSE(ledger.idle());
	EXPECT_TRUE(Ledger().idle());
}

TEST(ledger, every_member_takes_part_in_a_sum)
{
	const auto one = good_look().total;
	auto sum = one;

	sum += one;
	EXPECT_EQ(sum.posted_by_all() + sum.restored, 22U);
	EXPECT_EQ(sum.delivered, 12U);
	EXPECT_EQ(sum.balance(), 0);
	EXPECT_EQ(sum.refused + sum.vanished + sum.coalesced + sum.pending, 10U);
}

TEST(ledger, names_of_the_kernel)
{
	const auto ledger = ledger_of({{"posted_device", 1},
				       {"posted_ipi", 2},
				       {"posted_local", 3},
				       {"restored", 4},
				       {"delivered", 5},
				       {"coalesced", 6},
				       {"dropped_refused", 7},
				       {"dropped_vanished", 8},
				       {"pending", 9},
				       {"something later", 10}});

	EXPECT_EQ(ledger.posted_by_all(), 6U);
	EXPECT_EQ(ledger.restored, 4U);
	EXPECT_EQ(ledger.delivered, 5U);
	EXPECT_EQ(ledger.coalesced, 6U);
	EXPECT_EQ(ledger.refused, 7U);
	EXPECT_EQ(ledger.vanished, 8U);
	EXPECT_EQ(ledger.pending, 9U);
}

TEST(ledger, one_look_proves_nothing)
{
	VcpuJudge judge;

	EXPECT_FALSE(judge.decided());
	judge.see(good_look());
	EXPECT_FALSE(judge.decided());
	EXPECT_EQ(judge.total(), Verdict::moving);
	judge.see(good_look());
	EXPECT_TRUE(judge.decided());
	EXPECT_EQ(judge.total(), Verdict::balanced);
	EXPECT_EQ(judge.vector(0x31), Verdict::balanced);
}

TEST(ledger, what_moves_is_not_condemned)
{
	VcpuJudge judge;

	for (unsigned i = 0; i < 1000; i++) {
		auto look = short_look();

		/* Always in the middle of an injection, but never of the same. */
		look.vectors[0x31].posted[0] += i;
		look.vectors[0x31].delivered += i;
		look.total = look.vectors[0x31];
		judge.see(look);
		EXPECT_FALSE(judge.decided());
		EXPECT_EQ(judge.vector(0x31), Verdict::moving);
	}
	judge.see(good_look());
	judge.see(good_look());
	EXPECT_EQ(judge.total(), Verdict::balanced);
}

TEST(ledger, what_stays_wrong_is)
{
	VcpuJudge judge;
	unsigned looks = 0;

	while (!judge.decided() && looks < 100) {
		judge.see(short_look());
		looks++;
	}
	EXPECT_GE(looks, 10U) << "a glance is no proof";
	EXPECT_EQ(judge.vector(0x31), Verdict::unbalanced);
	EXPECT_EQ(judge.vector(0x32), Verdict::balanced);
	EXPECT_EQ(judge.total(), Verdict::unbalanced);
}

TEST(ledger, a_vcpu_is_more_than_a_balanced_sum)
{
	VcpuJudge record, sum;
	auto differs = good_look(), lacks = good_look();

	differs.settled = false;
	lacks.total += good_look().total;
	for (unsigned i = 0; i < 100; i++) {
		record.see(differs);
		sum.see(lacks);
	}
	EXPECT_EQ(record.total(), Verdict::unbalanced) << "the record is not the IRR";
	EXPECT_EQ(sum.total(), Verdict::unbalanced) << "the vectors do not add up to it";
	EXPECT_EQ(sum.vector(0x31), Verdict::balanced);
}

TEST(ledger, of_a_sampled_vcpu_nothing_is_known)
{
	VcpuJudge judge;
	auto look = short_look();

	look.sampled = true;
	judge.see(look);
	EXPECT_EQ(judge.total(), Verdict::unknown);
	EXPECT_EQ(judge.vector(0x31), Verdict::unknown);
	EXPECT_TRUE(judge.decided());
}

TEST(ledger, rows)
{
	std::vector<VcpuJudge> judges(2);

	for (auto &judge : judges)
		for (unsigned i = 0; i < 100; i++)
			judge.see(&judge == judges.data() ? good_look() : short_look());
	auto rows = rows_of({0, 7}, judges, WantedVectors::none, 0);

	ASSERT_EQ(rows.size(), 3U);
	EXPECT_FALSE(rows[0].vcpu);
	EXPECT_EQ(rows[0].ledger.posted_by_all(), 20U);
	EXPECT_EQ(rows[0].verdict, Verdict::unbalanced) << "the worst of its vCPUs'";
	EXPECT_EQ(rows[1].verdict, Verdict::balanced);
	EXPECT_EQ(rows[2].vcpu, 7U);

	rows = rows_of({0, 7}, judges, WantedVectors::used, 0);
	ASSERT_EQ(rows.size(), 5U);
	EXPECT_EQ(rows[4].vector, 0x31U);
	EXPECT_EQ(rows[4].verdict, Verdict::unbalanced);
	rows = rows_of({0, 7}, judges, WantedVectors::one, 0x40);
	ASSERT_EQ(rows.size(), 5U);
	EXPECT_EQ(rows[3].vector, 0x40U) << "also if it was never used";
}

} /* namespace */
