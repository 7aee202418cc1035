/* SPDX-License-Identifier: GPL-2.0 */
/*
 * throttle.hh - how fast blocks may be moved, by what reads and writes meanwhile take.
 *
 * Of the I/O of volumes 1 % at most may take longer than the target, as if p99 were to be kept.
 * So each I/O that is late is a debt, which 127 that are not late pay off; while there is one,
 * no batch is begun, and batches become smaller. What slows I/O down is never looked into: a
 * device that is busy, a block that may not be written to while it is copied, or a CPU.
 *
 *   look: nothing moves, what I/O takes then is the measure --> batch --> debt? pause --> batch
 *     ^                                                                                     |
 *     +-------------------------------- once in two seconds --------------------------------+
 *
 * Without a target of its own it has half as much again as the p99 that was seen in looks. Where
 * nothing is read or written, nothing is late and nothing slows it down.
 *
 * It always goes on: a pause is no longer than fifteen times the batch before, nor than a
 * second. One caller at a time, but for note().
 */
#pragma once

#include "../rt/atomic.hh"

#include "types.hh"

#include <corbel/log_buckets.hh>

namespace corbel::block {

/* How long I/Os took, in buckets an eighth wide. Counting is atomic, all else not. */
class Latencies {
public:
	void add(u64 ns) { counts_[Buckets::bucket_of(ns)].fetch_add(1, rt::Order::relaxed); }
	void clear();
	void halve();
	[[nodiscard]] u64 count() const;
	/* Of 100 I/Os 99 took no longer, to 6 %; 0: there was none. */
	[[nodiscard]] u64 p99() const;

private:
	/* From 4.1 us to 34 s. */
	static constexpr unsigned buckets = 1 + 23 * 8 + 1;
	using Buckets = LogBuckets<12, 3, buckets>;

	rt::Atomic<u32> counts_[buckets]{};
};

class Throttle {
public:
	/* @target in ns, or one of these. */
	static constexpr u64 none = ~u64{0}; /* as fast as it goes */
	static constexpr u64 by_looks = 0;
	static constexpr u32 most_blocks = 8; /* of a batch */

	void begin(u64 target, u64 now);
	void end(u64 now);
	/* 0: a batch of blocks() may be begun. Else it is asked again in so many ns. */
	[[nodiscard]] u64 wait(u64 now);
	[[nodiscard]] u32 blocks() const { return blocks_; }
	/* A batch has ended that began at @began. */
	void moved(u64 began, u64 now);

	/* An I/O that came at @begun has ended. Atomic. */
	void note(u64 begun, u64 now);

	/* ns; 0: there is none, or it is not known yet. */
	[[nodiscard]] u64 target() const { return target_.load(rt::Order::relaxed); }
	/* p99 since it began to move. */
	[[nodiscard]] u64 seen() const { return seen_.p99(); }
	/* ns in which nothing was moved that could have been. */
	[[nodiscard]] u64 paused() const { return paused_; }

private:
	static constexpr u64 ms = 1000 * 1000;
	static constexpr u64 first_look = 100 * ms, look = 50 * ms, between_looks = 2000 * ms;
	static constexpr u64 longest_look = 1000 * ms; /* if there is I/O, but not enough */
	static constexpr u64 longest_pause = 1000 * ms, poll = 4 * ms;
	static constexpr u32 share = 15; /* of pauses, to one of batches */
	static constexpr u32 late_costs = 127, most_late = 16;
	static constexpr u32 enough = 300, plenty = 4096; /* I/Os of looks */

	void settle();
	void begin_look(u64 now, u64 how_long);
	[[nodiscard]] bool has_looked(u64 now) const;
	void end_look(u64 now);

	bool by_looks_ = false, is_throttled_ = false;
	u32 blocks_ = most_blocks;
	u64 debt_ = 0; /* I/Os in time that are owed */
	u64 waits_since_ = 0; /* 0: it does not */
	u64 goes_on_at_ = 0; /* whatever is owed */
	u64 looks_since_ = 0, looks_until_ = 0; /* 0: it does not look */
	u64 looked_at_ = 0;
	u64 paused_ = 0;
	bool has_moved_ = false;
	/* What came from then on, and ends before it is changed, is seen by a look. */
	rt::Atomic<u64> look_since_{none};
	rt::Atomic<u64> target_{0};
	rt::Atomic<u32> in_time_{0}, late_{0};
	Latencies quiet_, seen_;
};

} /* namespace corbel::block */
