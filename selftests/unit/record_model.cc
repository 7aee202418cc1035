/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pending record in every interleaving of small scenarios, and without each of
 * its steps in turn. One word of it; record_words_model.cc has two.
 */
#define CORBEL_MODEL_WORDS 1
#include "exploration_test.hh"
#include "record_model.hh"

#include <map>

namespace {

/* The scenarios. Each is small; together they meet every line of the record. */
struct Scenario {
	const char *name;
	void (*set_up)(RecordModel &);
};

const Scenario scenarios[] = {
	{"a delivery repeats while the vCPU injects",
	 [](RecordModel &m) { m.deliver(1, 3).run_vcpu(3); }},
	{"two deliveries of a vector meet its injection",
	 [](RecordModel &m) { m.deliver(1).deliver(1).run_vcpu(1); }},
	{"deliveries of two vectors meet an injection",
	 [](RecordModel &m) { m.deliver(1).deliver(2).run_vcpu(1); }},
	{"a refusal meets deliveries", [](RecordModel &m) { m.deliver(1, 2).refuse(1); }},
	{"a refusal meets a delivery and its injection",
	 [](RecordModel &m) { m.refuse(1).deliver(1).run_vcpu(1); }},
	{"two refusals meet", [](RecordModel &m) { m.refuse(1).refuse(1).run_vcpu(1); }},
	{"a reader meets a delivery and its injection",
	 [](RecordModel &m) { m.read(1).deliver(1).run_vcpu(1); }},
	{"settling meets a delivery and its injection",
	 [](RecordModel &m) { m.resync().deliver(1).run_vcpu(1); }},
	{"state that is set meets a delivery",
	 [](RecordModel &m) { m.deliver(1).run_vcpu(2, 0, 4); }},
	{"state is set between two injections",
	 [](RecordModel &m) { m.deliver(2, 2).run_vcpu(2, 1, 6); }},
};

constexpr std::uint64_t most_states_with_counts = 1'500'000;

class RecordScenario : public testing::TestWithParam<Scenario> {};

TEST_P(RecordScenario, holds_in_every_interleaving)
{
	RecordModel model;

	GetParam().set_up(model);
	const auto found = model.explore();
	expect_no_violation(found);
	EXPECT_TRUE(found.complete);
	EXPECT_GT(found.quiet_states, 1U);
}

/* The same with the counts, which multiply the states: as many as there is time for. */
TEST_P(RecordScenario, leaves_the_coalesced_ones)
{
	RecordModel model;

	GetParam().set_up(model.with_balance());
	const auto found = model.explore(most_states_with_counts);
	expect_no_violation(found);
}

INSTANTIATE_TEST_SUITE_P(Record, RecordScenario, testing::ValuesIn(scenarios), test_name<Scenario>);

/* All places of the record that write, over all scenarios. */
std::vector<std::pair<Site, std::string>> writing_sites()
{
	std::map<Site, std::string> all;

	for (const auto &scenario : scenarios) {
		RecordModel model;
		scenario.set_up(model);
		model.machine().collecting = true;
		/* A part of the states is enough to come by every place. */
		(void)model.explore(20000);
		for (const auto &site : model.machine().written_sites)
			if (std::string_view(site.file).ends_with("record.hh"))
				all.emplace(site, model.machine().name_of(site.cell));
	}
	return {all.begin(), all.end()};
}

/* Whether any scenario notices that the write at @site is left out. */
bool is_noticed(const Site &site)
{
	for (const auto &scenario : scenarios) {
		RecordModel model;
		scenario.set_up(model);
		model.machine().mutated = site;
		if (!model.explore(200000).violation.empty())
			return true;
	}
	return false;
}

/*
 * Each write of the record is left out in turn, and some scenario must fail. The
 * exception is taking an unsure mark back: a mark that stays makes settling look at
 * a bit in vain, and only the counts of delivery.cc go by it.
 */
TEST(RecordModel, no_step_can_be_left_out)
{
	const auto sites = writing_sites();
	unsigned needed = 0, marking = 0;

	EXPECT_GE(sites.size(), 12U);
	for (const auto &[site, cell] : sites) {
		const bool marks = cell.starts_with("unsure");

		if (is_noticed(site)) {
			needed++;
			marking += marks;
		} else if (!marks) {
			ADD_FAILURE() << "record.hh:" << site.line << ":" << site.column
				      << ": nothing fails without this write to " << cell;
		}
	}
	EXPECT_GE(marking, 2U) << "marks can be left out: the one of an injection that met a "
				  "delivery, or the one that settling gives back";
	RecordProperty("writes left out", static_cast<int>(sites.size()));
	RecordProperty("noticed", static_cast<int>(needed));
}

} // namespace
