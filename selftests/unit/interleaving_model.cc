/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The search, and tests of the searcher itself on code whose faults are known.
 */
#include "interleaving.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>

namespace corbel::unit {

namespace {

/* Two independent sums: a collision would hide a state, so 128 bits. */
struct Digest {
	std::uint64_t low = 0x9e3779b97f4a7c15, high = 0xc2b2ae3d27d4eb4f;

	void add(std::uint64_t word)
	{
		low = (low ^ word) * 0xff51afd7ed558ccd;
		low ^= low >> 32;
		high = (high + word) * 0xc4ceb9fe1a85ec53;
		high ^= high >> 29;
	}
	bool operator==(const Digest &) const = default;
};

struct DigestHash {
	std::size_t operator()(const Digest &digest) const { return digest.low; }
};

Digest digest(const Snapshot &state)
{
	Digest all;

	for (auto word : state.memory)
		all.add(word);
	for (const auto &thread : state.threads) {
		all.add(static_cast<std::uint64_t>(thread.pc));
		for (std::size_t i = 0; i < thread.registers.size(); i += 4) {
			std::uint64_t four;
			std::memcpy(&four, &thread.registers[i], sizeof(four));
			all.add(four);
		}
		all.add(thread.tape.size());
		for (auto word : thread.tape)
			all.add(word);
		all.add(thread.stores.size());
		for (auto [cell, value] : thread.stores) {
			all.add(cell);
			all.add(value);
		}
	}
	return all;
}

class Search {
public:
	Search(Machine &machine, const std::vector<Program> &programs, const Checks &checks)
		: machine_(machine), programs_(programs), checks_(checks)
	{}

	/* In breadth, so that a way to a violation is a shortest one. */
	Exploration run(std::uint64_t most)
	{
		Snapshot start;

		start.memory = machine_.initial();
		start.threads.resize(programs_.size());
		enter(start, {0, 0});
		while (!frontier_.empty() && found_.violation.empty()) {
			if (found_.states > most)
				return std::move(found_);
			const Visit visit = std::move(frontier_.front());
			frontier_.pop_front();
			go_on_from(visit);
		}
		found_.complete = frontier_.empty();
		return std::move(found_);
	}

private:
	/* How a state was reached: from which, and by which choice. */
	struct Origin {
		std::uint32_t from;
		std::uint32_t choice;
	};

	struct Visit {
		Snapshot state;
		std::uint32_t number;
	};

	/* Choices 2 t and 2 t + 1 of a state: thread t makes a step; flushes a store. */
	void go_on_from(const Visit &visit)
	{
		bool leads_on = false;

		for (unsigned choice = 0; choice < 2 * programs_.size(); choice++) {
			Snapshot state = visit.state;
			if (!take(state, choice))
				continue;
			leads_on = true;
			enter(std::move(state), {visit.number, choice});
			if (!found_.violation.empty())
				return;
		}
		if (!leads_on && !is_over(visit.state))
			fail("no thread can go on", visit.number);
	}

	bool take(Snapshot &state, unsigned choice)
	{
		auto &thread = state.threads[choice / 2];

		if (choice % 2 != 0) {
			if (thread.stores.empty())
				return false;
			machine_.flush(state, thread);
			return true;
		}
		return thread.pc != finished && machine_.step(state, programs_[choice / 2], thread);
	}

	void enter(Snapshot state, Origin origin)
	{
		if (!seen_.insert(digest(state)).second)
			return;
		const auto number = static_cast<std::uint32_t>(origins_.size());
		origins_.push_back(origin);
		found_.states++;
		std::string wrong = checks_.always ? checks_.always(state) : "";
		if (wrong.empty() && is_quiet(state)) {
			found_.quiet_states++;
			wrong = checks_.when_quiet ? checks_.when_quiet(state) : "";
		}
		if (!wrong.empty())
			fail(std::move(wrong), number);
		frontier_.push_back({std::move(state), number});
	}

	bool is_quiet(const Snapshot &state) const
	{
		for (std::size_t i = 0; i < programs_.size(); i++) {
			const auto &thread = state.threads[i];

			if (!state.between_operations(i) ||
			    (thread.pc != finished && !programs_[i].is_idle(thread.pc)))
				return false;
		}
		return true;
	}

	bool is_over(const Snapshot &state) const
	{
		for (const auto &thread : state.threads)
			if (thread.pc != finished || !thread.stores.empty())
				return false;
		return true;
	}

	/* The way there is gone once more, this time with words. */
	void fail(std::string violation, std::uint32_t number)
	{
		std::vector<std::uint32_t> choices;
		Snapshot state;

		for (; number != 0; number = origins_[number].from)
			choices.push_back(origins_[number].choice);
		found_.violation = std::move(violation);
		state.memory = machine_.initial();
		state.threads.resize(programs_.size());
		machine_.describing = true;
		for (auto choice = choices.rbegin(); choice != choices.rend(); ++choice) {
			take(state, *choice);
			found_.trace.push_back(machine_.last_step);
		}
		machine_.describing = false;
	}

