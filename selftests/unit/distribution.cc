/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of the distributor against a simple oracle: a map of what each id is, and
 * for what is pending the order in which it became so.
 */
#include "distribution_platform.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

namespace {

using namespace corbel;
using namespace corbel::unit;
using irq::IdConfig;
using irq::Raised;

TEST(Distribution, nothing_is_mapped_at_first)
{
	TestDistribution rules(100, 2);

	rules.make_present(0);
	EXPECT_EQ(rules.raise(0), Raised::refused);
	EXPECT_EQ(rules.raise(99), Raised::refused);
	EXPECT_EQ(rules.counts(99).refused, 1U);
	EXPECT_FALSE(rules.set_masked(5, true));
}

TEST(Distribution, a_present_vcpu_gets_it_at_once)
{
	TestDistribution rules(100, 2);

	rules.make_present(1);
	rules.map(4, mapped(1, 0x44));
	EXPECT_EQ(rules.raise(4), Raised::delivered);
	EXPECT_EQ(rules.seat(1).given, (std::vector<std::uint8_t>{0x44}));
	EXPECT_FALSE(rules.status(1));
	EXPECT_EQ(rules.seat(1).rung, 0U);
}

TEST(Distribution, an_absent_one_when_it_becomes_present)
{
	TestDistribution rules(100, 2);

	rules.map(4, mapped(1, 0x44));
	rules.map(70, mapped(1, 0x45));
	EXPECT_EQ(rules.raise(4), Raised::recorded);
	EXPECT_EQ(rules.raise(4), Raised::coalesced);
	EXPECT_EQ(rules.raise(70), Raised::recorded);
	EXPECT_EQ(rules.seat(1).rung, 1U) << "once, with the first";
	EXPECT_TRUE(rules.status(1) && rules.record(1, 4) && rules.record(1, 70));
	EXPECT_FALSE(rules.status(0));
	rules.make_present(1);
	EXPECT_EQ(rules.seat(1).given, (std::vector<std::uint8_t>{0x44, 0x45}));
	EXPECT_FALSE(rules.status(1) || rules.record(1, 4) || rules.record(1, 70));
}

TEST(Distribution, more_than_a_batch_is_given_out)
{
	TestDistribution rules(1000, 1);

	for (unsigned id = 0; id < 1000; id++) {
		rules.map(id, mapped(0, 0x20 + id % 200, id / 10 % 256));
		EXPECT_EQ(rules.raise(id), Raised::recorded);
	}
	rules.make_present(0);
	EXPECT_EQ(rules.seat(0).given.size(), 1000U);
	EXPECT_FALSE(rules.status(0));
}

TEST(Distribution, mapping_moves_what_is_pending)
{
	TestDistribution rules(100, 3);

	rules.make_present(2);
	rules.map(4, mapped(0, 0x44));
	(void)rules.raise(4);
	rules.map(4, mapped(1, 0x54));
	EXPECT_TRUE(!rules.status(0) && !rules.record(0, 4));
	EXPECT_TRUE(rules.status(1) && rules.record(1, 4));
	EXPECT_EQ(rules.seat(1).rung, 1U);
	rules.map(4, mapped(2, 0x64));
	EXPECT_TRUE(!rules.status(1) && !rules.record(1, 4) && !rules.status(2));
	EXPECT_EQ(rules.seat(2).given, (std::vector<std::uint8_t>{0x64}));
	rules.map(4, mapped(0, 0x44));
	(void)rules.raise(4);
	rules.map(4, {});
	EXPECT_EQ(rules.counts(4).withdrawn, 1U);
	EXPECT_FALSE(rules.status(0) || rules.record(0, 4));
}

TEST(Distribution, a_vcpu_that_is_gone_takes_nothing)
{
	TestDistribution rules(100, 1);

	rules.map(4, mapped(0, 0x44));
	(void)rules.raise(4);
	rules.seat(0).exists = false;
	EXPECT_EQ(rules.raise(4), Raised::coalesced);
	rules.map(5, mapped(0, 0x45));
	EXPECT_EQ(rules.raise(5), Raised::refused);
	rules.make_present(0);
	EXPECT_TRUE(rules.seat(0).given.empty());
	EXPECT_TRUE(rules.record(0, 4)) << "it stays readable";
}

/* ---- the oracle ------------------------------------------------------------------ */

class Oracle {
public:
	static constexpr unsigned ids = 130, vcpus = 3;

	struct Entry {
		IdConfig config;
		std::optional<std::uint64_t> since; /* pending: its place in the order */
		irq::Distribution<ThreadPlatform>::Counts counts{};
	};

