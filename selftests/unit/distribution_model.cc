/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of the distributor, kmod/irq/distribution.hh, in every interleaving of
 * small scenarios, and without each of their steps in turn.
 *
 * Two vCPUs and two ids; the lock of a desk is a cell. Around the rules stand
 *
 *  - a raiser, which raises an id once or twice;
 *  - a vCPU, which becomes present (its flag, the barrier, the load hook), stays so for
 *    a while and goes away again;
 *  - one that maps an id to another vCPU and vector, or masks and unmasks it.
 *
 * In every state: a vCPU is given nothing any more of an id once mapping it to another
 * has returned. Whenever nothing is under way: nothing waits for a vCPU that is present,
 * each id's counts balance, records and status say what the ids say, and what was
 * delivered is what vCPUs were given.
 */
#include "exploration_test.hh"
#include "interleaving.hh"
#include "irq/distribution.hh"

#include <gtest/gtest.h>

#include <map>

namespace {

using namespace corbel::unit;
using corbel::irq::IdConfig;
using corbel::irq::Presence;
using corbel::irq::Raised;
using corbel::rt::Order;

constexpr unsigned vcpus = 2, ids = 2;

struct Policy : ModelAtomics {};
template <typename T>
using Shared = Policy::Atomic<T>;

/* What a vCPU was given: of each vector, how often. Vectors are 16 + 4 vcpu + n. */
struct Platform {
	using Atomics = Policy;
	static constexpr unsigned priorities = 2;

	struct Lock {
		Shared<std::uint32_t> taken;

		int lock()
		{
			std::uint32_t free = 0;

			while (!taken.compare_exchange(free, 1, Order::acquire)) {
				free = 0;
				Policy::cpu_relax();
			}
			return 0;
		}
		void unlock(int) { taken.store(0, Order::release); }
		void lock_inner() { (void)lock(); }
		void unlock_inner() { unlock(0); }
	};

	struct Seat {
		Shared<std::uint32_t> present;
		Shared<std::uint64_t> given;
		Shared<std::uint32_t> rung;
	};

	static Presence presence(const Seat &seat)
	{
		return seat.present.load(Order::relaxed) ? Presence::present : Presence::absent;
	}
	/* A byte for each vector. */
	static bool deliver(Seat &seat, std::uint8_t vector)
	{
		const auto old = seat.given.load(Order::relaxed);

		seat.given.store(old + (std::uint64_t{1} << vector % 8 * 8), Order::relaxed);
		return true;
	}
	static void ring(Seat &seat) { seat.rung.store(1, Order::relaxed); }
};

using Rules = corbel::irq::Distribution<Platform>;

constexpr std::uint8_t vector_of(unsigned vcpu, unsigned id)
{
	return static_cast<std::uint8_t>(16 + 2 * vcpu + id);
}

IdConfig mapped(unsigned vcpu, unsigned id, bool masked = false)
{
	return IdConfig::mapped(vcpu, vector_of(vcpu, id), static_cast<std::uint8_t>(id), masked);
}

class DistributionModel {
public:
	explicit DistributionModel(std::optional<Site> mutated = {})
	{
		for (unsigned i = 0; i <= vcpus; i++) {
			auto &desk = desks_[i];
			const auto name = i ? "vCPU " + std::to_string(i - 1) : "nobody";

			desk.record = i ? &records_[i - 1] : nullptr;
			desk.status = &status_;
			desk.status_mask = i ? std::uint64_t{1} << (i - 1) : 0;
			name_cell(desk.lock.taken, name + "'s lock");
			name_cell(desk.ready[0], name + "'s ready");
			for (unsigned p = 0; p < Platform::priorities; p++)
				name_cell(desk.ends[p], name + "'s queue " + std::to_string(p));
			name_cell(desk.queued, name + "'s queued");
			name_cell(desk.seat.present, name + "'s presence");
			name_cell(desk.seat.given, name + "'s given");
			name_cell(desk.seat.rung, name + "'s rung");
		}
		for (unsigned i = 0; i < vcpus; i++)
			name_cell(records_[i], "record " + std::to_string(i));
		name_cell(status_, "status");
		for (unsigned i = 0; i < ids; i++) {
			const auto name = "id " + std::to_string(i);

			name_cell(ids_[i].config, name + " config");
			name_cell(ids_[i].links, name + " links");
			name_cell(ids_[i].raised, name + " raised");
			name_cell(ids_[i].restored, name + " restored");
			name_cell(ids_[i].delivered, name + " delivered");
			name_cell(ids_[i].coalesced, name + " coalesced");
			name_cell(ids_[i].refused, name + " refused");
			name_cell(ids_[i].withdrawn, name + " withdrawn");
			machine.set_initial(ids_[i].config.cell(), mapped(0, i).word());
		}
		rules_.init(ids_, desks_);
		machine.mutated = std::move(mutated);
	}

