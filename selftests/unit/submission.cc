/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of a submission ring with tame and wild owners. The ids end where
 * the allocation ends, so that AddressSanitizer sees a step past them.
 */
#include "irq/submission.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace {

using namespace corbel;
using namespace corbel::unit;

constexpr std::uint32_t capacity = 64;

struct Owner {
	corbel_dist_ring_ctl ctl{};
	std::unique_ptr<__u32[]> ids = std::make_unique<__u32[]>(capacity);
	irq::SubmissionRing ring;
	std::uint64_t head = 0;

	Owner() { ring.init(&ctl, ids.get(), capacity); }
	void submit(std::uint32_t id)
	{
		rt::atomic_store(&ids[head % capacity], id, rt::Order::relaxed);
		rt::atomic_store(&ctl.head, ++head, rt::Order::release);
	}
	bool has_room() const
	{
		return head - rt::atomic_load(&ctl.tail, rt::Order::acquire) < capacity;
	}
	std::vector<std::uint32_t> take(std::uint32_t limit = capacity)
	{
		std::vector<std::uint32_t> taken;
		const auto count =
			ring.consume(limit, [&](std::uint32_t id) { taken.push_back(id); });

		EXPECT_EQ(count, taken.size());
		return taken;
	}
};

TEST(Submission, takes_in_order_and_up_to_the_limit)
{
	Owner owner;

	EXPECT_TRUE(owner.take().empty());
	for (unsigned i = 0; i < 100; i++) {
		owner.submit(3 * i);
		owner.submit(3 * i + 1);
		EXPECT_EQ(owner.take(1), (std::vector<std::uint32_t>{3 * i}));
		EXPECT_EQ(owner.take(), (std::vector<std::uint32_t>{3 * i + 1}));
		EXPECT_EQ(owner.ctl.tail, 2 * i + 2U);
	}
	EXPECT_EQ(owner.ring.lost(), 0U);
	EXPECT_EQ(owner.ring.submitted(), 200U);
}

TEST(Submission, counts_what_was_overwritten)
{
	Owner owner;

	for (unsigned i = 0; i < capacity + 10; i++)
		owner.submit(i);
	const auto taken = owner.take();

	EXPECT_EQ(owner.ring.lost(), 10U);
	EXPECT_EQ(owner.ctl.lost, 10U);
	ASSERT_EQ(taken.size(), capacity);
	EXPECT_EQ(taken.front(), 10U);
	EXPECT_EQ(taken.back(), capacity + 9);
}

TEST(Submission, believes_no_head)
{
	Owner owner;
	RandomStream random(100000);

	while (random.more()) {
		owner.ctl.head = random.below(2) ? random.word() : owner.head + random.below(200);
		owner.ctl.tail = random.word();
		const auto before = owner.ring.submitted();
		const auto taken = owner.take(1 + random.below(2 * capacity));

		EXPECT_LE(taken.size(), capacity);
		EXPECT_EQ(owner.ring.submitted() - before, taken.size());
		owner.head = owner.ctl.head;
	}
}

TEST(SubmissionThreads, nothing_is_lost_while_the_owner_waits_for_room)
{
	constexpr std::uint32_t count = 50000;
	Owner owner;
	std::uint32_t expected = 0;
	std::thread producer([&] {
		for (std::uint32_t i = 0; i < count; i++) {
			while (!owner.has_room())
				std::this_thread::yield();
			owner.submit(i);
		}
	});

	while (expected < count)
		owner.ring.consume(16, [&](std::uint32_t id) { EXPECT_EQ(id, expected++); });
	producer.join();
	EXPECT_EQ(owner.ring.lost(), 0U);
}

} // namespace
