/* SPDX-License-Identifier: GPL-2.0 */
/*
 * scheduler.hh - when I/O may go to the device, and whose goes first.
 *
 *   I/O ---> Queue ---------> Lane -----------> Budget -------------> device
 *            of one object    its queues that   a policy, with the    `depth` at a time,
 *            and direction    hold something    state of its limits   or all
 *
 * A budget has one object, or several that share it. Its two lanes, of reads and of writes and
 * discards, have to wait for limits of their own, and so do not wait for each other. A lane
 * waits in one heap of all that wait, by the time when its limits let it go on; that is what
 * the one timer is for. One that need not wait any more makes its budget ready. Of those that
 * are ready goes, whenever the device takes one more:
 *
 *  1. the budget that is furthest behind its floor, if one is behind;
 *  2. of the lowest class the one that had the least for its weight.
 *
 * Both are tags as in mClock, and the latter is start-time fair queueing: what a budget did
 * not use while it had nothing to do is not given to it later. Unlike in mClock whatever a
 * budget gets counts for its floor, and what it gets above it does not count against it: the
 * next I/O of a backlogged budget is behind its floor after no more than 1 / floor seconds.
 * If all floors together are more than the device does, it is as if time went slower for them.
 *
 * The objects of one budget take turns, by units. Rest has no budget and never waits, nor do
 * flushes. Without a depth nothing but limits holds anything, and nothing ties budgets
 * together: there may then be several schedulers, each with its own.
 *
 * Time is given by the caller, who also has the lock: a scheduler is one lock's, which
 * may be taken in interrupts. Nothing here allocates, sleeps or takes longer than the logarithm
 * of how many wait, but where it says so.
 */
#pragma once

#include "../../rt/intrusive_list.hh"
#include "latency_control.hh"
#include "leftist_heap.hh"
#include "pace.hh"
#include "policy.hh"

namespace corbel::qos {

struct Object;
struct Lane;

/* One I/O, in memory that is the caller's until complete(). */
struct Io {
	/* Set by the caller. */
	Op op = Op::read;
	u32 bytes = 0;
	/* By the scheduler. */
	Io *next = nullptr;
	Object *object = nullptr;
	Time arrived = 0, admitted = 0;
	bool is_plain = false; /* of a budget without a latency target, and not of rest */
};

/* First in, first out. */
class IoChain {
public:
	[[nodiscard]] Io *first() const { return first_; }
	void push(Io &io)
	{
		io.next = nullptr;
		(first_ ? last_->next : first_) = &io;
		last_ = &io;
	}
	Io *pop()
	{
		Io *io = first_;

		if (io) {
			first_ = io->next;
			io->next = nullptr;
		}
		return io;
	}

private:
	Io *first_ = nullptr, *last_ = nullptr;
};

/* I/O of one object in one direction. */
struct Queue {
	HeapHook in_lane;
	IoChain waiting;
	u64 start = 0; /* units that went, as far as they count beside those of others */
};

struct QueueOrder {
	bool operator()(const Queue &a, const Queue &b) const { return a.start < b.start; }
};

struct Budget;

/* Of a workload. But for its number, nobody but the scheduler changes what is in it. */
struct Object {
	ObjectId id;
	Budget *budget = nullptr;
	rt::ListHook of_budget;
	Queue queues[2];
};

struct Lane {
	HeapHook waiting;
	Time ready = 0; /* while it waits */
	Budget *budget = nullptr;
	LeftistHeap<Queue, &Queue::in_lane, QueueOrder> queues;
	u64 served = 0; /* the start tag of what went last */
};

struct LaneOrder {
	bool operator()(const Lane &a, const Lane &b) const { return a.ready < b.ready; }
};

/* Of at least as long a life as its objects. */
struct Budget {
	Policy policy;
	Bucket buckets[limit_count];
	Lane lanes[2];
	HeapHook by_floor, by_weight;
	Tag floor; /* when it is behind, in the time of floors */
	u64 start = 0, start_part = 0; /* of 1 / weight */
	LatencyWindow latency;
	rt::ListHook of_scheduler;
	rt::List<Object, &Object::of_budget> objects;

