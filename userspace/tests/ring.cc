// SPDX-License-Identifier: GPL-2.0-or-later
/* A file in memory laid out as the mappings of a ring fd are. */
#include <libcorbel/ring.hh>

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr std::uint32_t order = CORBEL_RING_MIN_ORDER;
constexpr std::uint32_t capacity = 1U << order;
constexpr off_t records = CORBEL_RING_DATA_OFFSET + 4096;
constexpr std::size_t size = records + capacity * sizeof(corbel_event);

class RingTest : public testing::Test {
protected:
	RingTest() : file(::memfd_create("ring", MFD_CLOEXEC))
	{
		EXPECT_EQ(::ftruncate(file.get(), size), 0);
		auto mapping = corbel::Mapping::writable(file.get(), 0, size);
		EXPECT_TRUE(mapping);
		memory.emplace(std::move(*mapping));

		head = at<corbel_ring_head>(CORBEL_RING_DATA_OFFSET);
		head->magic = CORBEL_RING_MAGIC;
		head->version = CORBEL_RING_VERSION;
		head->record_size = sizeof(corbel_event);
		head->capacity = capacity;
	}

	template <typename T>
	T *at(off_t offset)
	{
		return reinterpret_cast<T *>(static_cast<char *>(memory->data()) + offset);
	}

	void produce(std::uint64_t arg)
	{
		auto *event = at<corbel_event>(records) + head->head % capacity;

		*event = {};
		event->arg = arg;
		event->seq = ++head->head;
	}

	corbel::Result<corbel::Ring> map()
	{
		return corbel::Ring::map(corbel::ScopedFd(::dup(file.get())), order);
	}

	std::uint64_t tail() { return at<corbel_ring_ctl>(CORBEL_RING_CTL_OFFSET)->tail; }

	corbel::ScopedFd file;
	std::optional<corbel::Mapping> memory;
	corbel_ring_head *head = nullptr;
};

TEST_F(RingTest, gives_records_in_order_and_releases_them)
{
	auto ring = map();
	ASSERT_TRUE(ring) << ring.error().sentence;

	EXPECT_FALSE(ring->next());
	for (std::uint64_t i = 0; i < 3 * capacity; i++) {
		produce(i);
		EXPECT_EQ(ring->totals().head - ring->totals().read, 1U);
		auto event = ring->next();
		ASSERT_TRUE(event);
		EXPECT_EQ(event->arg, i);
		EXPECT_EQ(tail(), i + 1);
	}
	EXPECT_FALSE(ring->next());
	EXPECT_EQ(ring->totals().read, 3 * capacity);
}

TEST_F(RingTest, moved_it_still_reads)
{
	auto ring = map();
	ASSERT_TRUE(ring);
	auto moved = std::move(*ring);

	produce(42);
	ASSERT_TRUE(moved.next());
}

TEST_F(RingTest, loss_and_end_are_seen)
{
	auto ring = map();
	ASSERT_TRUE(ring);

	EXPECT_FALSE(ring->ended());
	head->lost = 5;
	head->ended = 1;
	EXPECT_EQ(ring->totals().lost, 5U);
	EXPECT_TRUE(ring->ended());
}

TEST_F(RingTest, refuses_another_layout)
{
	head->version++;

	auto ring = map();
	ASSERT_FALSE(ring);
	EXPECT_EQ(ring.error().number, EPROTO);
}

TEST_F(RingTest, refuses_what_is_no_ring)
{
	head->magic = 0;
	EXPECT_FALSE(map());
	EXPECT_FALSE(corbel::Ring::map(corbel::ScopedFd(), order));
}

} /* namespace */
