// SPDX-License-Identifier: GPL-2.0-or-later
#include "migrate_world.hh"

#include <algorithm>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace migrate;

constexpr Epoch first_epoch = 5;

Messages bit(Order order)
{
	return static_cast<Messages>(1U << static_cast<unsigned>(order));
}

DestinationSays says_of(unsigned number)
{
	const auto before = static_cast<unsigned>(DestinationPhase::ended);

	if (number < before)
		return {static_cast<DestinationPhase>(number), End::none};
	return {DestinationPhase::ended, static_cast<End>(number - before)};
}

std::string words_of(const SourceStep &step)
{
	auto text = fmt::format("source: {}", name_of(step.act));

	if (step.act == SourceAct::tell)
		text += fmt::format(" {}", name_of(step.order));
	if (step.act == SourceAct::write)
		text += fmt::format(" {}{}, back {}, outcome {}", name_of(step.record.phase),
				    step.record.undoing ? ", undoing" : "",
				    name_of(step.record.back), name_of(step.record.outcome));
	return text;
}

std::string words_of(const DestinationStep &step)
{
	auto text = fmt::format("destination: {}", name_of(step.act));

	if (step.act == DestinationAct::write)
		text += fmt::format(" {}, end {}", name_of(step.record.phase),
				    name_of(step.record.end));
	return text;
}

class Step {
public:
	Step(const World &world, const Rules &rules, bool words)
		: world_(world), rules_(rules), words_(words)
	{}

	std::vector<Next> all()
	{
		source();
		destination();
		deliver();
		time_passes();
		heal();
		if (world_.failures < rules_.failures)
			fail();
		return std::move(found_);
	}

private:
	/* @what says it, if words are asked for. */
	template <typename What, typename How>
	void add(What what, How how)
	{
		auto next = world_;

		how(next);
		if (next == world_)
			return;
		if constexpr (std::is_invocable_v<What>)
			found_.push_back({next, false, words_ ? what() : std::string()});
		else
			found_.push_back({next, false, words_ ? what : std::string()});
	}

	[[nodiscard]] SourceRecord source_record() const
	{
		return {.phase = world_.source_phase,
			.undoing = world_.undoing != 0,
			.back = world_.back,
			.outcome = world_.outcome,
			.terms = rules_.terms,
			.epoch = first_epoch};
	}
	[[nodiscard]] bool linked() const
	{
		return world_.link == 0 && world_.source_up && world_.destination_up;
	}

	/* ---- the source ------------------------------------------------------------ */

	/* The cancelling is part of the compare-and-swap, as the job engine has it. */
	static void write(World &next, SourceRecord record)
	{
		if (next.cancelled && next.source_phase < commit_point && !next.undoing) {
			record.phase = next.source_phase;
			record.undoing = true;
		}
		if (record.phase == commit_point && next.source_phase < commit_point)
			next.lease_over = 0;
		next.source_phase = record.phase;
		next.undoing = record.undoing;
		next.back = record.back;
		next.outcome = record.outcome;
	}

	void send(World &next, Order order, bool fresh) const
	{
		const bool lease = order == Order::run && rules_.terms.rollback && fresh;

		if (next.link != 0) {
			next.told = 1;
			return;
		}
		next.orders |= bit(order);
		if (lease) {
			next.orders |= lease_bit;
			next.granted = 1;
			next.lease_over = 0;
		}
	}

	void source()
	{
		if (!world_.source_up)
			return;
		const SourceSeen seen{.guest = world_.source_guest,
				      .memory = world_.memory != 0,
				      .sealed = world_.sealed != 0,
				      .cancelled = world_.cancelled != 0,
				      .trouble = world_.trouble != 0,
				      .warm = world_.warm != 0,
				      .all_there = world_.all_there != 0,
				      .peer = world_.peer ? std::optional(says_of(world_.peer - 1U))
							  : std::nullopt,
				      .lease_over = world_.lease_over != 0,
				      .told = world_.told != 0,
				      .silent = world_.source_silent != 0};
		const auto step = migrate::next(source_record(), seen, rules_.mutation);
		add([&] { return words_of(step); }, [&](World &next) { source_does(next, step); });
	}