	void raise(unsigned id)
	{
		Entry &it = entries[id];

		it.counts.raised++;
		if (it.since)
			it.counts.coalesced++;
		else if (!it.config.is_mapped())
			it.counts.refused++;
		else
			make_pending(it);
		give_out();
	}
	void map(unsigned id, IdConfig to)
	{
		Entry &it = entries[id];

		it.config = to;
		if (it.since && !to.is_mapped()) {
			it.counts.withdrawn++;
			it.since.reset();
		} else if (it.since) {
			make_pending(it);
		}
		give_out();
	}
	void restore(unsigned id, IdConfig to, bool pending)
	{
		Entry &it = entries[id];

		it.counts.restored += pending && !it.since;
		it.counts.withdrawn += !pending && it.since;
		it.config = to;
		it.since.reset();
		if (pending)
			make_pending(it);
		give_out();
	}
	void set_masked(unsigned id, bool masked)
	{
		Entry &it = entries[id];

		if (!it.config.is_mapped() || it.config.is_masked() == masked)
			return;
		it.config = it.config.with_masked(masked);
		if (it.since)
			make_pending(it);
		give_out();
	}

	bool present[vcpus]{}, disabled[vcpus]{};
	std::map<unsigned, Entry> entries;
	std::vector<std::uint8_t> given[vcpus];

	void give_out()
	{
		for (;;) {
			Entry *best = nullptr;

			for (auto &[id, it] : entries) {
				if (!it.since || it.config.is_masked() ||
				    !present[it.config.desk() - 1])
					continue;
				if (!best || it.config.priority() > best->config.priority() ||
				    (it.config.priority() == best->config.priority() &&
				     *it.since < *best->since))
					best = &it;
			}
			if (!best)
				return;
			best->since.reset();
			const unsigned vcpu = best->config.desk() - 1;

			if (disabled[vcpu]) {
				best->counts.refused++;
				continue;
			}
			best->counts.delivered++;
			given[vcpu].push_back(best->config.vector());
		}
	}

private:
	void make_pending(Entry &it) { it.since = clock_++; }

	std::uint64_t clock_ = 0;
};

void compare(TestDistribution &rules, Oracle &oracle)
{
	for (unsigned id = 0; id < Oracle::ids; id++) {
		const auto &want = oracle.entries[id];
		const auto got = rules.counts(id);

		ASSERT_EQ(got.raised, want.counts.raised) << id;
		ASSERT_EQ(got.restored, want.counts.restored) << id;
		ASSERT_EQ(got.delivered, want.counts.delivered) << id;
		ASSERT_EQ(got.coalesced, want.counts.coalesced) << id;
		ASSERT_EQ(got.refused, want.counts.refused) << id;
		ASSERT_EQ(got.withdrawn, want.counts.withdrawn) << id;
		ASSERT_EQ(got.pending, want.since.has_value()) << id;
		ASSERT_EQ(got.raised + got.restored, got.delivered + got.coalesced + got.refused +
							     got.withdrawn + got.pending);
		ASSERT_EQ(rules.config(id).with_pending(false).word(), want.config.word());
	}
	for (unsigned vcpu = 0; vcpu < Oracle::vcpus; vcpu++) {
		bool open = false;

		ASSERT_EQ(rules.seat(vcpu).given, oracle.given[vcpu]) << vcpu;
		for (unsigned id = 0; id < Oracle::ids; id++) {
			const auto &it = oracle.entries[id];
			const bool here = it.since && it.config.desk() == vcpu + 1;

			ASSERT_EQ(rules.record(vcpu, id), here) << vcpu << " " << id;
			open |= here && !it.config.is_masked();
		}
		ASSERT_EQ(rules.status(vcpu), open) << vcpu;
	}
}

TEST(Distribution, behaves_as_the_oracle)
{
	for (std::uint64_t variant = 0; variant < 20; variant++) {
		RandomStream random(2000, variant);
		TestDistribution rules(Oracle::ids, Oracle::vcpus);
		Oracle oracle;

		auto any_config = [&] {
			if (random.below(8) == 0)
				return IdConfig();
			return mapped(random.below(Oracle::vcpus), 16 + random.below(240),
				      random.below(2) ? random.below(256) : random.below(4) * 64,
				      random.below(4) == 0);
		};
		for (unsigned step = 0; random.more(); step++) {
			const unsigned id = random.below(Oracle::ids);
			const unsigned vcpu = random.below(Oracle::vcpus);

			switch (random.below(16)) {
			case 0: {
				const IdConfig to = any_config();

				rules.map(id, to);
				oracle.map(id, to);
				break;
			}
			case 1: {
				const IdConfig to = any_config();
				const bool pending = to.is_mapped() && random.below(2);

				rules.restore(id, to, pending);
				oracle.restore(id, to, pending);
				break;
			}
			case 2:
			case 3: {
				const bool masked = random.below(2);

				rules.set_masked(id, masked);
				oracle.set_masked(id, masked);
				break;
			}
			case 4:
				rules.make_absent(vcpu);
				oracle.present[vcpu] = false;
				break;
			case 5:
				if (random.below(2))
					break;
				oracle.disabled[vcpu] = random.below(4) == 0;
				rules.seat(vcpu).disabled = oracle.disabled[vcpu];
				oracle.present[vcpu] = true;
				oracle.give_out();
				rules.make_present(vcpu);
				break;
			default:
				(void)rules.raise(id);
				oracle.raise(id);
			}
			if (step % 50 == 0)
				compare(rules, oracle);
			if (HasFatalFailure())
				FAIL() << "variant " << variant << " step " << step;
		}
		compare(rules, oracle);
	}
}

} // namespace