	/* Ready, or waiting for a limit. */
	[[nodiscard]] bool has_work() const
	{
		return !lanes[0].queues.empty() || !lanes[1].queues.empty();
	}
	[[nodiscard]] bool is_ready() const { return by_weight.linked(); }
};

struct FloorOrder {
	bool operator()(const Budget &a, const Budget &b) const { return a.floor.ns < b.floor.ns; }
};
struct WeightOrder {
	bool operator()(const Budget &a, const Budget &b) const { return a.start < b.start; }
};

class Scheduler {
public:
	/* @depth: I/Os at the device at a time; 0: as many as limits allow. */
	Scheduler(CostModel cost, u32 depth) : cost_(cost), depth_(depth), latency_(depth) {}
	Scheduler(const Scheduler &) = delete;
	Scheduler &operator=(const Scheduler &) = delete;

	/* Once for each budget, before anything else. invalid, as Policy::check says. */
	Result<void> add(Budget &budget, const Policy &policy, Time now);
	/* It has no objects. */
	void remove(Budget &budget);
	/* What waits is judged anew at once. */
	Result<void> set_policy(Budget &budget, const Policy &policy, Time now);

	/*
	 * @object, of which nothing waits or all of it waits with another budget, is @budget's
	 * from now on. Takes as long as what waits is.
	 */
	void attach(Object &object, Budget &budget, Time now);
	/* Not any budget's; what waited is returned, as if it had not come. */
	[[nodiscard]] IoChain detach(Object &object, Time now);

	/*
	 * @object has @io to do; without a budget it never waits. True: it goes now, and must be
	 * completed; false: it waits, will be in what run() returns, and the timer may have to
	 * be set anew.
	 */
	[[nodiscard]] bool submit(Object &object, Io &io, Time now);
	/* An I/O that was admitted is done. Then run(). Without a depth this is nothing. */
	void complete(const Io &io, Time now);

	/*
	 * I/O that may go now, at most @most. When the timer fires, when I/O was completed, and
	 * after anything that changes a budget.
	 */
	[[nodiscard]] IoChain run(Time now, u32 most);
	/* When run() has something to do: 0 is at once, never is not before the next completion. */
	[[nodiscard]] Time next_time() const;
	/* All that waits, limits or not: to give it back, or to let it go. Long. */
	[[nodiscard]] IoChain take_all();

	/* Admitted and not done; without a depth nobody counts them. */
	[[nodiscard]] u32 in_flight() const { return in_flight_; }
	[[nodiscard]] u32 plain_depth() const { return latency_.depth(); }

	/*
	 * A timer that fires up to so late lets nothing be lost: what waited is charged at the
	 * time at which it could have gone. It is also the most that may come on top of a burst
	 * if the device was what held it.
	 */
	static constexpr Time lateness = 4'000'000;
	/* As far behind can floors be, and catch up, before time slows down for them. */
	static constexpr Time floor_lag = 100'000'000;

private:
	static unsigned direction_of(Op op) { return op == Op::read ? 0 : 1; }
	static bool is_plain(const Budget &budget) { return budget.policy.latency_target == 0; }

	Time ready_at(const Budget &budget, unsigned direction) const;
	bool has_room(const Budget &budget) const;
	/* Around any change of what decides about its order. */
	void leave(Budget &budget);
	void enter(Budget &budget, Time now);
	void wake(Budget &budget, Time now) const;
	Time advance(Time now);
	void charge(Object &object, const Io &io, Time when, Time now);
	void admit(Io &io, Time now);
	Budget *pick(Time now);
	Io *take_from(Budget &budget, Time now);

	using ByWeight = LeftistHeap<Budget, &Budget::by_weight, WeightOrder>;

	CostModel cost_;
	u32 depth_;
	u32 in_flight_ = 0, in_flight_plain_ = 0, ready_ = 0;
	Time now_ = 0;
	Time floors_behind_ = 0; /* the time of floors is so much less */
	u64 served_[classes]{};
	LeftistHeap<Lane, &Lane::waiting, LaneOrder> waiting_;
	LeftistHeap<Budget, &Budget::by_floor, FloorOrder> floors_;
	ByWeight weights_[classes][2]; /* with a latency target, and plain */
	rt::List<Budget, &Budget::of_scheduler> budgets_;
	LatencyControl latency_;
};

} /* namespace corbel::qos */
