/* SPDX-License-Identifier: GPL-2.0 */
/*
 * percpu_counter.hh - a count that many CPUs add to and few read.
 *
 * Adding is one instruction on the CPU's own memory: no lock, no cache line that
 * travels, right in any context (an interrupt cannot come in the middle of it).
 * Reading sums over all CPUs.
 */
#pragma once

#include "result.hh"
#include "shim.h"

namespace corbel::rt {

class PerCpuCounter {
public:
	constexpr PerCpuCounter() = default;
	PerCpuCounter(const PerCpuCounter &) = delete;
	PerCpuCounter &operator=(const PerCpuCounter &) = delete;
	~PerCpuCounter() { corbel_percpu_free(base_); }

	/* Once, before anything else. Task. */
	Result<void> init()
	{
		base_ = corbel_percpu_new();
		if (!base_)
			return Error::no_memory;
		return {};
	}

#ifdef CORBEL_KERNEL
	/* Any context. */
	[[gnu::always_inline]] void add(u64 more)
	{
		asm volatile("addq %0, %%gs:(%1)" : : "er"(more), "r"(base_) : "memory", "cc");
	}
#endif
	/* Task or atomic. */
	[[nodiscard]] u64 sum() const { return base_ ? corbel_percpu_sum(base_) : 0; }

private:
	u64 *base_{};
};

} /* namespace corbel::rt */