	void source_does(World &next, const SourceStep &step)
	{
		switch (step.act) {
		case SourceAct::wait:
			break;
		case SourceAct::write:
			write(next, step.record);
			break;
		case SourceAct::tell:
			if (!next.waiting) {
				send(next, step.order, next.peer_fresh != 0);
				next.waiting = next.link == 0;
			}
			break;
		case SourceAct::warm:
			next.warm = 1;
			break;
		case SourceAct::stop:
			next.source_guest = GuestThere::stopped;
			break;
		case SourceAct::seal:
			next.sealed = 1;
			break;
		case SourceAct::unseal:
			next.sealed = 0;
			break;
		case SourceAct::go:
			next.source_guest = GuestThere::running;
			break;
		case SourceAct::discard:
			next.source_guest = GuestThere::gone;
			next.memory = next.sealed = 0;
			break;
		}
	}

	/* ---- the destination ------------------------------------------------------- */

	[[nodiscard]] Epoch epoch_of_order() const
	{
		return world_.order == Order::fence ? first_epoch + 2 : first_epoch + 1;
	}

	void destination()
	{
		if (!world_.destination_up)
			return;
		const DestinationRecord record{.phase = world_.destination_phase,
					       .end = world_.end,
					       .terms = rules_.terms,
					       .epoch = first_epoch + 1};
		const DestinationSeen seen{.guest = world_.guest,
					   .order = world_.order,
					   .epoch = epoch_of_order(),
					   .terms = rules_.terms,
					   .lease = world_.lease != 0,
					   .all_here = world_.all_here != 0,
					   .source_gone = world_.source_gone != 0,
					   .silent = world_.destination_silent != 0};
		const auto step = migrate::next(record, seen, rules_.mutation);
		add([&] { return words_of(step); },
		    [&](World &next) { destination_does(next, record, seen, step); });
		/* In order to hear what became of it, as often as it likes. */
		if (linked() && world_.orders == 0 && world_.order == Order::none &&
		    !world_.waiting && world_.destination_phase != DestinationPhase::absent &&
		    world_.destination_phase != DestinationPhase::ended)
			add("destination: ask", [&](World &next) {
				const auto order = order_of(source_record(), world_.memory != 0);

				if (order == Order::none || (order == Order::fence &&
							     rules_.mutation == Mutation::no_fence))
					return;
				next.orders |= bit(order);
				if (order == Order::run && rules_.terms.rollback) {
					next.orders |= lease_bit;
					next.granted = 1;
					next.lease_over = 0;
				}
			});
	}

	/* What a mutation says although it has not been written. */
	[[nodiscard]] std::optional<DestinationSays> answer(const DestinationRecord &record,
							    const DestinationSeen &seen) const
	{
		if (rules_.mutation == Mutation::prepared_without_record &&
		    record.phase == DestinationPhase::reserved && seen.order == Order::prepare)
			return DestinationSays{DestinationPhase::prepared, End::none};
		if (rules_.mutation == Mutation::refuse_without_record &&
		    record.phase == DestinationPhase::prepared &&
		    (seen.guest == GuestHere::none || seen.silent))
			return DestinationSays{DestinationPhase::ended, End::refused};
		return std::nullopt;
	}

	void destination_does(World &next, const DestinationRecord &record,
			      const DestinationSeen &seen, const DestinationStep &step)
	{
		switch (step.act) {
		case DestinationAct::wait:
			break;
		case DestinationAct::write:
			next.destination_phase = step.record.phase;
			next.end = step.record.end;
			if (next.destination_phase == DestinationPhase::complete ||
			    next.end == End::completed)
				next.was_whole = 1;
			break;
		case DestinationAct::make:
			next.guest = GuestHere::waiting;
			next.all_here = 0;
			break;
		case DestinationAct::load:
			next.guest = GuestHere::loaded;
			break;
		case DestinationAct::go:
			next.guest = GuestHere::running;
			next.ever_ran = 1;
			break;
		case DestinationAct::freeze:
			next.guest = GuestHere::frozen;
			break;
		case DestinationAct::destroy:
			next.guest = GuestHere::none;
			break;
		case DestinationAct::answer: {
			const auto says =
				answer(record, seen)
					.value_or(DestinationSays{record.phase, record.end});
			next.order = Order::none;
			if (next.link != 0)
				break;
			next.fresh_answers |= 1U << number_of(says.phase, says.end);
			if (next.all_here)
				next.fresh_answers |= whole_bit;
			break;
		}
		}
	}

	/* ---- between them ---------------------------------------------------------- */

