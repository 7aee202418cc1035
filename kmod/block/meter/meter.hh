/* SPDX-License-Identifier: GPL-2.0 */
/*
 * meter.hh - a device under QoS: whose I/O is whose, what may go, and what went.
 *
 * Workload objects and budgets are made by messages and are there for as long as the meter is
 * (counts of an object also for as long as a descriptor tells them);
 * objects are found by number through pages that are published once and never go. Ranges are
 * one immutable map that is replaced as a whole.
 *
 * Locks: the mutex for messages; below it the spinlock of the scheduler, which completions
 * take. An object that has no budget, where no depth ties it to others, takes neither.
 */
#pragma once

#include "../../rt/lock.hh"
#include "../reply.hh"
#include "../qos/counters.hh"
#include "../qos/heat_map.hh"
#include "../qos/interval_map.hh"
#include "../qos/scheduler.hh"
#include "meter.h"

struct corbel_workload {
	void get() { references.fetch_add(1, corbel::rt::Order::relaxed); }
	/* Task. */
	void put();

	corbel::qos::Object object;
	corbel::qos::Counters counters;
	/* Of its meter and of stats descriptors, which want no more than what it has counted. */
	corbel::rt::Atomic<u32> references{1};
};

namespace corbel::qos {

using block::Reply;

class Meter {
public:
	Meter(corbel_meter_shim *shim, const corbel_meter_options *options)
		: shim_(shim),
		  depth_(options->depth),
		  cpus_(options->cpus),
		  sectors_(options->sectors),
		  scheduler_(CostModel{options->io_bytes}, options->depth)
	{}
	Meter(const Meter &) = delete;
	Meter &operator=(const Meter &) = delete;
	~Meter();

	/* What meter.h has of them. */
	Result<void> init();
	corbel_workload *piece(u64 sector, u64 sectors, u64 *together);
	bool submit(corbel_meter_io &io);
	void ended(corbel_meter_io &io, bool failed, u32 cpu);
	void run();
	void release();
	void resume();
	Result<void> message(unsigned argc, char **argv, Reply &reply);
	void status(Reply &reply);
	/* Of a number that may not exist; nullptr. Any context. */
	[[nodiscard]] corbel_workload *find(ObjectId id) const;

private:
	static constexpr u32 per_page = 512, pages = 2048, max_budgets = 65536;
	static_assert(per_page * pages >= max_objects);

	struct Command;
	static const Command commands[];

	/* Of what there is from @from on, the first; nullptr: there is none. */
	[[nodiscard]] corbel_workload *find_from(u32 from) const;
	Result<corbel_workload *> existing(u64 number) const;
	Result<Budget *> existing_budget(u64 number) const;
	Result<corbel_workload *> make(ObjectId id, Counters::Detail detail);
	void set_timer();
	void go(IoChain chain);

	Result<void> add_object(unsigned argc, char **argv, Reply &reply);
	Result<void> set_ranges(unsigned argc, char **argv, Reply &reply);
	Result<void> replace_ranges(const Change &change, Reply &reply);
	Result<void> replace_all(unsigned argc, char **argv, Reply &reply);
	Result<void> set_budget(unsigned argc, char **argv, Reply &reply);
	Result<void> attach(unsigned argc, char **argv, Reply &reply);
	Result<void> detach(unsigned argc, char **argv, Reply &reply);
	Result<void> stats(unsigned argc, char **argv, Reply &reply);
	Result<void> show(unsigned argc, char **argv, Reply &reply);
	Result<void> table(unsigned argc, char **argv, Reply &reply);
	Result<void> histogram(unsigned argc, char **argv, Reply &reply);
	Result<void> set_heat(unsigned argc, char **argv, Reply &reply);
	Result<void> cells(unsigned argc, char **argv, Reply &reply);
	/* Of one moment, until the next call. */
	const Sums &sums_of(const corbel_workload &workload);

	corbel_meter_shim *shim_;
	u32 depth_, cpus_, objects_ = 0, budget_count_ = 0;
	u64 sectors_;
	rt::Mutex mutex_;
	rt::SpinLock lock_; /* scheduler_, is_released_ */
	Scheduler scheduler_;
	bool is_released_ = false;
	IntervalMap map_;
	rt::Atomic<HeatMap *> heat_; /* nullptr: nobody wants to know */
	rt::Pages table_memory_, budget_memory_, sums_;
	rt::Atomic<corbel_workload **> *table_ = nullptr; /* of pages */
	Budget **budgets_ = nullptr;
};

} /* namespace corbel::qos */
