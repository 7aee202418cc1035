/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * latency.hh - a latency histogram of the observer, in nanoseconds.
 *
 * A percentile is stated as the upper bound of the bucket it falls in, never
 * above the longest latency seen: "at most". A bucket is a quarter of its lower
 * bound wide, which is how exact that is.
 */
#pragma once

#include <corbel/irq.h>

#include <array>
#include <cstdint>
#include <optional>

namespace corbel {

struct LatencySummary {
	std::uint64_t samples;
	std::uint64_t mean_ns;
	std::uint64_t p50_ns;
	std::uint64_t p99_ns;
	std::uint64_t max_ns;
};

class Latencies {
public:
	Latencies() = default;
	explicit Latencies(const corbel_irq_hist &hist);

	void add(const Latencies &other);

	/*
	 * What came after @earlier. The longest of an interval is known exactly if
	 * it is the longest of all; else the bound of the last bucket stands for it.
	 */
	[[nodiscard]] Latencies since(const Latencies &earlier) const;

	[[nodiscard]] std::uint64_t samples() const;

	/* Nothing if there are no samples. */
	[[nodiscard]] std::optional<LatencySummary> summary(std::uint32_t tsc_khz) const;

private:
	[[nodiscard]] std::uint64_t percentile(std::uint32_t percent) const;

	std::array<__u64, CORBEL_IRQ_HIST_BUCKETS> buckets_{};
	std::uint64_t sum_ = 0;
	std::uint64_t max_ = 0;
};

/* 0 if the rate is 0, which the module never says. */
[[nodiscard]] std::uint64_t ticks_to_ns(std::uint64_t ticks, std::uint32_t tsc_khz);

} /* namespace corbel */
