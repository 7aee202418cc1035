/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomics and bit instructions: single-threaded meaning here, and with threads that
 * contend. In the ThreadSanitizer flavour a wrong order shows as a data race on the
 * plain data that the atomics guard.
 */
#include "random_stream.hh"
#include "rt/atomic.hh"

#include <gtest/gtest.h>
#include <linux/types.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using namespace corbel::rt;
using corbel::unit::RandomStream;

TEST(Atomic, operations_return_what_was_there)
{
	Atomic<std::uint64_t> word(6);

	EXPECT_EQ(word.load(Order::acquire), 6U);
	EXPECT_EQ(word.fetch_add(2, Order::relaxed), 6U);
	EXPECT_EQ(word.fetch_sub(3, Order::relaxed), 8U);
	EXPECT_EQ(word.fetch_or(0x12, Order::acq_rel), 5U);
	EXPECT_EQ(word.fetch_and(0x16, Order::acq_rel), 0x17U);
	EXPECT_EQ(word.exchange(1, Order::seq_cst), 0x16U);
	std::uint64_t expected = 2;
	EXPECT_FALSE(word.compare_exchange(expected, 9, Order::acq_rel));
	EXPECT_EQ(expected, 1U);
	EXPECT_TRUE(word.compare_exchange(expected, 9, Order::acq_rel));
	word.store(word.load(Order::relaxed) + 1, Order::release);
	EXPECT_EQ(word.load(Order::seq_cst), 10U);
}

template <typename W>
void bits_agree_with_shifts()
{
	RandomStream random(20000);
	/* Guards on both sides: bts with a register operand can address past its word. */
	W words[3] = {0, 0, 0};
	W model = 0;

	while (random.more()) {
		const auto bit = static_cast<unsigned>(random.below(64));
		const W mask = W{1} << bit;

		switch (random.below(5)) {
		case 0:
			ASSERT_EQ(test_and_set_bit(&words[1], bit), (model & mask) != 0);
			model |= mask;
			break;
		case 1:
			ASSERT_EQ(test_and_clear_bit(&words[1], bit), (model & mask) != 0);
			model &= ~mask;
			break;
		case 2:
			set_bit(&words[1], bit);
			model |= mask;
			break;
		case 3:
			clear_bit(&words[1], bit);
			model &= ~mask;
			break;
		case 4:
			ASSERT_EQ(test_bit(&words[1], bit, Order::acquire), (model & mask) != 0);
			break;
		}
		ASSERT_EQ(words[0], 0U);
		ASSERT_EQ(words[1], model);
		ASSERT_EQ(words[2], 0U);
	}
}

TEST(Atomic, bit_instructions_agree_with_shifts)
{
	bits_agree_with_shifts<std::uint64_t>();
	bits_agree_with_shifts<__u64>();
}

/* Runs @body(thread) in @count threads that start together. */
template <typename Body>
void race(unsigned count, Body &&body)
{
	std::atomic<unsigned> waiting{count};
	std::vector<std::thread> threads;

	for (unsigned i = 0; i < count; i++)
		threads.emplace_back([&, i] {
			waiting.fetch_sub(1);
			while (waiting.load() != 0)
				std::this_thread::yield();
			body(i);
		});
	for (auto &thread : threads)
		thread.join();
}

TEST(AtomicThreads, nothing_is_lost_in_contention)
{
	constexpr unsigned threads = 4, rounds = 20000;
	Atomic<std::uint64_t> sum, exchanged;

	race(threads, [&](unsigned) {
		for (unsigned i = 0; i < rounds; i++) {
			sum.fetch_add(1, Order::relaxed);
			auto seen = exchanged.load(Order::relaxed);
			while (!exchanged.compare_exchange(seen, seen + 1, Order::relaxed))
				cpu_relax();
		}
	});
	EXPECT_EQ(sum.load(Order::relaxed), threads * rounds);
	EXPECT_EQ(exchanged.load(Order::relaxed), threads * rounds);
}

/* Each bit has one owner; its neighbours in the word must not disturb it. */
TEST(AtomicThreads, neighbouring_bits_do_not_disturb_each_other)
{
	std::uint64_t word = 0;
	std::atomic<unsigned> wrong{0};

	race(4, [&](unsigned thread) {
		for (unsigned i = 0; i < 20000; i++) {
			const unsigned bit = thread * 16 + i % 16;
			wrong += test_and_set_bit(&word, bit);
			wrong += !test_and_clear_bit(&word, bit);
		}
	});
	EXPECT_EQ(wrong, 0U);
	EXPECT_EQ(word, 0U);
}

TEST(AtomicThreads, a_bit_makes_a_lock)
{
	std::uint64_t word = 0;
	std::uint64_t guarded = 0; /* plain: a race here is what TSan looks for */

	race(3, [&](unsigned) {
		for (unsigned i = 0; i < 5000; i++) {
			while (test_and_set_bit(&word, 17))
				std::this_thread::yield();
			guarded++;
			clear_bit(&word, 17);
		}
	});
	EXPECT_EQ(guarded, 3U * 5000);
}

TEST(AtomicThreads, release_makes_plain_data_visible_to_acquire)
{
	std::uint64_t data = 0;
	Atomic<std::uint32_t> turn;

	race(2, [&](unsigned thread) {
		for (std::uint32_t i = 0; i < 4000; i++) {
			while (turn.load(Order::acquire) % 2 != thread)
				std::this_thread::yield();
			data++;
			turn.store(2 * i + thread + 1, Order::release);
		}
	});
	EXPECT_EQ(data, 8000U);
}

TEST(Atomic, time_goes_on)
{
	const auto before = read_tsc();
	std::uint64_t after = read_tsc();

	/* Unordered reads may stand still, so: until it has moved. */
	while (after == before)
		after = read_tsc();
	EXPECT_NE(after, before);
}

TEST(Atomic, bounded_index_is_the_index_or_zero)
{
	EXPECT_EQ(bounded_index(0, 1), 0U);
	EXPECT_EQ(bounded_index(4, 5), 4U);
	EXPECT_EQ(bounded_index(5, 5), 0U);
	EXPECT_EQ(bounded_index(0xfffffffe, 0xffffffff), 0xfffffffeU);
	EXPECT_EQ(bounded_index(0xffffffff, 0xffffffff), 0U);
	EXPECT_EQ(bounded_index(0x80000000, 5), 0U);
	EXPECT_EQ(bounded_index(0x80000000, 0x80000001), 0x80000000U);
}

} // namespace
