/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring with producers in threads, and in signal handlers that interrupt a
 * producer of the same thread in the middle of a record, as hard interrupts do.
 */
#include "random_stream.hh"
#include "ring_memory.hh"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

namespace {

using namespace corbel;
using namespace corbel::unit;

constexpr unsigned producers = 3;

/* Event numbers carry their producer and count up: order and loss can be told. */
std::uint64_t number_of(unsigned producer, std::uint64_t i)
{
	return std::uint64_t{producer} << 40 | i;
}

struct Observed {
	std::uint64_t records = 0;
	std::uint64_t flagged = 0;
	std::uint64_t disorder = 0;
	std::uint64_t mixed = 0;
	std::uint64_t flag_without_loss = 0;
};

/* Reads until @done says that the producers have finished and nothing is left. */
Observed consume(RingReader &reader, const std::atomic<bool> &done, unsigned pause_every)
{
	Observed seen;
	std::map<unsigned, std::uint64_t> last;

	for (;;) {
		const bool finished = done.load();
		const auto record = reader.next();

		if (!record) {
			if (finished)
				return seen;
			std::this_thread::yield();
			continue;
		}
		seen.records++;
		seen.mixed += !is_numbered_event(*record);
		const auto producer = static_cast<unsigned>(record->arg >> 40);
		const auto i = record->arg & ((std::uint64_t{1} << 40) - 1);
		seen.disorder += last.contains(producer) && i <= last[producer];
		last[producer] = i;
		if (record->flags & CORBEL_EVENT_F_LOSS) {
			/* Each flag stands for a drop of its own, counted before. */
			seen.flagged++;
			seen.flag_without_loss += reader.lost() < seen.flagged;
		}
		/* A slow reader makes the ring run full. */
		if (pause_every != 0 && seen.records % pause_every == 0)
			std::this_thread::yield();
	}
}

void run_producers(TestRing &test, RingReader &reader, unsigned pause_every, Observed &seen,
		   std::uint64_t events, std::uint64_t &accepted)
{
	std::atomic<bool> done{false};
	std::atomic<std::uint64_t> fits{0};
	std::vector<std::thread> threads;

	for (unsigned p = 0; p < producers; p++)
		threads.emplace_back([&, p] {
			for (std::uint64_t i = 1; i <= events; i++)
				fits += test.ring.produce(numbered_event(number_of(p, i)));
		});
	std::thread consumer([&] { seen = consume(reader, done, pause_every); });
	for (auto &thread : threads)
		thread.join();
	done = true;
	consumer.join();
	accepted = fits;
}

TEST(RingThreads, every_event_is_read_or_counted_as_lost)
{
	const auto events = 100000 * number_from_environment("CORBEL_SCALE", 1);

	for (unsigned pause_every : {0U, 16U}) {
		TestRing test(6);
		auto reader = test.reader();
		Observed seen;
		std::uint64_t accepted = 0;

		run_producers(test, reader, pause_every, seen, events, accepted);
		EXPECT_EQ(seen.mixed, 0U);
		EXPECT_EQ(seen.disorder, 0U);
		EXPECT_EQ(seen.flag_without_loss, 0U);
		EXPECT_EQ(seen.records, accepted);
		EXPECT_EQ(accepted + reader.lost(), producers * events);
		EXPECT_EQ(reader.unread(), 0U);
		EXPECT_EQ(test.ring.lost(), reader.lost());
		EXPECT_EQ(test.ring.produced(), accepted);
	}
}

/* While the tail is written at random the producers must neither hang nor stray. */
TEST(RingThreads, a_hostile_consumer_harms_itself_alone)
{
	const auto events = 10000 * number_from_environment("CORBEL_SCALE", 1);
	TestRing test(6);
	std::atomic<bool> done{false};
	std::atomic<std::uint64_t> accepted{0};
	std::vector<std::thread> threads;

	for (unsigned p = 0; p < producers; p++)
		threads.emplace_back([&, p] {
			for (std::uint64_t i = 1; i <= events; i++)
				accepted += test.ring.produce(numbered_event(number_of(p, i)));
		});
	std::thread hostile([&] {
		RandomStream random(1);
		while (!done) {
			const auto near = rt::atomic_load(&test.head()->head, rt::Order::relaxed);
			const auto tail = random.below(3) == 0 ? random.word()
							       : near + 66 - random.below(140);
			rt::atomic_store(&test.ctl.tail, tail, rt::Order::relaxed);
		}
	});
	for (auto &thread : threads)
		thread.join();
	done = true;
	hostile.join();
	EXPECT_EQ(accepted + test.ring.lost(), producers * events);
	EXPECT_EQ(test.ring.produced(), accepted);
	EXPECT_EQ(test.head()->head, accepted);
	EXPECT_EQ(test.head()->lost, test.ring.lost());
}

/* The handler's producer: the ring it writes to and its own count. */
std::atomic<core::EventRing *> interrupted_ring;
std::atomic<std::uint64_t> from_handler, handler_accepted;

void on_interrupt(int)
{
	if (auto *ring = interrupted_ring.load())
		handler_accepted += ring->produce(numbered_event(number_of(1, ++from_handler)));
}

TEST(RingThreads, a_producer_may_interrupt_another_in_its_own_thread)
{
	TestRing test(6);
	auto reader = test.reader();
	std::atomic<bool> done{false};
	std::uint64_t produced = 0, accepted = 0;
	Observed seen;
	struct sigaction action{}, old{};

	from_handler = handler_accepted = 0;
	action.sa_handler = on_interrupt;
	sigemptyset(&action.sa_mask);
	ASSERT_EQ(sigaction(SIGUSR1, &action, &old), 0);
	interrupted_ring = &test.ring;

	std::atomic<bool> enough{false};
	std::thread producer([&] {
		while (!enough)
			accepted += test.ring.produce(numbered_event(number_of(0, ++produced)));
	});
	std::thread consumer([&] { seen = consume(reader, done, 0); });
	while (from_handler < 2000) {
		pthread_kill(producer.native_handle(), SIGUSR1);
		std::this_thread::yield();
	}
	enough = true;
	producer.join();
	done = true;
	consumer.join();
	interrupted_ring = nullptr;
	sigaction(SIGUSR1, &old, nullptr);

	EXPECT_EQ(seen.mixed, 0U);
	EXPECT_EQ(seen.disorder, 0U);
	EXPECT_EQ(seen.records, accepted + handler_accepted);
	EXPECT_EQ(seen.records + reader.lost(), produced + from_handler);
}

} // namespace
