// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/latency.hh>

#include <corbel/latency_buckets.hh>

#include <algorithm>

namespace corbel {

namespace {

/* Counts are read while they grow, so one may seem to be ahead of another. */
std::uint64_t growth(std::uint64_t before, std::uint64_t after)
{
	return after > before ? after - before : 0;
}

} /* namespace */

Latencies::Latencies(const corbel_irq_hist &hist) : sum_(hist.sum), max_(hist.max)
{
	std::ranges::copy(hist.buckets, buckets_.begin());
}

void Latencies::add(const Latencies &other)
{
	for (std::size_t i = 0; i < buckets_.size(); i++)
		buckets_[i] += other.buckets_[i];
	sum_ += other.sum_;
	max_ = std::max(max_, other.max_);
}

Latencies Latencies::since(const Latencies &earlier) const
{
	Latencies interval;
	unsigned last = 0;

	for (unsigned i = 0; i < buckets_.size(); i++) {
		interval.buckets_[i] = growth(earlier.buckets_[i], buckets_[i]);
		if (interval.buckets_[i])
			last = i;
	}
	interval.sum_ = growth(earlier.sum_, sum_);
	if (interval.samples() == 0)
		return interval;
	interval.max_ = max_ > earlier.max_ ? max_ : std::min(max_, irq::upper_bound(last));
	return interval;
}

std::uint64_t Latencies::samples() const
{
	return irq::total_count(buckets_);
}

std::uint64_t Latencies::percentile(std::uint32_t percent) const
{
	auto bucket = irq::quantile_bucket(buckets_, percent, 100);

	return bucket < irq::hist_buckets ? std::min(irq::upper_bound(bucket), max_) : 0;
}

std::optional<LatencySummary> Latencies::summary(std::uint32_t tsc_khz) const
{
	auto count = samples();

	if (count == 0)
		return std::nullopt;
	return LatencySummary{
		.samples = count,
		.mean_ns = ticks_to_ns(sum_ / count, tsc_khz),
		.p50_ns = ticks_to_ns(percentile(50), tsc_khz),
		.p99_ns = ticks_to_ns(percentile(99), tsc_khz),
		.max_ns = ticks_to_ns(max_, tsc_khz),
	};
}

std::uint64_t ticks_to_ns(std::uint64_t ticks, std::uint32_t tsc_khz)
{
	if (tsc_khz == 0)
		return 0;
	return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * 1'000'000 /
					  tsc_khz);
}

} /* namespace corbel */
