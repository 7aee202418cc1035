// SPDX-License-Identifier: GPL-2.0-or-later
#include "block_shim.hh"
#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/counters.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <ranges>
#include <string>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

std::string check_buckets()
{
	Time expected = 0;

	for (unsigned bucket = 0; bucket < latency_buckets; bucket++) {
		if (lower_bound(bucket) != expected)
			return "gap at " + std::to_string(bucket);
		for (const Time one : {lower_bound(bucket), upper_bound(bucket),
				       std::midpoint(lower_bound(bucket), upper_bound(bucket))})
			if (bucket_of(one) != bucket)
				return std::to_string(one) + " in " +
				       std::to_string(bucket_of(one));
		if (bucket && bucket + 1 < latency_buckets &&
		    upper_bound(bucket) - lower_bound(bucket) + 1 > lower_bound(bucket) / 8)
			return "width of " + std::to_string(bucket);
		expected = upper_bound(bucket) + 1;
	}
	return expected ? "end" : ""; /* past 2^64 - 1 */
}

TEST(QosBuckets, cover_all_durations_within_an_eighth)
{
	EXPECT_EQ(check_buckets(), "");
	EXPECT_LT(lower_bound(1), 5'000U);
	EXPECT_GT(upper_bound(latency_buckets - 2), 34 * ns_per_s);
	const QosBroken broken(Sabotage::bucket_off);
	EXPECT_NE(check_buckets(), "");
}

std::string run_counters(Counters::Detail detail)
{
	constexpr unsigned slots = 3;
	RandomStream random(5000);
	Counters counters;
	const auto sums = std::make_unique<Sums>(), scratch = std::make_unique<Sums>();
	const auto expected = std::make_unique<Sums>();
	const auto bucket = [](Time duration) {
		const auto all = std::views::iota(0U, latency_buckets);
		return *std::ranges::find_if(
			all, [&](unsigned one) { return duration <= upper_bound(one); });
	};

	std::memset(expected.get(), 0, sizeof(Sums));
	if (!counters.init(slots, detail).ok())
		return "init";
	while (random.more()) {
		Done done{};

		done.op = static_cast<Op>(random.below(ops));
		done.failed = random.below(10) == 0;
		done.bytes = static_cast<std::uint32_t>(random.word());
		done.arrived = random.word() >> 2;
		done.admitted =
			done.arrived + random.below(2) * (random.word() >> (2 + random.below(60)));
		done.completed = done.admitted + (random.word() >> (2 + random.below(60)));
		counters.add(static_cast<std::uint32_t>(random.below(slots)), done);

		auto &of = expected->counts.by_op[static_cast<unsigned>(done.op)];
		of.ios++;
		of.bytes += done.bytes;
		of.errors += done.failed;
		of.service_ns += done.completed - done.admitted;
		expected->counts.throttled += done.admitted != done.arrived;
		expected->counts.throttled_ns += done.admitted - done.arrived;
		if (detail == Counters::Detail::counts)
			continue;
		auto &histograms = expected->histograms;
		auto &latency = done.op == Op::read    ? histograms.reads
				: done.op == Op::write ? histograms.writes
						       : histograms.others;
		latency[bucket(done.completed - done.admitted)]++;
		histograms.queued[bucket(done.admitted - done.arrived)]++;
	}
	counters.read(*sums, *scratch);
	return std::memcmp(sums.get(), expected.get(), sizeof(Sums)) ? "sums differ" : "";
}

TEST(QosCounters, all_that_was_done_is_in_the_sum)
{
	EXPECT_EQ(run_counters(Counters::Detail::histograms), "");
	EXPECT_EQ(run_counters(Counters::Detail::counts), "");
	const QosBroken broken(Sabotage::bucket_off);
	EXPECT_NE(run_counters(Counters::Detail::histograms), "");
}

TEST(QosCounters, memory)
{
	for (const auto &[detail, bytes] : {std::pair{Counters::Detail::counts, 192U},
					    std::pair{Counters::Detail::histograms, 6144U}}) {
		Counters counters;

		allocations_left = 0;
		EXPECT_FALSE(counters.init(2, detail).ok());
		allocations_left = -1;
		ASSERT_TRUE(counters.init(2, detail).ok());
		EXPECT_EQ(counters.bytes(), 2 * bytes);
	}
}

} // namespace
