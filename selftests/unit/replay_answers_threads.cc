// SPDX-License-Identifier: GPL-2.0-or-later
/* The area is written by another thread all the time, as any program can that has it mapped. */
#include "random_stream.hh"
#include "replay_area.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace {

using namespace corbel::unit;
using corbel::rt::atomic_store;
using corbel::rt::Order;

void scribble(ReplayArea &test, const std::atomic<bool> &stop)
{
	RandomStream random(1);

	while (!stop.load(std::memory_order_relaxed)) {
		const std::uint64_t index =
			random.below(4) ? random.below(ReplayArea::entries + 1) : random.word();

		atomic_store(&test.area->mode, random.below(5), Order::relaxed);
		atomic_store(&test.area->shift, random.below(33), Order::relaxed);
		atomic_store(&test.area->head, random.below(4) ? 0 : index, Order::relaxed);
		atomic_store(&test.area->end, index, Order::relaxed);
		atomic_store(&test.area->last, random.below(1000), Order::relaxed);
		atomic_store(&test.log[random.below(8)].tag,
			     CORBEL_REPLAY_TAG(random.below(3), 0, 1), Order::relaxed);
	}
}

TEST(replay_answers_threads, a_scribbler_gets_nowhere)
{
	ReplayArea test;
	std::atomic<bool> stop = false;
	std::thread other(scribble, std::ref(test), std::cref(stop));
	std::uint64_t answered = 0;

	/* The other thread may take its time to begin. */
	for (std::uint64_t turn = 0; turn < 200'000 || answered < 1000; turn++) {
		const auto [decision, reason] = test.read_counter(1, turn);

		if (decision.kind != corbel::replay::Decision::Kind::answer)
			continue;
		answered++;
		if (decision.mode != CORBEL_REPLAY_CLOCK) {
			EXPECT_LT(decision.slot, ReplayArea::entries);
		}
	}
	stop = true;
	other.join();
	EXPECT_EQ(test.area->nr_tsc, answered);
}

} // namespace
