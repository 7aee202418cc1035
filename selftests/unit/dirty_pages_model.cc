// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The collecting of dirty pages, kmod/postcopy/dirty_pages.hh, in every interleaving of small
 * scenarios.
 *
 * There are one or two pages with one lock, or with one each, their entries, and who was given
 * a page by its entry. Around the rules stand
 *
 *  - a writer, which is let through, gets its entry and writes by it, as core mm has it;
 *  - a user, which takes a page by an entry that lets write, as a disk is given one, and
 *    writes to it later, when the entry may be gone;
 *  - a collector, which collects and copies what it was told.
 *
 * Whenever all have ended and what is marked has been collected and copied once more, the copy
 * is what the pages hold.
 */
#include "exploration_test.hh"
#include "interleaving.hh"
#include "postcopy/dirty_pages.hh"

#include <gtest/gtest.h>

#include <bit>

namespace {

using namespace corbel::unit;
using corbel::rt::Order;

struct Policy : ModelAtomics {};
using Word = Policy::Atomic<std::uint64_t>;
using Dirty = corbel::postcopy::DirtyPagesOf<Policy>;

/* What the proof needs, left out one at a time. */
enum class Without { nothing, lock, use, protection };

constexpr unsigned pages = 2;

struct Scenario {
	const char *name;
	bool together; /* one lock for both */
	Without without;
	bool is_right;
};

class Model {
public:
	explicit Model(const Scenario &scenario) : scenario_(scenario)
	{
		machine.name_cell(word_.cell(), "marks");
		for (unsigned page = 0; page < pages; page++) {
			const auto name = "page " + std::to_string(page);

			machine.name_cell(pages_[page].cell(), name);
			machine.name_cell(users_[page].cell(), name + "'s users");
			machine.name_cell(locks_[page].cell(), name + "'s lock");
		}
		dirty_.give_memory(&word_);
	}

	Model &write(unsigned page, int times)
	{
		add("writer of " + std::to_string(page), [=, this](int pc, Registers &r) {
			if (pc == 0) {
				let_through(page);
				return 1;
			}
			/* Translation and store are one: what takes the entry away waits for it. */
			auto seen = pages_[page].load(Order::relaxed);
			if (!(seen & 1))
				return 0;
			if (!pages_[page].compare_exchange(seen, seen + 2, Order::seq_cst))
				return 1;
			return ++r[0] == times ? finished : 1;
		});
		return *this;
	}

	Model &use(unsigned page)
	{
		enum { fault = 0, take, check, give_up, write, give_back };
		add("user of " + std::to_string(page), [=, this](int pc, Registers &) -> int {
			switch (pc) {
			case fault:
				let_through(page);
				return take;
			case take:
				if (!(pages_[page].load(Order::relaxed) & 1))
					return fault;
				users_[page].fetch_add(1, Order::seq_cst);
				return check;
			case check:
				return pages_[page].load(Order::relaxed) & 1 ? write : give_up;
			case give_up:
				users_[page].fetch_sub(1, Order::seq_cst);
				return fault;
			case write:
				pages_[page].fetch_add(2, Order::seq_cst);
				return give_back;
			default:
				users_[page].fetch_sub(1, Order::seq_cst);
				return finished;
			}
		});
		return *this;
	}

	/* Registers: what it was told, how often it has collected, its copy. */
	Model &collect(int times)
	{
		add("collector", [=, this](int pc, Registers &r) {
			if (pc == 0) {
				std::uint64_t told = 0;
				Access access{*this};
				(void)dirty_.collect(access, 0, pages,
						     scenario_.together ? pages : 1, &told);
				r[0] = static_cast<std::int16_t>(told);
				return 1;
			}
			if (r[0]) {
				const auto page = static_cast<unsigned>(
					std::countr_zero(static_cast<unsigned>(r[0])));
				r[2 + page] = static_cast<std::int16_t>(
					pages_[page].load(Order::relaxed) >> 1);
				r[0] &= static_cast<std::int16_t>(r[0] - 1);
				return 1;
			}
			return ++r[1] == times ? finished : 0;
		});
		collector_ = programs_.size() - 1;
		return *this;
	}