	void deliver()
	{
		for (auto order = Order::reserve; order <= Order::gone;
		     order = static_cast<Order>(static_cast<unsigned>(order) + 1)) {
			if (!world_.destination_up || world_.order != Order::none ||
			    world_.link != 0 || !(world_.orders & bit(order)))
				continue;
			add([&] { return fmt::format("arrives: {}", name_of(order)); },
			    [&](World &next) {
				    next.orders &= static_cast<Messages>(~bit(order));
				    next.order = order;
				    next.destination_silent = 0;
				    if (order == Order::run && (next.orders & lease_bit)) {
					    next.orders &= static_cast<Messages>(~lease_bit);
					    next.lease = 1;
				    }
				    if (order == Order::gone)
					    next.source_gone = 1;
			    });
		}
		for (unsigned number = 0; number < 15; number++) {
			const bool fresh = world_.fresh_answers >> number & 1;

			if (!world_.source_up || world_.link != 0 ||
			    !((world_.answers | world_.fresh_answers) >> number & 1))
				continue;
			add(
				[&] {
					return fmt::format("arrives: {} {}",
							   name_of(says_of(number).phase),
							   name_of(says_of(number).end));
				},
				[&](World &next) {
					const auto rest =
						static_cast<Messages>(~(1U << number | whole_bit));

					next.all_there |= ((next.answers | next.fresh_answers) &
							   whole_bit) != 0;
					next.answers &= rest;
					next.fresh_answers &= rest;
					next.peer = static_cast<std::uint8_t>(number + 1);
					next.peer_fresh = fresh;
					next.waiting = 0;
					next.told = 1;
					next.source_silent = 0;
				});
		}
	}

	/* All that was sent until now is too old for a lease. */
	void time_passes()
	{
		const bool reachable = linked();
		const bool for_good =
			world_.link == 2 || world_.source_lost || world_.destination_lost;
		const bool may_tire = !reachable && (for_good || !rules_.patient) &&
				      rules_.mutation != Mutation::wait_for_ever;

		if (rules_.terms.rollback) {
			add("a lease has passed", [&](World &next) {
				next.lease = next.granted = next.peer_fresh = 0;
				next.answers |= next.fresh_answers;
				next.fresh_answers = 0;
				next.orders &= static_cast<Messages>(~lease_bit);
				if (next.guest == GuestHere::running &&
				    next.end != End::completed &&
				    rules_.mutation != Mutation::run_without_lease &&
				    (next.destination_up || !rules_.mortal_watcher))
					next.guest = GuestHere::frozen;
			});
			if (world_.source_up && !world_.granted &&
			    world_.source_phase >= commit_point && !world_.undoing &&
			    (!reachable || !rules_.patient))
				add("all leases have passed, margin included",
				    [](World &next) { next.lease_over = 1; });
		}
		if (world_.source_up && may_tire)
			add("source: nobody is heard of for too long",
			    [](World &next) { next.source_silent = 1; });
		if (world_.destination_up && may_tire)
			add("destination: nobody is heard of for too long",
			    [](World &next) { next.destination_silent = 1; });
		if (world_.source_up && !reachable && world_.source_phase < commit_point)
			add("source: a step fails", [](World &next) { next.trouble = 1; });
		const bool sends_before = rules_.terms.spill &&
					  world_.source_phase == SourcePhase::hand_over &&
					  world_.destination_phase == DestinationPhase::prepared;
		const bool sends = (world_.source_phase == SourcePhase::run ||
				    world_.source_phase == SourcePhase::drain) &&
				   world_.destination_phase == DestinationPhase::running;
		if (reachable && world_.memory && world_.sealed && world_.back == Outcome::none &&
		    (sends || sends_before) && world_.guest != GuestHere::none)
			add("all pages have come", [](World &next) { next.all_here = 1; });
		/* Somebody else at QEMU's monitor. */
		if (world_.source_guest == GuestThere::stopped && !world_.sealed)
			add("somebody lets the source's guest run",
			    [](World &next) { next.source_guest = GuestThere::running; });
	}

