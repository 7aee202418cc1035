/* SPDX-License-Identifier: GPL-2.0 */
/*
 * counters.hh - what a workload object did.
 *
 * Each CPU counts in a slot of its own: no cache line travels, no instruction is locked. An I/O
 * is counted once, when it is done, all that is to be said of it between two steps of the
 * slot's sequence, and so is in what a reader copies either wholly or not at all. In any
 * snapshot therefore the histogram of an operation has as many I/Os as its count says, and
 * what the objects of a device add up to, when nothing is under way, is what the device did.
 *
 * A slot without histograms takes 192 bytes, with them 6144.
 */
#pragma once

#include "../../rt/atomic.hh"
#include "../../rt/memory.hh"
#include "log_buckets.hh"

namespace corbel::qos {

struct OpCounts {
	u64 ios, bytes, errors, service_ns;
};

/* As it is read, and as it lies in a slot: words, of which none is an address. */
struct Counts {
	OpCounts by_op[ops];
	u64 throttled; /* that had to wait */
	u64 throttled_ns;
};

/* Latency is from when an I/O was admitted, queue time until then; those of no time as well. */
struct Histograms {
	u64 reads[latency_buckets], writes[latency_buckets];
	u64 others[latency_buckets]; /* discards and flushes */
	u64 queued[latency_buckets];
};

struct Sums {
	Counts counts;
	Histograms histograms; /* zeroes, if there are none */
};

/* An I/O that is done. */
struct Done {
	Op op;
	bool failed;
	u32 bytes;
	Time arrived, admitted, completed;
};

class Counters {
public:
	enum class Detail : u8 { counts, histograms };

	Counters() = default;
	Counters(const Counters &) = delete;
	Counters &operator=(const Counters &) = delete;

	/* Once. @slots: of CPUs. Task; no_memory. */
	Result<void> init(u32 slots, Detail detail);

	/* On CPU @slot with its interrupts off, as one that counts as well may come with them. */
	void add(u32 slot, const Done &done);

	/*
	 * The sum of all slots; both are overwritten, and @scratch only is there because a stack
	 * has no room for it. Task: it waits for who is counting.
	 */
	void read(Sums &to, Sums &scratch) const;

	[[nodiscard]] bool has_histograms() const;
	[[nodiscard]] u64 bytes() const { return u64{slots_} * stride_; }

private:
	static constexpr u64 line = 64;

	[[nodiscard]] u64 *slot(u32 number) const
	{
		return reinterpret_cast<u64 *>(base_ + u64{number} * stride_);
	}
	void copy_slot(const u64 *slot, u64 *to) const;

	rt::Pages memory_;
	u8 *base_{};
	u64 stride_{}; /* bytes from slot to slot */
	u64 words_{}; /* counted in, behind the sequence */
	u32 slots_{};
};

} /* namespace corbel::qos */
