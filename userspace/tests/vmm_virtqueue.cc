// SPDX-License-Identifier: GPL-2.0-or-later
//
// Virtqueues: what a driver asks is what the device is told, and what no driver should ask
// touches nothing but the guest's memory.
#include "result.hh"
#include "vmm_driver.hh"

#include <gtest/gtest.h>

#include <random>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::Descriptor;
using corbel::test::flag_indirect;
using corbel::test::flag_next;
using corbel::test::flag_write;
using corbel::test::must;
using corbel::test::RingDriver;

constexpr std::uint64_t mib = 1 << 20;

struct vmm_virtqueue : testing::Test {
	GuestMemory memory = must(GuestMemory::create(16 * mib));
	RingDriver driver{memory};
	Virtqueue &queue = driver.queue;

	/* The one request that waits is none. */
	void expect_broken()
	{
		if (queue.waiting(memory) == 1)
			EXPECT_FALSE(queue.take(memory));
		EXPECT_TRUE(queue.broken());
		EXPECT_EQ(queue.waiting(memory), 0U);
	}
};

std::string read(const Chain &chain, std::uint64_t at, std::size_t bytes)
{
	std::string text(bytes, '\0');

	text.resize(chain.read(at, std::as_writable_bytes(std::span(text))));
	return text;
}

TEST_F(vmm_virtqueue, gives_the_device_what_the_driver_offers)
{
	driver.put_text(0x5000, "hello ");
	driver.put_text(0x6000, "world");
	driver.offer({{0x5000, 6, 0, 0}, {0x6000, 5, 0, 0}, {0x7000, 3, flag_write, 0}});
	ASSERT_EQ(queue.waiting(memory), 1U);
	const auto chain = queue.take(memory);
	ASSERT_TRUE(chain);
	EXPECT_EQ(chain->readable_bytes, 11U);
	EXPECT_EQ(chain->writable_bytes, 3U);
	EXPECT_EQ(read(*chain, 0, 100), "hello world");
	EXPECT_EQ(read(*chain, 4, 4), "o wo");
	EXPECT_EQ(read(*chain, 11, 4), "");
	EXPECT_EQ(chain->write(1, std::as_bytes(std::span("xyz", 3))), 2U) << "as many as fit";
	EXPECT_EQ(driver.text(0x7000, 4), std::string("\0xy\0", 4));
	queue.give(memory, *chain, 3);
	EXPECT_EQ(driver.used(), 1U);
	EXPECT_EQ(driver.get<std::uint32_t>(RingDriver::device + 8), 3U);
	EXPECT_EQ(queue.waiting(memory), 0U);
}

TEST_F(vmm_virtqueue, goes_round_and_round)
{
	for (unsigned i = 0; i < 70000; i++) {
		driver.offer({{0x5000, 1 + i % 7, 0, 0}});
		ASSERT_EQ(queue.waiting(memory), 1U) << i;
		const auto chain = queue.take(memory);
		ASSERT_TRUE(chain);
		ASSERT_EQ(chain->readable_bytes, 1 + i % 7);
		queue.give(memory, *chain, 0);
		ASSERT_EQ(driver.used(), static_cast<std::uint16_t>(i + 1));
	}
}

TEST_F(vmm_virtqueue, follows_a_table_elsewhere)
{
	driver.put(0x9000, Descriptor{0x5000, 2, flag_next, 1});
	driver.put(0x9010, Descriptor{0x6000, 4, flag_write, 0});
	driver.offer({{0x9000, 32, flag_indirect, 0}});
	ASSERT_EQ(queue.waiting(memory), 1U);
	const auto chain = queue.take(memory);
	ASSERT_TRUE(chain);
	EXPECT_EQ(chain->readable_bytes, 2U);
	EXPECT_EQ(chain->writable_bytes, 4U);
}

TEST_F(vmm_virtqueue, tells_whether_the_driver_wants_to_be_told)
{
	EXPECT_TRUE(queue.interrupts(memory));
	driver.put<std::uint16_t>(RingDriver::driver, 1);
	EXPECT_FALSE(queue.interrupts(memory));
}