	Machine &machine_;
	const std::vector<Program> &programs_;
	const Checks &checks_;
	std::deque<Visit> frontier_;
	std::vector<Origin> origins_;
	std::unordered_set<Digest, DigestHash> seen_;
	Exploration found_;
};

} // namespace

Exploration explore(Machine &machine, const std::vector<Program> &programs, const Checks &checks,
		    std::uint64_t most)
{
	return Search(machine, programs, checks).run(most);
}

namespace {

using rt::Order;
using Word = ModelAtomics::Atomic<std::uint64_t>;

/* Store buffering: each stores to its own and loads the other's. */
std::set<std::pair<std::int64_t, std::int64_t>> store_buffering(bool locked)
{
	Machine machine;
	Word x, y;
	std::set<std::pair<std::int64_t, std::int64_t>> outcomes;
	auto half = [locked](Word &mine, Word &other) {
		return [&mine, &other, locked](int, Registers &registers) {
			if (locked)
				mine.exchange(1, Order::seq_cst);
			else
				mine.store(1, Order::release);
			registers[0] = static_cast<std::int16_t>(other.load(Order::acquire));
			return finished;
		};
	};
	const Checks checks{
		.always =
			[&](const Snapshot &state) {
				if (state.threads[0].pc == finished &&
				    state.threads[1].pc == finished)
					outcomes.emplace(state.threads[0].registers[0],
							 state.threads[1].registers[0]);
				return std::string();
			},
		.when_quiet = {},
	};

	EXPECT_TRUE(explore(machine, {{"a", half(x, y)}, {"b", half(y, x)}}, checks).complete);
	return outcomes;
}

TEST(Interleaving, plain_stores_may_be_late_as_on_x86)
{
	using Outcomes = std::set<std::pair<std::int64_t, std::int64_t>>;

	EXPECT_EQ(store_buffering(false), (Outcomes{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
	EXPECT_EQ(store_buffering(true), (Outcomes{{0, 1}, {1, 0}, {1, 1}}));
}

/* Message passing: x86 keeps stores in order, so the data is there with the flag. */
TEST(Interleaving, stores_of_one_thread_stay_in_order)
{
	Machine machine;
	Word data, flag;
	const std::vector<Program> programs = {
		{"writer",
		 [&](int, Registers &) {
			 data.store(1, Order::relaxed);
			 flag.store(1, Order::release);
			 return finished;
		 }},
		{"reader",
		 [&](int, Registers &registers) {
			 while (flag.load(Order::acquire) == 0)
				 ModelAtomics::cpu_relax();
			 registers[0] = static_cast<std::int16_t>(data.load(Order::relaxed));
			 return finished;
		 }},
	};
	const auto found =
		explore(machine, programs,
			{.always = {}, .when_quiet = [](const Snapshot &state) -> std::string {
				 const auto &reader = state.threads[1];
				 return reader.pc == finished && reader.registers[0] != 1
						? "the data is missing"
						: "";
			 }});

	EXPECT_EQ(found.violation, "");
	EXPECT_TRUE(found.complete);
}

/* An increment in two steps loses one; a locked one does not. */
std::string count_twice(bool locked)
{
	Machine machine;
	Word count;
	auto add = [&](int, Registers &) {
		if (locked)
			count.fetch_add(1, Order::relaxed);
		else
			count.store(count.load(Order::relaxed) + 1, Order::relaxed);
		return finished;
	};

	return explore(machine, {{"a", add}, {"b", add}},
		       {.always = {},
			.when_quiet = [&](const Snapshot &state) -> std::string {
				for (const auto &thread : state.threads)
					if (thread.pc != finished)
						return "";
				return state.cell(count.cell()) == 2 ? "" : "one is lost";
			}})
		.violation;
}

TEST(Interleaving, finds_the_lost_increment)
{
	EXPECT_EQ(count_twice(true), "");
	EXPECT_EQ(count_twice(false), "one is lost");
}

TEST(Interleaving, finds_threads_that_wait_for_each_other)
{
	Machine machine;
	Word a, b;
	auto lock_both = [](Word &first, Word &second) {
		return [&](int, Registers &) {
			for (Word *word : {&first, &second})
				while (word->load(Order::acquire) != 0 ||
				       word->exchange(1, Order::acq_rel) != 0)
					ModelAtomics::cpu_relax();
			first.store(0, Order::release);
			second.store(0, Order::release);
			return finished;
		};
	};

	const auto found = explore(machine, {{"a", lock_both(a, b)}, {"b", lock_both(b, a)}}, {});
	EXPECT_EQ(found.violation, "no thread can go on");
	EXPECT_FALSE(found.trace.empty());
}

} // namespace
} // namespace corbel::unit