	void heal()
	{
		/* Its answer will not come: the connection has ended. */
		if (world_.waiting && !world_.orders && !world_.answers && !world_.fresh_answers &&
		    world_.order == Order::none)
			add("source: the call has failed", [](World &next) {
				next.waiting = 0;
				next.told = 1;
			});
		if (world_.link == 1)
			add("the link is back", [](World &next) { next.link = 0; });
		if (!world_.source_up && !world_.source_lost)
			add("source: corbeld is back", [](World &next) { next.source_up = 1; });
		if (!world_.destination_up && !world_.destination_lost)
			add("destination: corbeld is back",
			    [](World &next) { next.destination_up = 1; });
	}

	/* ---- failures -------------------------------------------------------------- */

	static void forget(World &next, bool source)
	{
		if (source) {
			next.source_up = 0;
			next.peer = next.peer_fresh = next.all_there = 0;
			next.waiting = next.told = 0;
			next.source_silent = next.trouble = next.lease_over = 0;
			if (next.source_guest == GuestThere::gone)
				next.memory = next.sealed = 0;
		} else {
			next.destination_up = 0;
			next.order = Order::none;
			next.source_gone = next.destination_silent = 0;
		}
	}
	static void lose_messages(World &next)
	{
		next.orders = next.answers = next.fresh_answers = 0;
		next.waiting = 0;
	}
	static void lose_source(World &next)
	{
		next.source_guest = GuestThere::gone;
		forget(next, true);
		next.answers = next.fresh_answers = 0;
	}
	static void lose_destination(World &next)
	{
		forget(next, false);
		next.guest = GuestHere::none;
		next.lease = next.all_here = 0;
		next.orders = 0;
		next.waiting = 0;
	}

	template <typename How>
	void fails(Failure failure, const char *what, How how)
	{
		auto next = world_;

		if (!rules_.only.empty() && !std::ranges::count(rules_.only, failure))
			return;
		how(next);
		if (next == world_)
			return;
		next.failures++;
		next.failed |= static_cast<std::uint16_t>(1U << static_cast<unsigned>(failure));
		found_.push_back(
			{next, true, words_ ? fmt::format("FAILS: {}", what) : std::string()});
	}

	void fail()
	{
		if (world_.source_up)
			fails(Failure::source_daemon, "the source's corbeld",
			      [](World &next) { forget(next, true); });
		if (world_.destination_up)
			fails(Failure::destination_daemon, "the destination's corbeld",
			      [](World &next) { forget(next, false); });
		fails(Failure::source_qemu, "the source's QEMU", [](World &next) {
			next.source_guest = GuestThere::gone;
			if (!next.source_up)
				next.memory = next.sealed = 0;
		});
		fails(Failure::destination_qemu, "the destination's QEMU", [](World &next) {
			next.guest = GuestHere::none;
			next.all_here = 0;
		});
		if (world_.link == 0)
			fails(Failure::link, "the link", [](World &next) {
				next.link = 1;
				lose_messages(next);
			});
		if (world_.waiting && world_.source_up)
			fails(Failure::slow, "an answer in time",
			      [](World &next) { next.waiting = 0; });
		if (world_.source_phase < commit_point && !world_.undoing)
			fails(Failure::cancel, "nothing: it is cancelled",
			      [](World &next) { next.cancelled = 1; });
		if (!world_.source_lost)
			fails(Failure::source_reboot, "the source, until it boots", lose_source);
		if (!world_.destination_lost)
			fails(Failure::destination_reboot, "the destination, until it boots",
			      lose_destination);
		if (world_.link != 2)
			fails(Failure::link_for_good, "the link, for good", [](World &next) {
				next.link = 2;
				lose_messages(next);
			});
		if (!world_.source_lost)
			fails(Failure::source_for_good, "the source, for good", [](World &next) {
				lose_source(next);
				next.source_lost = 1;
			});
		if (!world_.destination_lost)
			fails(Failure::destination_for_good, "the destination, for good",
			      [](World &next) {
				      lose_destination(next);
				      next.destination_lost = 1;
			      });
	}

	const World &world_;
	const Rules &rules_;
	bool words_;
	std::vector<Next> found_;
};

} /* namespace */

unsigned number_of(DestinationPhase phase, End end)
{
	const auto before = static_cast<unsigned>(DestinationPhase::ended);

	return phase == DestinationPhase::ended ? before + static_cast<unsigned>(end)
						: static_cast<unsigned>(phase);
}

std::vector<Next> successors(const World &world, const Rules &rules, bool words)
{
	return Step(world, rules, words).all();
}

