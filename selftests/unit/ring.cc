/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_stream.hh"
#include "ring_memory.hh"

#include <gtest/gtest.h>

#include <deque>

namespace {

using namespace corbel;
using namespace corbel::unit;

TEST(Ring, refuses_capacities_that_the_interface_does_not_have)
{
	corbel_ring_ctl ctl{};
	corbel_ring_head head{};

	for (std::uint32_t capacity : {0U, 1U, 32U, 63U, 65U, 1U << 21}) {
		core::EventRing ring;
		EXPECT_EQ(ring.init({nullptr, capacity, &ctl, &head}).error(), rt::Error::invalid)
			<< capacity;
	}
}

/* One thread, a std::deque as the oracle. */
TEST(Ring, agrees_with_a_queue)
{
	constexpr std::size_t capacity = 64;
	RandomStream random(200000);
	TestRing test(6);
	auto reader = test.reader();
	std::deque<corbel_event> model;
	std::uint64_t number = 0, index = 0, lost = 0, consumed = 0;
	bool loss = false;
	unsigned fill = 50;

	while (random.more()) {
		if (random.below(500) == 0)
			fill = static_cast<unsigned>(
				random.below(101)); /* drift to full or empty */
		if (random.below(100) < fill) {
			const auto event = numbered_event(++number);
			const bool fits = model.size() < capacity;
			ASSERT_EQ(test.ring.produce(event), fits);
			if (fits) {
				corbel_event record{};
				record.seq = ++index;
				record.arg = number;
				record.flags = loss ? CORBEL_EVENT_F_LOSS : 0;
				model.push_back(record);
			} else {
				lost++;
			}
			loss = !fits;
		} else {
			ASSERT_EQ(test.ring.readable(), !model.empty());
			const auto record = reader.next();
			ASSERT_EQ(record.has_value(), !model.empty());
			if (record) {
				ASSERT_EQ(record->seq, model.front().seq);
				ASSERT_EQ(record->arg, model.front().arg);
				ASSERT_EQ(record->flags, model.front().flags);
				ASSERT_TRUE(is_numbered_event(*record));
				model.pop_front();
				consumed++;
			}
		}
		ASSERT_EQ(reader.unread(), model.size());
		ASSERT_EQ(reader.lost(), lost);
		ASSERT_EQ(reader.consumed(), consumed);
		ASSERT_EQ(number, reader.consumed() + reader.unread() + reader.lost());
		ASSERT_EQ(test.ring.produced(), index);
		ASSERT_EQ(test.ring.lost(), lost);
	}
	EXPECT_GT(lost, 0U);
	EXPECT_GT(consumed, capacity);
}

TEST(Ring, the_first_record_that_fits_tells_of_the_loss)
{
	TestRing test(6);
	auto reader = test.reader();

	for (int i = 0; i < 64 + 5; i++)
		test.ring.produce(numbered_event(i));
	EXPECT_EQ(reader.lost(), 5U);
	ASSERT_TRUE(reader.next());
	ASSERT_TRUE(reader.next());
	EXPECT_TRUE(test.ring.produce(numbered_event(100)));
	EXPECT_TRUE(test.ring.produce(numbered_event(101)));
	while (auto record = reader.next())
		EXPECT_EQ(record->flags, record->arg == 100 ? CORBEL_EVENT_F_LOSS : 0)
			<< record->arg;
}

/* What lies outside the window must count as a full ring, at once and for ever. */
TEST(Ring, a_wild_tail_loses_records_and_nothing_else)
{
	TestRing test(6);

	for (int i = 0; i < 40; i++)
		ASSERT_TRUE(test.ring.produce(numbered_event(i)));
	std::uint64_t lost = 0;
	constexpr std::uint64_t wild[] = {41, 64, 100, 1U << 20, 1UL << 32, 1UL << 63,
					  /* 64 and more before 40, counted around zero */
					  UINT64_MAX - 23, UINT64_MAX - 24};
	for (auto tail : wild) {
		test.ctl.tail = tail;
		EXPECT_FALSE(test.ring.produce(numbered_event(1))) << tail;
		EXPECT_FALSE(test.ring.readable()) << tail;
		EXPECT_EQ(test.ring.lost(), ++lost);
	}
	EXPECT_EQ(test.ring.produced(), 40U);
	/* Back in the window it goes on as if nothing had been. */
	test.ctl.tail = 40;
	EXPECT_TRUE(test.ring.produce(numbered_event(7)));
	EXPECT_EQ(test.head()->head, 41U);
	EXPECT_EQ(test.head()->lost, lost);
}

TEST(Ring, a_second_reader_goes_on_where_the_first_stopped)
{
	TestRing test(6);

	for (int i = 0; i < 10; i++)
		test.ring.produce(numbered_event(i));
	{
		auto reader = test.reader();
		for (int i = 0; i < 4; i++)
			ASSERT_EQ(reader.next()->arg, static_cast<std::uint64_t>(i));
	}
	auto reader = test.reader();
	EXPECT_EQ(reader.unread(), 6U);
	EXPECT_EQ(reader.next()->arg, 4U);
}

TEST(Ring, the_end_is_told)
{
	TestRing test(6);
	auto reader = test.reader();

	test.ring.produce(numbered_event(1));
	EXPECT_FALSE(reader.ended());
	test.ring.end();
	EXPECT_TRUE(reader.ended());
	EXPECT_TRUE(reader.next());
	EXPECT_FALSE(reader.next());
}

TEST(RingReader, refuses_memory_that_holds_no_ring)
{
	TestRing test(6);
	auto defect = [&](std::size_t size) {
		return RingReader::over(&test.ctl, test.data(), size).error();
	};

	EXPECT_EQ(defect(100), RingDefect::too_short);
	EXPECT_EQ(defect(test.size() - 1), RingDefect::too_short);
	test.head()->capacity = 128;
	EXPECT_EQ(defect(test.size()), RingDefect::too_short);
	test.head()->capacity = 65;
	EXPECT_EQ(defect(test.size()), RingDefect::wrong_version);
	test.head()->capacity = 64;
	test.head()->record_size = 40;
	EXPECT_EQ(defect(test.size()), RingDefect::wrong_version);
	test.head()->record_size = 32;
	test.head()->version = 2;
	EXPECT_EQ(defect(test.size()), RingDefect::wrong_version);
	test.head()->magic = 0;
	EXPECT_EQ(defect(test.size()), RingDefect::not_a_ring);
}

} // namespace
