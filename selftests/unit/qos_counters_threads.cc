// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters that are read while others count: whatever a reader sees adds up. */
#include "random_stream.hh"

#include "block/qos/counters.hh"

#ifdef CORBEL_BLOCK_SABOTAGE
#include "qos_broken.hh"
#endif

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

std::uint64_t sum_of(const corbel::qos::u64 (&histogram)[latency_buckets])
{
	return std::accumulate(std::begin(histogram), std::end(histogram), std::uint64_t{0});
}

/* Every I/O is of 512 bytes, fails, waits 1000 ns and takes 7000. How many sums were wrong? */
std::uint64_t count_wrong(std::uint64_t per_thread)
{
	constexpr unsigned cpus = 2;
	Counters counters;
	std::atomic<unsigned> running{cpus};
	std::vector<std::thread> threads;
	const auto sums = std::make_unique<Sums>(), scratch = std::make_unique<Sums>();
	std::uint64_t wrong = 0, last = 0;

	if (!counters.init(cpus, Counters::Detail::histograms).ok())
		return ~0ULL;
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		threads.emplace_back([&, cpu] {
			for (std::uint64_t i = 0; i < per_thread; i++)
				counters.add(cpu, {i % 2 ? Op::read : Op::write, true, 512, 1000,
						   2000, 9000});
			running--;
		});
	for (bool more = true; more;) {
		more = running != 0;
		counters.read(*sums, *scratch);
		const auto &counts = sums->counts;
		const auto &reads = counts.by_op[0], &writes = counts.by_op[1];
		const auto all = reads.ios + writes.ios;

		wrong += reads.bytes != reads.ios * 512 || writes.service_ns != writes.ios * 7000 ||
			 reads.errors != reads.ios || counts.throttled_ns != all * 1000 ||
			 sum_of(sums->histograms.reads) != reads.ios ||
			 sum_of(sums->histograms.writes) != writes.ios ||
			 sum_of(sums->histograms.queued) != all || all < last;
		last = all;
	}
	for (auto &thread : threads)
		thread.join();
	return last == cpus * per_thread ? wrong : ~0ULL;
}

TEST(QosCountersThreads, whatever_is_read_adds_up)
{
	const auto length = 20'000 * number_from_environment("CORBEL_SCALE", 1);

	EXPECT_EQ(count_wrong(length), 0U);
#ifdef CORBEL_BLOCK_SABOTAGE
	const QosBroken broken(Sabotage::torn_snapshot);
	std::uint64_t wrong = 0;
	for (unsigned i = 0; i < 100 && !wrong; i++)
		wrong = count_wrong(length);
	EXPECT_GT(wrong, 0U);
#endif
}

} // namespace
