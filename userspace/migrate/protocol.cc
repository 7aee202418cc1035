// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocol.hh"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace corbel::migrate {

namespace {

template <typename Enum>
struct Word {
	Enum value;
	std::string_view name;
};

template <typename Enum, std::size_t N>
std::string_view find_name(const std::array<Word<Enum>, N> &words, Enum value)
{
	const auto found = std::ranges::find(words, value, &Word<Enum>::value);

	return found == words.end() ? "unknown" : found->name;
}

template <typename Enum, std::size_t N>
std::optional<Enum> find_value(const std::array<Word<Enum>, N> &words, std::string_view name)
{
	const auto found = std::ranges::find(words, name, &Word<Enum>::name);

	return found == words.end() ? std::nullopt : std::optional(found->value);
}

constexpr std::array<Word<Outcome>, 10> outcomes{{
	{Outcome::none, "none"},
	{Outcome::moved, "moved"},
	{Outcome::moved_from_spill, "moved-from-spill"},
	{Outcome::stayed, "stayed"},
	{Outcome::ended_at_source, "ended-at-source"},
	{Outcome::returned, "returned"},
	{Outcome::rolled_back, "rolled-back"},
	{Outcome::lost_at_destination, "lost-at-destination"},
	{Outcome::lost_at_source, "lost-at-source"},
	{Outcome::unconfirmed, "unconfirmed"},
}};

constexpr std::array<Word<End>, 6> ends{{
	{End::none, "none"},
	{End::completed, "completed"},
	{End::refused, "refused"},
	{End::died, "died"},
	{End::fenced, "fenced"},
	{End::lost, "lost"},
}};

constexpr std::array<Word<DestinationPhase>, 6> destination_phases{{
	{DestinationPhase::absent, "absent"},
	{DestinationPhase::reserved, "reserved"},
	{DestinationPhase::prepared, "prepared"},
	{DestinationPhase::running, "running"},
	{DestinationPhase::complete, "complete"},
	{DestinationPhase::ended, "ended"},
}};

constexpr std::array<Word<SourcePhase>, 8> source_phases{{
	{SourcePhase::reserve, "reserve"},
	{SourcePhase::warm_up, "warm-up"},
	{SourcePhase::seal, "seal"},
	{SourcePhase::hand_over, "hand-over"},
	{SourcePhase::run, "run"},
	{SourcePhase::drain, "drain"},
	{SourcePhase::finish, "finish"},
	{SourcePhase::ended, "ended"},
}};

constexpr std::array<Word<Order>, 8> orders{{
	{Order::none, "none"},
	{Order::reserve, "reserve"},
	{Order::prepare, "prepare"},
	{Order::run, "run"},
	{Order::refuse, "refuse"},
	{Order::fence, "fence"},
	{Order::finish, "finish"},
	{Order::gone, "gone"},
}};

constexpr std::array<Word<DestinationAct>, 8> destination_acts{{
	{DestinationAct::wait, "wait"},
	{DestinationAct::write, "write"},
	{DestinationAct::make, "make"},
	{DestinationAct::load, "load"},
	{DestinationAct::go, "go"},
	{DestinationAct::freeze, "freeze"},
	{DestinationAct::destroy, "destroy"},
	{DestinationAct::answer, "answer"},
}};

constexpr std::array<Word<SourceAct>, 9> source_acts{{
	{SourceAct::wait, "wait"},
	{SourceAct::write, "write"},
	{SourceAct::tell, "tell"},
	{SourceAct::warm, "warm"},
	{SourceAct::stop, "stop"},
	{SourceAct::seal, "seal"},
	{SourceAct::unseal, "unseal"},
	{SourceAct::go, "go"},
	{SourceAct::discard, "discard"},
}};

constexpr std::array<Word<Mutation>, 17> mutations{{
	{Mutation::none, "none"},
	{Mutation::no_seal, "no seal"},
	{Mutation::run_before_commit, "run before commit"},
	{Mutation::run_without_record, "run without record"},
	{Mutation::prepared_without_record, "prepared without record"},
	{Mutation::reserve_without_record, "reserve without record"},
	{Mutation::refuse_without_record, "refuse without record"},
	{Mutation::back_without_record, "back without record"},
	{Mutation::back_without_lease, "back without lease"},
	{Mutation::run_without_lease, "run without lease"},
	{Mutation::ignore_fence, "ignore fence"},
	{Mutation::no_fence, "no fence"},
	{Mutation::discard_early, "discard early"},
	{Mutation::finish_without_record, "finish without record"},
	{Mutation::leave_copy, "leave copy"},
	{Mutation::wait_for_ever, "wait for ever"},
	{Mutation::commit_early, "commit early"},
}};

} /* namespace */