	/* Both ids wait in one queue. */
	DistributionModel &of_one_priority()
	{
		for (unsigned i = 0; i < ids; i++)
			machine.set_initial(ids_[i].config.cell(),
					    IdConfig::mapped(0, vector_of(0, i), 0, false).word());
		return *this;
	}

	DistributionModel &raise(unsigned id, int times = 1)
	{
		programs_.push_back({"raiser of " + std::to_string(id),
				     [=, this](int pc, Registers &r) {
					     (void)rules_.raise(id);
					     return ++r[0] == times ? finished : pc;
				     },
				     [](int) { return false; }, [](int) { return true; }});
		return *this;
	}

	/* Comes @times times, and goes away in between. */
	DistributionModel &run_vcpu(unsigned vcpu, int times = 1)
	{
		programs_.push_back(
			{"vCPU " + std::to_string(vcpu),
			 [=, this](int pc, Registers &r) { return vcpu_step(pc, r, vcpu, times); },
			 [](int) { return false; },
			 [](int pc) { return pc == come || pc == stay; }});
		return *this;
	}

	/* @id to each of @to, one after the other. */
	DistributionModel &map(unsigned id, std::vector<IdConfig> to)
	{
		programs_.push_back({"mapper of " + std::to_string(id),
				     [=, this](int pc, Registers &) {
					     rules_.map(id, to[static_cast<unsigned>(pc)]);
					     return pc + 1 == static_cast<int>(to.size()) ? finished
											  : pc + 1;
				     },
				     [](int) { return false; }, [](int) { return true; }});
		return *this;
	}

	/*
	 * @id from vCPU 0 to vCPU 1, for good; notes then how often vCPU 0 had been given it,
	 * which must be all.
	 */
	DistributionModel &move_away(unsigned id)
	{
		moved_ = id;
		programs_.push_back(
			{"mover of " + std::to_string(id),
			 [=, this](int pc, Registers &r) {
				 if (pc == 0) {
					 rules_.map(id, mapped(1, id));
					 return 1;
				 }
				 r[0] = static_cast<std::int16_t>(given_to(
					 desks_[1].seat.given.load(Order::acquire), 0, id));
				 return finished;
			 },
			 [](int) { return false; }, [](int) { return true; }});
		mover_ = programs_.size() - 1;
		return *this;
	}

	DistributionModel &mask_and_unmask(unsigned id)
	{
		programs_.push_back({"masker of " + std::to_string(id),
				     [=, this](int pc, Registers &) {
					     (void)rules_.set_masked(id, pc == 0);
					     return pc == 0 ? 1 : finished;
				     },
				     [](int) { return false; }, [](int) { return true; }});
		return *this;
	}

	/* By one thread. */
	DistributionModel &raise_both_and_mask_one()
	{
		programs_.push_back({"raiser and masker",
				     [this](int pc, Registers &) {
					     if (pc < 2)
						     (void)rules_.raise(static_cast<unsigned>(pc));
					     else
						     (void)rules_.set_masked(1, true);
					     return pc == 2 ? finished : pc + 1;
				     },
				     [](int) { return false; }, [](int) { return true; }});
		return *this;
	}

	Exploration explore(std::uint64_t most = 6'000'000)
	{
		return corbel::unit::explore(
			machine, programs_,
			{.always = [this](const Snapshot &state) { return check_always(state); },
			 .when_quiet =
				 [this](const Snapshot &state) { return check_quiet(state); }},
			most);
	}

	Machine machine;
	bool without_barrier = false; /* of the load hook */

private:
	enum VcpuPc { come = 0, look, stay, leave };

	int vcpu_step(int pc, Registers &r, unsigned vcpu, int times)
	{
		auto &present = desks_[vcpu + 1].seat.present;

		switch (pc) {
		case come:
			/* As KVM does: a plain store; the barrier is the load hook's. */
			present.store(1, Order::relaxed);
			return look;
		case look:
			if (!without_barrier)
				barrier_[vcpu].fetch_or(0, Order::seq_cst);
			rules_.becoming_present(vcpu);
			return ++r[0] == times ? finished : stay;
		case stay:
			return leave;
		default:
			present.store(0, Order::relaxed);
			return come;
		}
	}

