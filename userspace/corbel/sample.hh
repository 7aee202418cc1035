/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sample.hh - all counts of a VM at one moment, and what happened in between.
 *
 * The module only ever counts up; rates are made here from two samples, so any
 * number of readers can look at their own pace without disturbing each other.
 */
#pragma once

#include <libcorbel/irq.hh>
#include <libcorbel/latency.hh>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

namespace corbel::cli {

struct VcpuSample {
	corbel_irq_vcpu state;
	VectorCounts vectors;
	Latencies latencies; /* all vectors together */
	std::map<unsigned, Latencies> by_vector; /* of those injected at least once */
};

struct Sample {
	std::chrono::steady_clock::time_point at;
	corbel_irq_info info;
	std::map<std::uint32_t, VcpuSample> vcpus;
};

/* Histograms of vectors that did not move since @previous are taken from there. */
[[nodiscard]] Result<Sample> take_sample(const Irq &irq, const StatusPage &status,
					 const Sample *previous);

/* Counts of one vector, one vCPU or the whole VM. */
struct Flow {
	std::array<std::uint64_t, CORBEL_IRQ_PATHS> accepted{};
	std::uint64_t injected = 0;
	std::uint64_t coalesced = 0;
	std::uint64_t dropped = 0;
	Latencies latencies;

	[[nodiscard]] std::uint64_t accepted_by_all() const;
	[[nodiscard]] bool idle() const;
};

struct VcpuFlow {
	corbel_irq_vcpu state;
	Flow flow;
};

struct VectorFlow {
	std::uint32_t vcpu;
	unsigned vector;
	Flow flow;
};

struct Activity {
	/* Length of the interval; 0 for totals since the observer was enabled. */
	std::chrono::nanoseconds interval{};
	corbel_irq_info info{};
	Flow total;
	std::vector<VcpuFlow> vcpus; /* by index */
	std::vector<VectorFlow> vectors; /* not idle ones, the busiest first */

	[[nodiscard]] double per_second(std::uint64_t count) const;
};

[[nodiscard]] Activity totals_of(const Sample &sample);
[[nodiscard]] Activity between(const Sample &earlier, const Sample &later);

/* Vectors whose bit is set, ascending. */
[[nodiscard]] std::vector<unsigned> vectors_in(const __u64 (&words)[CORBEL_IRQ_WORDS]);

/* Stable words for what the ABI numbers: used in text and in JSON. */
[[nodiscard]] const char *name_of_path(unsigned path);
[[nodiscard]] const char *name_of_residency(std::uint32_t residency);
[[nodiscard]] const char *name_of_exactness(std::uint32_t exactness);

} /* namespace corbel::cli */