std::string_view name_of(Outcome outcome)
{
	return find_name(outcomes, outcome);
}

std::optional<Outcome> outcome_of(std::string_view name)
{
	return find_value(outcomes, name);
}

std::string_view sentence_of(Outcome outcome)
{
	switch (outcome) {
	case Outcome::none:
		return "It is under way.";
	case Outcome::moved:
		return "It runs at the destination, and all of its memory is there.";
	case Outcome::moved_from_spill:
		return "It runs at the destination; the source was lost, and nothing with it, as "
		       "all memory had gone before.";
	case Outcome::stayed:
		return "It runs at the source as if nothing had been; nothing of it is left at the "
		       "destination, or will be gone there by itself.";
	case Outcome::ended_at_source:
		return "It ended at the source before the commit point, so there was nothing to "
		       "move any more.";
	case Outcome::returned:
		return "It runs at the source and nothing is lost: the destination could not let "
		       "it run after the commit point, and never did.";
	case Outcome::rolled_back:
		return "It runs at the source as it was at the switch point, as this job allowed: "
		       "the destination was lost, and what the guest did there is too.";
	case Outcome::lost_at_destination:
		return "It is lost: it ended at the destination before all was there, and this job "
		       "did not allow a rollback.";
	case Outcome::lost_at_source:
		return "It is lost: the memory that only the source had is gone, and this job did "
		       "not spill it.";
	case Outcome::unconfirmed:
		return "The destination has owned it since the commit point, and was not heard of "
		       "for too long: whether it runs there is not known here.";
	}
	return "unknown";
}

std::string_view name_of(End end)
{
	return find_name(ends, end);
}

std::optional<End> end_of_migration(std::string_view name)
{
	return find_value(ends, name);
}

std::string_view sentence_of(End end)
{
	switch (end) {
	case End::none:
		return "It is under way.";
	case End::completed:
		return "It is here, whole.";
	case End::refused:
		return "It never ran here, and what was reserved for it is free again.";
	case End::died:
		return "It ran here, and ended before all was here.";
	case End::fenced:
		return "It ran here, and the source has taken it back; the copy here is gone.";
	case End::lost:
		return "It ran here, and pages that only the source had will not come.";
	}
	return "unknown";
}

std::string_view name_of(DestinationPhase phase)
{
	return find_name(destination_phases, phase);
}

std::optional<DestinationPhase> destination_phase_of(std::string_view name)
{
	return find_value(destination_phases, name);
}

std::string_view name_of(SourcePhase phase)
{
	return find_name(source_phases, phase);
}

std::string_view name_of(Order order)
{
	return find_name(orders, order);
}

std::string_view name_of(DestinationAct act)
{
	return find_name(destination_acts, act);
}

std::string_view name_of(SourceAct act)
{
	return find_name(source_acts, act);
}

std::string_view name_of(Mutation mutation)
{
	return find_name(mutations, mutation);
}

/* ---- the destination --------------------------------------------------------------- */

namespace {

class Destination {
public:
	Destination(const DestinationRecord &record, const DestinationSeen &seen, Mutation mutation)
		: record_(record), seen_(seen), mutation_(mutation)
	{}

	[[nodiscard]] DestinationStep next() const
	{
		switch (record_.phase) {
		case DestinationPhase::absent:
			return absent();
		case DestinationPhase::reserved:
			return reserved();
		case DestinationPhase::prepared:
			return prepared();
		case DestinationPhase::running:
		case DestinationPhase::complete:
			return running();
		case DestinationPhase::ended:
			return ended();
		}
		return {};
	}

private:
	[[nodiscard]] bool is(Order order) const { return seen_.order == order; }
	[[nodiscard]] bool left_out(Mutation mutation) const { return mutation_ == mutation; }

	[[nodiscard]] static DestinationStep act(DestinationAct act) { return {act, {}}; }
	[[nodiscard]] DestinationStep write(DestinationPhase phase) const
	{
		auto record = record_;

		record.phase = phase;
		return {DestinationAct::write, record};
	}
	[[nodiscard]] DestinationStep end(End end) const
	{
		auto step = write(DestinationPhase::ended);

		step.record.end = end;
		return step;
	}
	[[nodiscard]] DestinationStep answer_or_wait() const
	{
		return act(is(Order::none) ? DestinationAct::wait : DestinationAct::answer);
	}