	template <typename T>
	void name_cell(const Shared<T> &cell, const std::string &name)
	{
		machine.name_cell(cell.cell(), name);
	}

	template <typename T>
	static std::uint64_t value(const Snapshot &state, const Shared<T> &cell)
	{
		return state.cell(cell.cell());
	}

	static std::uint64_t given_to(std::uint64_t given, unsigned vcpu, unsigned id)
	{
		return given >> vector_of(vcpu, id) % 8 * 8 & 0xff;
	}

	std::string check_always(const Snapshot &state) const
	{
		if (!mover_ || state.threads[*mover_].pc != finished)
			return "";
		const auto now = given_to(value(state, desks_[1].seat.given), 0, moved_);

		if (now != static_cast<std::uint64_t>(state.threads[*mover_].registers[0]))
			return "vCPU 0 was given an id that had been moved away";
		return "";
	}

	std::string check_quiet(const Snapshot &state) const
	{
		for (unsigned id = 0; id < ids; id++) {
			const auto &it = ids_[id];
			const IdConfig config(value(state, it.config));

			if (value(state, it.raised) !=
			    value(state, it.delivered) + value(state, it.coalesced) +
				    value(state, it.refused) + value(state, it.withdrawn) +
				    config.is_pending())
				return "the counts of id " + std::to_string(id) + " do not balance";
			if (value(state, it.delivered) != given(state, id))
				return "id " + std::to_string(id) +
				       " was not given as often as it was delivered";
		}
		for (unsigned vcpu = 0; vcpu < vcpus; vcpu++) {
			if (auto wrong = check_desk(state, vcpu); !wrong.empty())
				return wrong + " vCPU " + std::to_string(vcpu);
		}
		return "";
	}

	std::string check_desk(const Snapshot &state, unsigned vcpu) const
	{
		const auto &desk = desks_[vcpu + 1];
		std::uint64_t record = 0, open = 0;

		for (unsigned id = 0; id < ids; id++) {
			const IdConfig config(value(state, ids_[id].config));

			if (!config.is_pending() || config.desk() != vcpu + 1)
				continue;
			record |= std::uint64_t{1} << id;
			open += !config.is_masked();
		}
		if (value(state, *desk.record) != record)
			return "the record is wrong of";
		if (value(state, desk.queued) != open)
			return "not all is queued that is open of";
		if ((value(state, status_) >> vcpu & 1) != (open != 0))
			return "the status is wrong of";
		if (open && value(state, desk.seat.present))
			return "something waits for the present";
		return "";
	}

	/* How often vCPUs were given the vectors of @id. */
	std::uint64_t given(const Snapshot &state, unsigned id) const
	{
		std::uint64_t sum = 0;

		for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
			sum += given_to(value(state, desks_[vcpu + 1].seat.given), vcpu, id);
		return sum;
	}

