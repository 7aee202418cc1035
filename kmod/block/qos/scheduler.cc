/* SPDX-License-Identifier: GPL-2.0 */
#include "scheduler.hh"

namespace corbel::qos {

/* What a unit is worth in start tags: whole numbers and remainders of a weight are kept. */
static constexpr u64 tag_scale = 1024;

static constexpr Limited limits_of[2][4] = {
	{Limited::read_ios, Limited::read_bytes, Limited::ios, Limited::bytes},
	{Limited::write_ios, Limited::write_bytes, Limited::ios, Limited::bytes},
};

static bool is_of_bytes(Limited which)
{
	return which >= Limited::read_bytes;
}

static void raise_to(u64 &value, u64 least)
{
	if (value < least)
		value = least;
}

/* ---- what waits and what is ready ---- */

Time Scheduler::ready_at(const Budget &budget, unsigned direction) const
{
	Time latest = 0;

	for (const Limited which : limits_of[direction])
		raise_to(latest, budget.buckets[static_cast<unsigned>(which)].ready_at());
	return latest;
}

bool Scheduler::has_room(const Budget &budget) const
{
	if (!depth_)
		return true;
	return in_flight_ < depth_ && (!is_plain(budget) || in_flight_plain_ < latency_.depth());
}

void Scheduler::leave(Budget &budget)
{
	for (Lane &lane : budget.lanes)
		if (lane.waiting.linked())
			waiting_.remove(lane);
	if (budget.by_floor.linked())
		floors_.remove(budget);
	if (!budget.is_ready())
		return;
	weights_[static_cast<unsigned>(budget.policy.priority)][is_plain(budget)].remove(budget);
	ready_--;
}

void Scheduler::enter(Budget &budget, Time now)
{
	bool is_ready = false;

	for (unsigned direction = 0; direction < 2; direction++) {
		Lane &lane = budget.lanes[direction];

		if (lane.queues.empty())
			continue;
		lane.ready = ready_at(budget, direction);
		if (lane.ready > now)
			waiting_.insert(lane);
		else
			is_ready = true;
	}
	if (!is_ready)
		return;
	weights_[static_cast<unsigned>(budget.policy.priority)][is_plain(budget)].insert(budget);
	if (budget.policy.floor && !sabotaged(Sabotage::floor_ignored))
		floors_.insert(budget);
	ready_++;
}

/* It had nothing to do, or only what its limits held: it comes back as one that just came. */
void Scheduler::wake(Budget &budget, Time now) const
{
	if (!sabotaged(Sabotage::idle_keeps_tag))
		raise_to(budget.start, served_[static_cast<unsigned>(budget.policy.priority)]);
	raise_to(budget.floor.ns, now - floors_behind_);
}

/* Who asked for the time before he had the lock may be behind others. */
Time Scheduler::advance(Time now)
{
	raise_to(now_, now);
	return now_;
}

/* ---- budgets and objects ---- */

Result<void> Scheduler::add(Budget &budget, const Policy &policy, Time now)
{
	CORBEL_TRY(policy.check());
	budget.lanes[0].budget = budget.lanes[1].budget = &budget;
	budgets_.push_back(budget);
	return set_policy(budget, policy, now);
}

void Scheduler::remove(Budget &budget)
{
	budgets_.remove(budget);
}

Result<void> Scheduler::set_policy(Budget &budget, const Policy &policy, Time now)
{
	CORBEL_TRY(policy.check());
	now = advance(now);
	leave(budget);
	const bool same_floor = budget.policy.floor == policy.floor;
	budget.policy = policy;
	for (unsigned i = 0; i < limit_count; i++)
		budget.buckets[i].set(policy.limits[i].rate, policy.limits[i].burst, now);
	/* Its parts count in the old rate, its start in the old weight and class. */
	if (!same_floor)
		budget.floor = {now - floors_behind_, 0};
	budget.start = served_[static_cast<unsigned>(policy.priority)];
	budget.start_part = 0;
	budget.latency = {now, 0, 0};
	enter(budget, now);
	return {};
}

void Scheduler::attach(Object &object, Budget &budget, Time now)
{
	IoChain chains[2];

	now = advance(now);
	if (object.budget) {
		leave(*object.budget);
		for (unsigned direction = 0; direction < 2; direction++) {
			Queue &queue = object.queues[direction];

			if (queue.in_lane.linked())
				object.budget->lanes[direction].queues.remove(queue);
			chains[direction] = queue.waiting;
			queue.waiting = {};
		}
		enter(*object.budget, now);
		object.of_budget.unlink();
	}
	object.budget = &budget;
	budget.objects.push_back(object);
	if (!budget.is_ready())
		wake(budget, now);
	leave(budget);
	for (unsigned direction = 0; direction < 2; direction++) {
		Queue &queue = object.queues[direction];

		queue.start = budget.lanes[direction].served;
		queue.waiting = chains[direction];
		if (queue.waiting.first())
			budget.lanes[direction].queues.insert(queue);
	}
	enter(budget, now);
}

IoChain Scheduler::detach(Object &object, Time now)
{
	IoChain all;

	if (!object.budget)
		return all;
	Budget &budget = *object.budget;
	now = advance(now);
	leave(budget);
	for (unsigned direction = 0; direction < 2; direction++) {
		Queue &queue = object.queues[direction];

		if (queue.in_lane.linked())
			budget.lanes[direction].queues.remove(queue);
		while (Io *io = queue.waiting.pop())
			all.push(*io);
	}
	enter(budget, now);
	object.of_budget.unlink();
	object.budget = nullptr;
	return all;
}

/* ---- I/O ---- */

void Scheduler::admit(Io &io, Time now)
{
	io.admitted = now;
	if (!depth_)
		return;
	in_flight_++;
	in_flight_plain_ += io.is_plain;
}

/* @when: at which it could have gone. Its budget is in no heap. */
void Scheduler::charge(Object &object, const Io &io, Time when, Time now)
{
	Budget &budget = *object.budget;
	const unsigned direction = direction_of(io.op);
	const u32 units = cost_.units(io.op, io.bytes);
	const u32 bytes = io.op == Op::discard ? 0 : io.bytes;

	for (const Limited which : limits_of[direction])
		budget.buckets[static_cast<unsigned>(which)].charge(
			is_of_bytes(which) ? bytes : units, when);
	if (budget.policy.floor) {
		const Time floor_now = now - floors_behind_;

		if (budget.floor.ns > floor_now && !sabotaged(Sabotage::floor_runs_ahead))
			budget.floor = {floor_now, 0};
		budget.floor.advance(units, budget.policy.floor);
	}
	const u64 weight = sabotaged(Sabotage::weight_ignored) ? 100 : budget.policy.weight;
	const u64 more = units * tag_scale + budget.start_part;
	budget.start += more / weight;
	budget.start_part = more % weight;

	Queue &queue = object.queues[direction];
	budget.lanes[direction].served = queue.start;
	queue.start += sabotaged(Sabotage::share_by_first) ? 0 : units;
}

bool Scheduler::submit(Object &object, Io &io, Time now)
{
	now = advance(now);
	io.object = &object;
	io.arrived = now;
	io.is_plain = false;
	if ((object.id == rest && !sabotaged(Sabotage::rest_queued)) || io.op == Op::flush ||
	    !object.budget) {
		admit(io, now);
		return true;
	}
	Budget &budget = *object.budget;
	const unsigned direction = direction_of(io.op);
	Lane &lane = budget.lanes[direction];
	Queue &queue = object.queues[direction];

	io.is_plain = is_plain(budget);
	if (!budget.is_ready())
		wake(budget, now);
	if (queue.waiting.first()) {
		queue.waiting.push(io);
		return false;
	}
	raise_to(queue.start, lane.served);
	/* Before all others only if nobody is there to be before. */
	if (lane.queues.empty() && ready_at(budget, direction) <= now && has_room(budget) &&
	    (!depth_ || !ready_)) {
		/* Where nothing of it waits, it is in no order. */
		const bool is_ordered = budget.has_work();

		if (is_ordered)
			leave(budget);
		raise_to(served_[static_cast<unsigned>(budget.policy.priority)], budget.start);
		charge(object, io, now, now);
		if (is_ordered)
			enter(budget, now);
		admit(io, now);
		return true;
	}
	leave(budget);
	queue.waiting.push(io);
	lane.queues.insert(queue);
	enter(budget, now);
	return false;
}

void Scheduler::complete(const Io &io, Time now)
{
	if (!depth_)
		return;
	now = advance(now);
	in_flight_--;
	in_flight_plain_ -= io.is_plain;
	if (Budget *budget = io.object->budget; budget && budget->policy.latency_target) {
		const bool is_late = now - io.admitted > budget->policy.latency_target;

		if (!budget->latency.add(is_late, now))
			latency_.missed(now);
	}
	latency_.tick(now);
}

/* Who goes next of those that are ready, if the device takes it. */
Budget *Scheduler::pick(Time now)
{
	if (depth_ && in_flight_ >= depth_)
		return nullptr;
	if (Budget *budget = floors_.first()) {
		if (now - floors_behind_ > budget->floor.ns + floor_lag)
			floors_behind_ = now - budget->floor.ns - floor_lag;
		if (budget->floor.ns <= now - floors_behind_)
			return budget;
	}
	const bool plain_too = !depth_ || in_flight_plain_ < latency_.depth();
	Budget *best = nullptr;
	for (unsigned priority = 0; priority < classes; priority++) {
		Budget *targeted = weights_[priority][false].first();
		Budget *plain = plain_too ? weights_[priority][true].first() : nullptr;
		Budget *first =
			!plain || (targeted && targeted->start <= plain->start) ? targeted : plain;

		if (!first)
			continue;
		if (!best || (sabotaged(Sabotage::class_ignored) && first->start < best->start))
			best = first;
	}
	if (best)
		raise_to(served_[static_cast<unsigned>(best->policy.priority)], best->start);
	return best;
}

/* Of its lanes that need not wait, the one whose first I/O came first. */
Io *Scheduler::take_from(Budget &budget, Time now)
{
	unsigned best = 2;
	Time ready = 0, arrived = never;

	for (unsigned direction = 0; direction < 2; direction++) {
		const Lane &lane = budget.lanes[direction];

		if (lane.queues.empty())
			continue;
		const Time at = ready_at(budget, direction);
		const Time came = lane.queues.first()->waiting.first()->arrived;
		if (at > now || came >= arrived)
			continue;
		best = direction;
		ready = at;
		arrived = came;
	}
	if (best == 2)
		return nullptr;
	leave(budget);
	Lane &lane = budget.lanes[best];
	Queue &queue = *lane.queues.first();
	lane.queues.remove(queue);
	Io *io = queue.waiting.pop();
	Time when = ready > io->arrived ? ready : io->arrived;
	if (now - when > lateness)
		when = now - lateness;
	charge(*io->object, *io, sabotaged(Sabotage::lateness_lost) ? now : when, now);
	if (queue.waiting.first())
		lane.queues.insert(queue);
	enter(budget, now);
	return io;
}

IoChain Scheduler::run(Time now, u32 most)
{
	IoChain gone;

	now = advance(now);
	for (u32 count = 0; count < most; count++) {
		while (Lane *lane = waiting_.first()) {
			if (lane->ready > now)
				break;
			Budget &budget = *lane->budget;
			if (!budget.is_ready())
				wake(budget, now);
			leave(budget);
			enter(budget, now);
		}
		Budget *budget = pick(now);
		Io *io = budget ? take_from(*budget, now) : nullptr;
		if (!io)
			break;
		io->is_plain = is_plain(*budget);
		admit(*io, now);
		gone.push(*io);
	}
	return gone;
}

Time Scheduler::next_time() const
{
	const Time waiting = waiting_.empty() ? never : waiting_.first()->ready;

	if (!ready_ || (depth_ && in_flight_ >= depth_))
		return waiting;
	const bool plain_too = !depth_ || in_flight_plain_ < latency_.depth();
	for (const auto &of_class : weights_)
		if (!of_class[false].empty() || (plain_too && !of_class[true].empty()))
			return 0;
	/* Only a floor gets those that are there past their part of the depth. */
	const Time floor = floors_.empty() ? never : floors_.first()->floor.ns + floors_behind_;
	return floor < waiting ? floor : waiting;
}

IoChain Scheduler::take_all()
{
	IoChain all;

	for (Budget &budget : budgets_) {
		leave(budget);
		for (Lane &lane : budget.lanes)
			while (Queue *queue = lane.queues.first()) {
				lane.queues.remove(*queue);
				while (Io *io = queue->waiting.pop())
					all.push(*io);
			}
	}
	return all;
}

} /* namespace corbel::qos */