	/* Who is told to refuse what he never heard of will refuse it if he ever does. */
	[[nodiscard]] DestinationStep absent() const
	{
		if (is(Order::reserve)) {
			auto step = write(DestinationPhase::reserved);

			step.record.terms = seen_.terms;
			step.record.epoch = seen_.epoch;
			if (left_out(Mutation::reserve_without_record) &&
			    seen_.guest == GuestHere::none)
				return act(DestinationAct::make);
			return step;
		}
		return is(Order::refuse) ? end(End::refused) : answer_or_wait();
	}

	/* Only its own order makes it: without one this is what a dead corbeld left. */
	[[nodiscard]] DestinationStep reserved() const
	{
		if (is(Order::refuse) || is(Order::fence) || is(Order::gone) || seen_.silent)
			return end(End::refused);
		if (seen_.guest == GuestHere::none)
			return is(Order::reserve) ? act(DestinationAct::make) : end(End::refused);
		if (!is(Order::prepare))
			return answer_or_wait();
		if (seen_.guest == GuestHere::waiting)
			return act(DestinationAct::load);
		return left_out(Mutation::prepared_without_record)
			       ? act(DestinationAct::answer)
			       : write(DestinationPhase::prepared);
	}

	[[nodiscard]] DestinationStep prepared() const
	{
		const bool told = (is(Order::run) || (is(Order::gone) && record_.terms.spill)) &&
				  seen_.epoch == record_.epoch;

		if (seen_.guest == GuestHere::none || is(Order::refuse) || is(Order::fence) ||
		    seen_.silent)
			return left_out(Mutation::refuse_without_record) && !is(Order::none)
				       ? act(DestinationAct::answer)
				       : end(End::refused);
		if (told && left_out(Mutation::run_without_record) &&
		    seen_.guest == GuestHere::loaded)
			return act(DestinationAct::go);
		if (told)
			return write(DestinationPhase::running);
		return is(Order::gone) ? end(End::refused) : answer_or_wait();
	}

	/* Also complete, where only the source's word is missing that it will not take it back. */
	[[nodiscard]] DestinationStep running() const
	{
		const bool complete = record_.phase == DestinationPhase::complete;
		const bool leases = record_.terms.rollback;
		const bool may_run =
			!leases || seen_.lease || left_out(Mutation::run_without_lease);

		if (seen_.guest == GuestHere::none)
			return end(End::died);
		if (seen_.guest == GuestHere::running && !may_run)
			return act(DestinationAct::freeze);
		if (is(Order::fence) && seen_.epoch > record_.epoch &&
		    !left_out(Mutation::ignore_fence))
			return end(End::fenced);
		if (may_run && seen_.guest != GuestHere::running)
			return act(DestinationAct::go);
		if (complete && (is(Order::finish) || seen_.source_gone))
			return end(End::completed);
		if (!complete && seen_.all_here)
			return leases && !left_out(Mutation::finish_without_record)
				       ? write(DestinationPhase::complete)
				       : end(End::completed);
		return seen_.source_gone || seen_.silent ? end(End::lost) : answer_or_wait();
	}

	/*
	 * What is whole is a VM as any; it may have been frozen when it became so. What ended by
	 * itself may hear later that the source had taken it back.
	 */
	[[nodiscard]] DestinationStep ended() const
	{
		if (record_.end == End::completed) {
			if (seen_.guest == GuestHere::loaded || seen_.guest == GuestHere::frozen)
				return act(DestinationAct::go);
		} else if (seen_.guest != GuestHere::none && !left_out(Mutation::leave_copy)) {
			return act(DestinationAct::destroy);
		} else if (may_be_back(record_) && is(Order::fence) &&
			   seen_.epoch > record_.epoch) {
			return end(End::fenced);
		}
		return answer_or_wait();
	}

	const DestinationRecord &record_;
	const DestinationSeen &seen_;
	Mutation mutation_;
};

/* ---- the source -------------------------------------------------------------------- */

class Source {
public:
	Source(const SourceRecord &record, const SourceSeen &seen, Mutation mutation)
		: record_(record), seen_(seen), mutation_(mutation)
	{}