	Rules::Id ids_[ids];
	Rules::Desk desks_[vcpus + 1];
	Shared<std::uint64_t> records_[vcpus];
	Shared<std::uint64_t> status_;
	Shared<std::uint64_t> barrier_[vcpus];
	Rules rules_;
	std::vector<Program> programs_;
	std::optional<std::size_t> mover_;
	unsigned moved_ = 0;
};

struct Scenario {
	const char *name;
	void (*set_up)(DistributionModel &);
};

const Scenario scenarios[] = {
	{"a raise meets a vCPU that comes", [](DistributionModel &m) { m.raise(0).run_vcpu(0); }},
	{"raises meet a vCPU that comes and goes",
	 [](DistributionModel &m) { m.raise(0, 2).run_vcpu(0, 2); }},
	{"two ids meet a vCPU that comes",
	 [](DistributionModel &m) { m.raise(0).raise(1).run_vcpu(0); }},
	{"a raise meets mapping",
	 [](DistributionModel &m) { m.raise(0, 2).map(0, {mapped(1, 0)}); }},
	{"mapping meets vCPUs that come",
	 [](DistributionModel &m) { m.raise(0).map(0, {mapped(1, 0)}).run_vcpu(0).run_vcpu(1); }},
	{"an id is moved away while it is raised",
	 [](DistributionModel &m) { m.raise(0, 2).move_away(0).run_vcpu(0).run_vcpu(1); }},
	{"both ids wait and are masked",
	 [](DistributionModel &m) {
		 m.raise(0).raise(1).mask_and_unmask(0).mask_and_unmask(1).run_vcpu(0);
	 }},
	{"both wait in one queue and are masked",
	 [](DistributionModel &m) {
		 m.of_one_priority()
			 .raise(0)
			 .raise(1)
			 .mask_and_unmask(0)
			 .mask_and_unmask(1)
			 .run_vcpu(0);
	 }},
	{"one of a queue is masked before the vCPU comes",
	 [](DistributionModel &m) { m.of_one_priority().raise_both_and_mask_one().run_vcpu(0); }},
	{"two ids meet a vCPU that comes and goes",
	 [](DistributionModel &m) { m.raise(0).raise(1).run_vcpu(0, 2); }},
	{"mapping there and back meets a raise",
	 [](DistributionModel &m) {
		 m.raise(0, 2).map(0, {mapped(1, 0), mapped(0, 0)}).run_vcpu(0);
	 }},
	{"two map the same",
	 [](DistributionModel &m) {
		 m.raise(0).map(0, {mapped(1, 0)}).map(0, {IdConfig(), mapped(0, 0)});
	 }},
	{"ids cross",
	 [](DistributionModel &m) {
		 m.raise(0).raise(1).map(0, {mapped(1, 0)}).map(1, {mapped(1, 1), mapped(0, 1)});
	 }},
	{"masking meets a raise and a vCPU that comes",
	 [](DistributionModel &m) { m.raise(0, 2).mask_and_unmask(0).run_vcpu(0); }},
};

class DistributionScenario : public testing::TestWithParam<Scenario> {};

TEST_P(DistributionScenario, holds_in_every_interleaving)
{
	DistributionModel model;

	GetParam().set_up(model);
	const auto found = model.explore();
	expect_no_violation(found);
	EXPECT_TRUE(found.complete);
	EXPECT_GT(found.quiet_states, 1U);
}

INSTANTIATE_TEST_SUITE_P(Distribution, DistributionScenario, testing::ValuesIn(scenarios),
			 test_name<Scenario>);

/* All places of the rules that write, over all scenarios. */
std::map<Site, std::string> writing_sites()
{
	std::map<Site, std::string> all;

	for (const auto &scenario : scenarios) {
		DistributionModel model;
		scenario.set_up(model);
		model.machine.collecting = true;
		(void)model.explore(20000);
		for (const auto &site : model.machine.written_sites)
			if (std::string_view(site.file).ends_with("distribution.hh"))
				all.emplace(site, model.machine.name_of(site.cell));
	}
	return all;
}

/*
 * By a violation; or by a vCPU that looks into its queue for ever, so that what used to
 * be few states are not.
 */
bool is_noticed(const Site &site)
{
	constexpr std::uint64_t few = 5000;

	for (const auto &scenario : scenarios) {
		std::uint64_t whole;
		{
			DistributionModel model;
			scenario.set_up(model);
			whole = model.explore(few).states;
		}
		DistributionModel model(site);
		scenario.set_up(model);
		const auto found = model.explore(whole < few ? 2 * few : 20000);
		if (!found.violation.empty() || (whole < few && !found.complete))
			return true;
	}
	return false;
}

TEST(DistributionModel, the_load_hook_needs_its_barrier)
{
	DistributionModel model;

	model.without_barrier = true;
	const auto found = model.raise(0).run_vcpu(0).explore();
	EXPECT_TRUE(found.violation.starts_with("something waits for the present"))
		<< found.violation;
}

TEST(DistributionModel, no_step_can_be_left_out)
{
	/* By place: the same line writes the cells of several desks and ids. */
	std::map<std::pair<unsigned, unsigned>, std::pair<bool, std::string>> places;

	for (const auto &[site, name] : writing_sites()) {
		auto &place = places[{site.line, site.column}];

		place.first = place.first || is_noticed(site);
		place.second = name;
	}
	EXPECT_GE(places.size(), 15U);
	for (const auto &[place, found] : places)
		EXPECT_TRUE(found.first)
			<< "distribution.hh:" << place.first << ":" << place.second
			<< ": nothing fails without this write, to " << found.second;
	RecordProperty("places", static_cast<int>(places.size()));
}

} // namespace
