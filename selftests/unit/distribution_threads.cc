/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The distributor's rules under threads: raisers, vCPUs that come and go, and one that
 * maps and masks. At the end every raise is accounted for.
 */
#include "distribution_platform.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <thread>

namespace {

using namespace corbel;
using namespace corbel::unit;

TEST(DistributionThreads, every_raise_is_accounted_for)
{
	constexpr unsigned ids = 200, vcpus = 3, raisers = 3;
	const std::uint64_t raises = 30000;
	TestDistribution rules(ids, vcpus);
	std::atomic<bool> done{false};
	std::vector<std::thread> threads, others;

	for (unsigned id = 0; id < ids; id++)
		rules.map(id, mapped(id % vcpus, 16 + id % 240, id % 256));
	for (unsigned i = 0; i < raisers; i++)
		threads.emplace_back([&, i] {
			RandomStream random(raises, i);

			while (random.more())
				(void)rules.raise(random.below(ids));
		});
	for (unsigned i = 0; i < vcpus; i++)
		others.emplace_back([&, i] {
			while (!done) {
				rules.make_present(i);
				std::this_thread::yield();
				rules.make_absent(i);
				std::this_thread::yield();
			}
		});
	others.emplace_back([&] {
		RandomStream random(0, 77);

		while (!done) {
			const unsigned id = random.below(ids);

			if (random.below(3) == 0)
				(void)rules.set_masked(id, random.below(2));
			else
				rules.map(id, mapped(random.below(vcpus), 16 + id % 240,
						     random.below(256), random.below(4) == 0));
		}
	});
	for (auto &thread : threads)
		thread.join();
	done = true;
	for (auto &thread : others)
		thread.join();

	for (unsigned id = 0; id < ids; id++)
		(void)rules.set_masked(id, false);
	for (unsigned i = 0; i < vcpus; i++)
		rules.make_present(i);
	std::uint64_t raised = 0, delivered = 0, given = 0;
	for (unsigned id = 0; id < ids; id++) {
		const auto counts = rules.counts(id);

		EXPECT_EQ(counts.raised, counts.delivered + counts.coalesced) << id;
		EXPECT_EQ(counts.refused + counts.withdrawn + counts.pending, 0U) << id;
		raised += counts.raised;
		delivered += counts.delivered;
	}
	for (unsigned i = 0; i < vcpus; i++) {
		given += rules.seat(i).given.size();
		EXPECT_FALSE(rules.status(i)) << i;
	}
	EXPECT_EQ(raised, raisers * raises * number_from_environment("CORBEL_SCALE", 1));
	EXPECT_EQ(given, delivered);
}

} // namespace