	[[nodiscard]] SourceStep next() const
	{
		if (record_.phase == SourcePhase::ended)
			return {};
		if (record_.undoing)
			return undo();
		if (record_.phase < commit_point)
			return before();
		if (record_.phase == SourcePhase::finish)
			return finish();
		return record_.back != Outcome::none ? come_back() : after();
	}

private:
	[[nodiscard]] bool left_out(Mutation mutation) const { return mutation_ == mutation; }
	[[nodiscard]] bool peer_is(DestinationPhase phase) const
	{
		return seen_.peer && seen_.peer->phase == phase;
	}
	[[nodiscard]] bool can_run_on() const
	{
		return seen_.guest != GuestThere::gone && seen_.memory;
	}

	[[nodiscard]] static SourceStep act(SourceAct act) { return {.act = act}; }
	[[nodiscard]] static SourceStep tell(Order order)
	{
		return {.act = SourceAct::tell, .order = order};
	}
	[[nodiscard]] static SourceStep write(const SourceRecord &record)
	{
		return {.act = SourceAct::write, .record = record};
	}
	[[nodiscard]] SourceStep write(SourcePhase phase) const
	{
		auto record = record_;

		record.phase = phase;
		return write(record);
	}
	/* What it came to is written before the source's copy is freed. */
	[[nodiscard]] SourceStep end(Outcome outcome) const
	{
		auto record = record_;

		record.outcome = outcome;
		record.phase = SourcePhase::finish;
		return write(record);
	}
	[[nodiscard]] SourceStep write_back(Outcome how) const
	{
		auto record = record_;

		record.back = how;
		return write(record);
	}

	[[nodiscard]] SourceStep before() const
	{
		const bool unknown =
			record_.phase > SourcePhase::reserve && peer_is(DestinationPhase::absent);

		if (seen_.cancelled || seen_.trouble || seen_.silent || unknown ||
		    seen_.guest == GuestThere::gone || peer_is(DestinationPhase::ended)) {
			auto record = record_;

			record.undoing = true;
			return write(record);
		}
		switch (record_.phase) {
		case SourcePhase::reserve:
			return seen_.peer && !peer_is(DestinationPhase::absent)
				       ? write(SourcePhase::warm_up)
				       : tell(Order::reserve);
		case SourcePhase::warm_up:
			return seen_.warm ? write(SourcePhase::seal) : act(SourceAct::warm);
		case SourcePhase::seal:
			return close() ? *close() : write(SourcePhase::hand_over);
		default:
			break;
		}
		if (const auto open = close())
			return *open;
		if (peer_is(DestinationPhase::prepared) &&
		    (!record_.terms.spill || seen_.all_there || left_out(Mutation::commit_early)))
			return left_out(Mutation::run_before_commit) ? tell(Order::run)
								     : write(commit_point);
		if (left_out(Mutation::run_before_commit) && peer_is(DestinationPhase::running))
			return write(commit_point);
		return tell(Order::prepare);
	}

	/* Nothing: the guest is stopped, and cannot be made to run. */
	[[nodiscard]] std::optional<SourceStep> close() const
	{
		if (seen_.guest == GuestThere::running)
			return act(SourceAct::stop);
		if (!seen_.sealed && !left_out(Mutation::no_seal))
			return act(SourceAct::seal);
		return std::nullopt;
	}

	/* Nothing: it runs. */
	[[nodiscard]] std::optional<SourceStep> open() const
	{
		if (seen_.sealed)
			return act(SourceAct::unseal);
		if (seen_.guest == GuestThere::stopped)
			return act(SourceAct::go);
		return std::nullopt;
	}

	/* The destination gives up by itself if it is not told. */
	[[nodiscard]] SourceStep undo() const
	{
		auto record = record_;

		if (seen_.guest != GuestThere::gone)
			if (const auto closed = open())
				return *closed;
		if (!seen_.told && !seen_.silent && !peer_is(DestinationPhase::ended))
			return tell(Order::refuse);
		record.phase = SourcePhase::ended;
		record.outcome = seen_.guest == GuestThere::gone ? Outcome::ended_at_source
								 : Outcome::stayed;
		return write(record);
	}