unsigned owners_that_run(const World &world)
{
	return static_cast<unsigned>(world.source_guest == GuestThere::running) +
	       static_cast<unsigned>(world.guest == GuestHere::running);
}

std::string violation_in(const World &world)
{
	const bool handed_over = world.source_phase >= commit_point && !world.undoing;
	const bool named = world.outcome != Outcome::none && world.outcome != Outcome::moved &&
			   world.outcome != Outcome::moved_from_spill;

	if (owners_that_run(world) > 1)
		return "two owners run";
	if (handed_over && world.back == Outcome::none && world.source_guest == GuestThere::running)
		return "the source runs after the commit point";
	if (!handed_over && world.ever_ran)
		return "the destination ran before the commit point";
	/* Freed by the source itself, not lost. */
	if (handed_over && world.back == Outcome::none && !named && !world.memory &&
	    world.source_phase >= SourcePhase::finish && !world.all_here &&
	    world.end != End::completed && world.guest != GuestHere::none)
		return "a page was freed before it had come";
	if (world.end == End::refused && world.ever_ran)
		return "the destination refused what it had let run";
	if (world.destination_phase == DestinationPhase::absent && world.guest != GuestHere::none)
		return "the destination has what no record tells of";
	return {};
}

bool has_ended(const World &world)
{
	const bool source = world.source_lost || world.source_phase == SourcePhase::ended;
	const bool destination =
		world.destination_lost || world.destination_phase == DestinationPhase::absent ||
		(world.destination_phase == DestinationPhase::ended &&
		 (world.end == End::completed
			  ? world.guest == GuestHere::running || world.guest == GuestHere::none
			  : world.guest == GuestHere::none));

	return source && destination;
}

std::string wrong_end_of(const World &world, const Rules &rules)
{
	const auto failed = [&](std::initializer_list<Failure> failures) {
		return std::ranges::any_of(failures, [&](Failure failure) {
			return world.failed >> static_cast<unsigned>(failure) & 1;
		});
	};
	const bool runs = owners_that_run(world) == 1;
	const bool source_failed =
		failed({Failure::source_qemu, Failure::source_reboot, Failure::source_for_good});
	const bool destination_failed =
		failed({Failure::destination_qemu, Failure::destination_reboot,
			Failure::destination_for_good});

	if (world.back != Outcome::none && world.destination_phase == DestinationPhase::ended &&
	    owns({.phase = world.destination_phase,
		  .end = world.end,
		  .terms = rules.terms,
		  .epoch = 0}))
		return "both may start it";
	if (world.source_guest == GuestThere::stopped && !world.source_lost)
		return "the source's guest is neither running nor freed";
	if (!world.source_lost && world.outcome == Outcome::none)
		return "the source has no name for how it ended";
	/* Whoever loses it once it is whole there has lost a VM as any. */
	if (rules.patient && !runs && !world.was_whole) {
		if (!source_failed && !destination_failed && !failed({Failure::link_for_good}))
			return "the VM is lost by what heals by itself";
		if (rules.terms.rollback && !source_failed && world.failures < 2 &&
		    !failed({Failure::link_for_good}))
			return "the VM is lost with its destination, with rollback";
		if (rules.terms.spill && !destination_failed && world.ever_ran &&
		    !failed({Failure::link_for_good}))
			return "the VM is lost with its source, with spill";
		/* Once it has written that it runs nobody can know whether it did. */
		if (!source_failed && !world.ever_ran && world.end != End::died &&
		    !failed({Failure::link_for_good}) && !world.destination_lost)
			return "the VM is lost although it never left";
	}
	return {};
}

std::string text_of(const World &world)
{
	return fmt::format(
		"source {}{} {} {} guest {} memory {} sealed {} {}{}; destination {} {} guest {} "
		"lease {} all {} {}{}; link {} orders {:x} answers {:x}/{:x}",
		name_of(world.source_phase), world.undoing ? " undoing" : "", name_of(world.back),
		name_of(world.outcome), static_cast<int>(world.source_guest), world.memory,
		world.sealed, world.source_up ? "up" : "down", world.source_silent ? " silent" : "",
		name_of(world.destination_phase), name_of(world.end), static_cast<int>(world.guest),
		world.lease, world.all_here, world.destination_up ? "up" : "down",
		world.destination_silent ? " silent" : "", world.link, world.orders, world.answers,
		world.fresh_answers);
}

} /* namespace corbel::test */