	Exploration explore()
	{
		return corbel::unit::explore(
			machine, programs_,
			{.always = [](const Snapshot &) { return std::string(); },
			 .when_quiet = [this](const Snapshot &state) { return check(state); }});
	}

	Machine machine;

private:
	void add(std::string name, std::function<int(int, Registers &)> run)
	{
		programs_.push_back({std::move(name), std::move(run), [](int) { return false; },
				     [](int) { return false; }});
	}

	Policy::Atomic<std::uint32_t> &lock_of(unsigned page)
	{
		return locks_[scenario_.together ? 0 : page];
	}
	void lock(unsigned page)
	{
		std::uint32_t free = 0;

		while (!lock_of(page).compare_exchange(free, 1, Order::acquire)) {
			free = 0;
			Policy::cpu_relax();
		}
	}

	/* A write fault: marked, then entered, with the page locked. */
	void let_through(unsigned page)
	{
		lock(page);
		dirty_.mark(page);
		(void)pages_[page].fetch_or(1, Order::seq_cst);
		lock_of(page).exchange(0, Order::seq_cst);
	}

	/* What collect() has the kernel do. */
	struct Access {
		Model &model;

		[[nodiscard]] bool without(Without what) const
		{
			return model.scenario_.without == what;
		}
		void lock(std::uint32_t page) const
		{
			if (!without(Without::lock))
				model.lock(page);
		}
		void unlock(std::uint32_t page) const
		{
			if (!without(Without::lock))
				model.lock_of(page).exchange(0, Order::seq_cst);
		}
		void protect(std::uint32_t first, std::uint32_t count) const
		{
			for (std::uint32_t i = 0; i < count && !without(Without::protection); i++)
				(void)model.pages_[first + i].fetch_and(~std::uint64_t{1},
									Order::seq_cst);
		}
		[[nodiscard]] bool in_use(std::uint32_t page) const
		{
			std::uint32_t sum = 0;

			if (without(Without::use))
				return false;
			for (std::uint32_t i = 0; i < (model.scenario_.together ? pages : 1); i++)
				sum += model.users_[page + i].load(Order::relaxed);
			return sum;
		}
	};

	std::string check(const Snapshot &state) const
	{
		const auto marked = state.cell(word_.cell());

		for (unsigned page = 0; page < pages; page++) {
			const auto holds = state.cell(pages_[page].cell()) >> 1;
			const auto copy = static_cast<std::uint64_t>(
				state.threads[collector_].registers[2 + page]);

			if (holds != copy && !(marked >> page & 1))
				return "page " + std::to_string(page) + " holds " +
				       std::to_string(holds) + ", its copy " +
				       std::to_string(copy) + ", and it is not marked";
		}
		return "";
	}

	Scenario scenario_;
	Word word_;
	Word pages_[pages]; /* bit 0: it can be written to by its entry; how often it was */
	Policy::Atomic<std::uint32_t> users_[pages], locks_[pages];
	Dirty dirty_{pages};
	std::vector<Program> programs_;
	std::size_t collector_ = 0;
};

class dirty_pages_model : public testing::TestWithParam<Scenario> {};

TEST_P(dirty_pages_model, no_write_is_lost)
{
	const Scenario &scenario = GetParam();
	const auto found = Model(scenario).write(0, 2).use(scenario.together).collect(2).explore();

	EXPECT_TRUE(found.complete || !scenario.is_right);
	EXPECT_GT(found.quiet_states, 0u);
	if (scenario.is_right)
		expect_no_violation(found);
	else
		EXPECT_NE(found.violation, "") << "what was left out is not needed";
}

INSTANTIATE_TEST_SUITE_P(
	, dirty_pages_model,
	testing::Values(Scenario{"pages alone", false, Without::nothing, true},
			Scenario{"pages together", true, Without::nothing, true},
			Scenario{"alone without locks", false, Without::lock, false},
			Scenario{"together without locks", true, Without::lock, false},
			Scenario{"alone without users", false, Without::use, false},
			Scenario{"together without users", true, Without::use, false},
			Scenario{"alone without protection", false, Without::protection, false}),
	test_name<Scenario>);

} // namespace