	/* The destination owns it. */
	[[nodiscard]] SourceStep after() const
	{
		if (peer_is(DestinationPhase::ended))
			return after_end(seen_.peer->end);
		if (peer_is(DestinationPhase::complete) ||
		    (left_out(Mutation::discard_early) && peer_is(DestinationPhase::running)))
			return end(Outcome::moved);
		if (record_.terms.rollback && can_run_on() &&
		    (seen_.lease_over || (seen_.silent && left_out(Mutation::back_without_lease))))
			return take_back(Outcome::rolled_back);
		/* With leases it is only a matter of waiting for the last one. */
		if (seen_.silent && !(record_.terms.rollback && can_run_on()))
			return end(Outcome::unconfirmed);
		if (record_.phase == SourcePhase::run && peer_is(DestinationPhase::running))
			return write(SourcePhase::drain);
		return tell(order_of(record_, seen_.memory));
	}

	[[nodiscard]] SourceStep after_end(End how) const
	{
		switch (how) {
		case End::completed:
			return end(seen_.memory ? Outcome::moved : Outcome::moved_from_spill);
		case End::refused:
			return can_run_on() ? take_back(Outcome::returned)
					    : end(Outcome::lost_at_source);
		case End::died:
		case End::lost:
			if (record_.terms.rollback && can_run_on())
				return take_back(Outcome::rolled_back);
			return end(how == End::died ? Outcome::lost_at_destination
						    : Outcome::lost_at_source);
		case End::none:
		case End::fenced:
			break;
		}
		return end(Outcome::unconfirmed);
	}

	[[nodiscard]] SourceStep take_back(Outcome how) const
	{
		if (left_out(Mutation::back_without_record))
			if (const auto closed = open())
				return *closed;
		return write_back(how);
	}

	[[nodiscard]] SourceStep come_back() const
	{
		if (!can_run_on())
			return end(Outcome::lost_at_source);
		if (const auto closed = open())
			return *closed;
		if (!peer_is(DestinationPhase::ended) && !seen_.silent &&
		    !left_out(Mutation::no_fence))
			return tell(order_of(record_, seen_.memory));
		auto record = record_;
		record.phase = SourcePhase::ended;
		record.outcome = record_.back;
		return write(record);
	}

	/* No way back: the copy goes. With leases the destination waits to hear of that. */
	[[nodiscard]] SourceStep finish() const
	{
		auto record = record_;
		const bool moved = record_.outcome == Outcome::moved ||
				   record_.outcome == Outcome::moved_from_spill;

		if (seen_.guest != GuestThere::gone || seen_.memory)
			return act(SourceAct::discard);
		if (moved && record_.terms.rollback && !peer_is(DestinationPhase::ended)) {
			if (!seen_.silent)
				return tell(Order::finish);
			record.outcome = Outcome::unconfirmed;
		}
		if (moved && peer_is(DestinationPhase::ended) && seen_.peer->end != End::completed)
			record.outcome = Outcome::lost_at_destination;
		record.phase = SourcePhase::ended;
		return write(record);
	}

	const SourceRecord &record_;
	const SourceSeen &seen_;
	Mutation mutation_;
};

} /* namespace */

bool may_be_back(const DestinationRecord &record)
{
	return record.terms.rollback && (record.end == End::died || record.end == End::lost);
}

bool owns(const DestinationRecord &record)
{
	switch (record.end) {
	case End::none:
		return record.phase >= DestinationPhase::running;
	case End::completed:
		return true;
	case End::died:
	case End::lost:
		return !may_be_back(record);
	case End::refused:
	case End::fenced:
		break;
	}
	return false;
}

DestinationStep next(const DestinationRecord &record, const DestinationSeen &seen,
		     Mutation mutation)
{
	return Destination(record, seen, mutation).next();
}

SourceStep next(const SourceRecord &record, const SourceSeen &seen, Mutation mutation)
{
	return Source(record, seen, mutation).next();
}

Order order_of(const SourceRecord &record, bool memory)
{
	if (record.undoing)
		return Order::refuse;
	if (record.phase < commit_point)
		return Order::none;
	if (record.back != Outcome::none)
		return record.back == Outcome::rolled_back ? Order::fence : Order::refuse;
	if (record.phase >= SourcePhase::finish)
		return record.outcome == Outcome::moved ||
				       record.outcome == Outcome::moved_from_spill
			       ? Order::finish
			       : Order::gone;
	if (memory)
		return Order::run;
	/* Who does not run yet shall not begin: what the source had is nowhere. */
	return record.phase == SourcePhase::run && !record.terms.spill ? Order::refuse
								       : Order::gone;
}

} /* namespace corbel::migrate */