TEST_F(vmm_virtqueue, is_broken_by_what_is_no_request)
{
	const std::vector<std::vector<Descriptor>> chains = {
		{{16 * mib - 4, 5, 0, 0}},
		{{~std::uint64_t{0} - 1, 4, flag_write, 0}},
		{{0x5000, 0, 0, 0}},
		{{0x5000, 4, flag_write, 0}, {0x5000, 4, 0, 0}}, /* to read behind to write */
		{{0x5000, 4, flag_next, 8}}, /* a number that there is not */
		{{0x5000, 4, flag_next, 0}}, /* its own next */
		{{0, 10 * mib, 0, 0}, {0, 10 * mib, 0, 0}}, /* more than there is memory */
		{{0x9000, 17, flag_indirect, 0}},
		{{0x9000, 0, flag_indirect, 0}},
		{{16 * mib - 16, 32, flag_indirect, 0}},
		{{0x9000, 16 * 257, flag_indirect, 0}},
		{{0x9000, 16, flag_indirect | flag_next, 1}},
		{{0xa000, 16, flag_indirect, 0}}, /* a table in a table */
	};

	for (const auto &chain : chains) {
		RingDriver other(memory);

		driver = other;
		driver.put(0x9000, Descriptor{0x5000, 4, 0, 0});
		driver.put(0xa000, Descriptor{0x9000, 16, flag_indirect, 0});
		driver.put<std::uint16_t>(RingDriver::driver + 2, 0);
		driver.offer(chain);
		SCOPED_TRACE(&chain - chains.data());
		expect_broken();
	}
}

TEST_F(vmm_virtqueue, is_broken_by_rings_that_are_not_there_or_too_full)
{
	const auto fresh = queue;

	driver.put<std::uint16_t>(RingDriver::driver + 2, 9);
	expect_broken();
	driver.put<std::uint16_t>(RingDriver::driver + 2, 1);
	driver.put<std::uint16_t>(RingDriver::driver + 4, 8);
	queue = fresh;
	expect_broken();
	for (auto place : {&Virtqueue::descriptors, &Virtqueue::driver, &Virtqueue::device})
		for (const std::uint64_t at : {16 * mib - 8, ~std::uint64_t{0} - 3}) {
			queue = fresh;
			queue.*place = at;
			expect_broken();
		}
}

/*
 * Rings of random content, mostly plausible. AddressSanitizer sees what is touched outside; here
 * it is seen that all pieces are inside, and that it ends.
 */
TEST_F(vmm_virtqueue, survives_a_hostile_guest)
{
	std::mt19937_64 random(7);
	unsigned taken = 0, broken = 0;
	const auto *const base = memory.base();
	const auto inside = [&](auto piece) {
		return !piece.empty() && piece.data() >= base &&
		       piece.data() + piece.size() <= base + memory.size();
	};
	const auto place = [&]() -> std::uint64_t {
		switch (random() % 6) {
		case 0:
			return random();
		case 1:
			return memory.size() - random() % 64;
		case 2:
			return RingDriver::descriptors + random() % 0x4000;
		default:
			return random() % memory.size();
		}
	};

	for (unsigned round = 0; round < 5000; round++) {
		const auto size = static_cast<std::uint16_t>(1U << random() % 9);

		driver = RingDriver(memory, size);
		if (random() % 20 == 0)
			queue.descriptors = place();
		if (random() % 20 == 0)
			queue.driver = place();
		if (random() % 20 == 0)
			queue.device = place();
		for (unsigned i = 0; i < size; i++)
			driver.describe(i, {place(),
					    static_cast<std::uint32_t>(
						    random() % 8 ? random() % 5000 : random()),
					    static_cast<std::uint16_t>(random() % 10 ? random() % 4
										     : random()),
					    static_cast<std::uint16_t>(
						    random() % 20 ? random() % size : random())});
		for (unsigned i = 0; i < size; i++)
			driver.put(RingDriver::driver + 4 + 2 * i,
				   static_cast<std::uint16_t>(random() % 30 ? random() % size
									    : random()));
		driver.put(RingDriver::driver + 2,
			   static_cast<std::uint16_t>(random() % 30 ? random() % size : random()));

		auto left = queue.waiting(memory);

		ASSERT_LE(left, size);
		for (; left > 0; left--) {
			const auto chain = queue.take(memory);

			if (!chain)
				break;
			std::uint64_t bytes = 0;

			for (const auto piece : chain->readable) {
				ASSERT_TRUE(inside(piece));
				bytes += piece.size();
			}
			ASSERT_EQ(bytes, chain->readable_bytes);
			for (const auto piece : chain->writable) {
				ASSERT_TRUE(inside(piece));
				bytes += piece.size();
			}
			ASSERT_EQ(bytes, chain->readable_bytes + chain->writable_bytes);
			ASSERT_LE(bytes, memory.size());
			/* Into the rings as well, perhaps. */
			const std::uint64_t noise[] = {random(), random()};
			chain->write(random() % 100, std::as_bytes(std::span(noise)));
			queue.give(memory, *chain, static_cast<std::uint32_t>(random()));
			taken++;
		}
		broken += queue.broken();
	}
	EXPECT_GT(taken, 1000U);
	EXPECT_GT(broken, 1000U);
}

} /* namespace */
