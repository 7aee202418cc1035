// SPDX-License-Identifier: GPL-2.0-or-later
/* The two ends of a migration in every order of events, with every pair of failures. */
#include "migrate_world.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace migrate;

constexpr Terms with_rollback{.rollback = true};
constexpr Terms with_spill{.spill = true};

void expect_none(const Explored &explored)
{
	std::string trace;

	for (const auto &event : explored.trace)
		trace += "\n  " + event;
	EXPECT_EQ(explored.violation, "") << trace;
}

std::size_t ended_as(const Explored &explored, Outcome outcome)
{
	return explored.outcomes[static_cast<std::size_t>(outcome)];
}

class Pairs : public testing::TestWithParam<Rules> {};

TEST_P(Pairs, of_failures_leave_one_owner_or_a_named_end)
{
	const auto explored = explore(GetParam());

	expect_none(explored);
	std::printf("# %zu states\n", explored.states);
	for (const auto outcome : {Outcome::moved, Outcome::stayed, Outcome::ended_at_source,
				   Outcome::returned, Outcome::unconfirmed})
		EXPECT_GT(ended_as(explored, outcome), 0U) << name_of(outcome);
	EXPECT_EQ(ended_as(explored, Outcome::rolled_back) > 0, GetParam().terms.rollback);
}

INSTANTIATE_TEST_SUITE_P(migrate_protocol, Pairs,
			 testing::Values(Rules{}, Rules{.terms = with_rollback},
					 Rules{.terms = with_spill}, Rules{.patient = true},
					 Rules{.terms = with_rollback, .patient = true},
					 Rules{.terms = with_spill, .patient = true}),
			 [](const auto &info) {
				 return fmt::format("{}{}",
						    info.param.terms.rollback ? "rollback"
						    : info.param.terms.spill  ? "spill"
									      : "neither",
						    info.param.patient ? "_patient" : "");
			 });

/* What fails alone, and what it must come to. */
TEST(migrate_protocol, alone_a_failure_that_heals_moves_or_stays)
{
	for (const auto &terms : {Terms{}, with_rollback, with_spill})
		for (const auto failure :
		     {Failure::source_daemon, Failure::destination_daemon, Failure::link,
		      Failure::slow, Failure::cancel, Failure::destination_qemu}) {
			const auto explored = explore({.terms = terms,
						       .failures = 1,
						       .patient = true,
						       .only = {failure}});
			auto named = ended_as(explored, Outcome::moved) +
				     ended_as(explored, Outcome::stayed) +
				     ended_as(explored, Outcome::returned) +
				     ended_as(explored, Outcome::rolled_back);

			expect_none(explored);
			/* A QEMU is not healed; without rollback its guest is lost with it. */
			if (failure == Failure::destination_qemu)
				named += ended_as(explored, Outcome::lost_at_destination);
			std::size_t all = 0;
			for (const auto count : explored.outcomes)
				all += count;
			EXPECT_EQ(named, all) << static_cast<int>(failure);
			if (terms.rollback)
				continue;
			EXPECT_EQ(ended_as(explored, Outcome::rolled_back), 0U);
		}
}

TEST(migrate_protocol, without_failures_it_moves)
{
	for (const auto &terms : {Terms{}, with_spill}) {
		const auto explored = explore({.terms = terms, .failures = 0});

		expect_none(explored);
		for (std::size_t i = 0; i < explored.outcomes.size(); i++)
			EXPECT_EQ(explored.outcomes[i] > 0,
				  i == static_cast<std::size_t>(Outcome::moved));
	}
}

/* A rule that is left out must be missed, or it is not known to be needed. */
TEST(migrate_protocol, each_rule_is_needed)
{
	for (unsigned i = 1; i <= static_cast<unsigned>(last_mutation); i++) {
		const auto mutation = static_cast<Mutation>(i);
		bool noticed = false;

		for (const bool patient : {false, true})
			for (const auto &terms : {Terms{}, with_rollback, with_spill})
				noticed = noticed || !explore({.terms = terms,
							       .mutation = mutation,
							       .failures = 1,
							       .patient = patient})
							      .violation.empty();
		EXPECT_TRUE(noticed) << name_of(mutation);
	}
}

TEST(migrate_protocol, the_watcher_of_a_lease_must_outlive_the_daemon)
{
	const auto explored =
		explore({.terms = with_rollback, .failures = 2, .mortal_watcher = true});

	EXPECT_EQ(explored.violation, "two owners run");
}

TEST(migrate_protocol, names_are_told_apart)
{
	for (unsigned i = 0; i <= static_cast<unsigned>(last_outcome); i++) {
		const auto outcome = static_cast<Outcome>(i);

		EXPECT_EQ(outcome_of(name_of(outcome)), outcome);
		EXPECT_THAT(sentence_of(outcome), testing::EndsWith("."));
	}
	for (unsigned i = 0; i <= static_cast<unsigned>(last_end); i++) {
		const auto end = static_cast<End>(i);

		EXPECT_EQ(end_of_migration(name_of(end)), end);
		EXPECT_THAT(sentence_of(end), testing::EndsWith("."));
	}
	for (unsigned i = 0; i <= static_cast<unsigned>(DestinationPhase::ended); i++) {
		const auto phase = static_cast<DestinationPhase>(i);

		EXPECT_EQ(destination_phase_of(name_of(phase)), phase);
	}
	EXPECT_FALSE(outcome_of("unknown"));
	EXPECT_FALSE(end_of_migration(""));
	EXPECT_FALSE(destination_phase_of("Reserved"));
}

/* An order of another epoch is of another owner's time. */
TEST(migrate_protocol, an_epoch_that_is_not_its_own_lets_nothing_run)
{
	const DestinationRecord prepared{
		.phase = DestinationPhase::prepared, .end = End::none, .terms = {}, .epoch = 6};

	for (const Epoch epoch : {0U, 5U, 6U, 7U}) {
		const auto step =
			next(prepared,
			     {.guest = GuestHere::loaded, .order = Order::run, .epoch = epoch});

		EXPECT_EQ(step.act == DestinationAct::write, epoch == 6) << epoch;
	}
	auto running = prepared;
	running.phase = DestinationPhase::running;
	for (const Epoch epoch : {5U, 6U, 7U}) {
		const auto step =
			next(running,
			     {.guest = GuestHere::running, .order = Order::fence, .epoch = epoch});

		EXPECT_EQ(step.record.end == End::fenced, epoch == 7) << epoch;
	}
}

/* It was not heard of when the source took it back. */
TEST(migrate_protocol, what_ended_by_itself_hears_later_that_it_was_taken_back)
{
	for (const auto end : {End::died, End::lost, End::refused, End::completed})
		for (const bool rollback : {false, true}) {
			const DestinationRecord ended{.phase = DestinationPhase::ended,
						      .end = end,
						      .terms = {.rollback = rollback},
						      .epoch = 6};
			const bool itself = end == End::died || end == End::lost;
			const auto step = next(ended, {.order = Order::fence, .epoch = 7});

			EXPECT_EQ(step.record.end == End::fenced, itself && rollback);
			EXPECT_EQ(next(ended, {.order = Order::fence, .epoch = 6}).act,
				  DestinationAct::answer);
			EXPECT_EQ(owns(ended), end == End::completed || (itself && !rollback));
		}
}

} /* namespace */

} /* namespace corbel::test */
