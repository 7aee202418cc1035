/* SPDX-License-Identifier: GPL-2.0-or-later */
/* observation.hh - samples of a VM that a test writes itself. */
#pragma once

#include "../corbel/sample.hh"

#include <corbel/latency_buckets.hh>

namespace corbel::test {

class Observation {
public:
	explicit Observation(std::uint32_t vcpus)
	{
		sample.info.tsc_khz = 1'000'000; /* a tick is a nanosecond */
		sample.info.nr_vcpus = vcpus;
		for (std::uint32_t i = 0; i < vcpus; i++) {
			auto &state = sample.vcpus[i].state;

			state.vcpu = i;
			state.vcpu_id = i;
			state.exactness = CORBEL_IRQ_EXACT;
			state.residency = CORBEL_RES_HALTED;
		}
	}

	/* @count interrupts accepted by @path and injected @ticks later. */
	void deliver(std::uint32_t vcpu, unsigned vector, unsigned path, unsigned count,
		     std::uint64_t ticks)
	{
		auto &at = sample.vcpus[vcpu];

		at.state.accepted[path] += count;
		at.state.injected += count;
		at.vectors[vector].accepted[path] += count;
		at.vectors[vector].injected += count;

		corbel_irq_hist hist{};
		hist.buckets[irq::bucket_of(ticks)] = count;
		hist.sum = ticks * count;
		hist.max = ticks;
		at.latencies.add(Latencies(hist));
		at.by_vector[vector].add(Latencies(hist));
	}

	void set_pending(std::uint32_t vcpu, unsigned vector)
	{
		auto &state = sample.vcpus[vcpu].state;

		state.record[vector / 64] |= __u64{1} << vector % 64;
		state.irr[vector / 64] |= __u64{1} << vector % 64;
		state.pending = 1;
	}

	void pass(std::chrono::nanoseconds time) { sample.at += time; }

	cli::Sample sample{};
};

} /* namespace corbel::test */
