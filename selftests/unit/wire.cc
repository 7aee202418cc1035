// SPDX-License-Identifier: GPL-2.0-or-later
/* What pagers say to each other: taken apart in pieces of any size, and planned once. */
#include "postcopy/push_plan.hh"
#include "postcopy/receiver.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

using namespace corbel::unit;
using namespace corbel::postcopy;
using corbel::rt::Error;
using corbel::rt::Result;
using wire::Head;
using wire::Kind;
using wire::Role;
using wire::Stream;

std::uint32_t hash(const void *at, std::size_t bytes)
{
	return static_cast<std::uint32_t>(XXH64(at, bytes, 0));
}

struct Frame {
	Head head;
	std::vector<std::uint8_t> payload;

	bool operator==(const Frame &other) const
	{
		return std::memcmp(&head, &other.head, sizeof(head)) == 0 &&
		       payload == other.payload;
	}
};

struct Collector {
	std::vector<Frame> frames;
	std::vector<std::uint8_t> room;

	Result<void *> begin(const Head &head)
	{
		room.resize(head.length);
		return static_cast<void *>(room.data());
	}
	Result<void> end(const Head &head)
	{
		frames.push_back({head, room});
		return {};
	}
	static std::uint32_t hash(const void *at, std::size_t bytes) { return ::hash(at, bytes); }
};

Frame make(Kind kind, std::uint64_t page = 0, std::uint32_t count = 0, std::uint32_t length = 0,
	   std::uint16_t flags = 0)
{
	Head head{};

	head.kind = kind;
	head.page = page;
	head.count = count;
	head.length = length;
	head.flags = flags;
	return {wire::seal(head, hash), std::vector<std::uint8_t>(length, 0x5a)};
}

std::vector<std::uint8_t> bytes_of(const std::vector<Frame> &frames)
{
	std::vector<std::uint8_t> bytes;

	for (const Frame &frame : frames) {
		const auto *head = reinterpret_cast<const std::uint8_t *>(&frame.head);

		bytes.insert(bytes.end(), head, head + sizeof(Head));
		bytes.insert(bytes.end(), frame.payload.begin(), frame.payload.end());
	}
	return bytes;
}

/* In pieces of at most @most bytes. */
Result<void> feed(Receiver<Collector> &receiver, const std::vector<std::uint8_t> &bytes,
		  std::uint32_t most)
{
	for (std::size_t at = 0; at < bytes.size();) {
		const auto place = receiver.want();

		EXPECT_GT(place.bytes, 0U);
		const auto now = static_cast<std::uint32_t>(
			std::min<std::size_t>({place.bytes, most, bytes.size() - at}));
		std::memcpy(place.at, &bytes[at], now);
		at += now;
		CORBEL_TRY(receiver.got(now));
	}
	return {};
}

constexpr std::uint64_t pages = 100'000;

/* What one end answers to a single frame behind a hello. */
Result<void> answer_to(const Frame &frame, Role from, Stream stream)
{
	Collector collector;
	Receiver<Collector> receiver(collector, from, stream, pages);

	return feed(receiver, bytes_of({make(Kind::hello, 0, 0, sizeof(wire::Hello)), frame}),
		    4096);
}

TEST(Wire, frames_come_out_as_they_went_in)
{
	const std::vector<Frame> frames = {
		make(Kind::hello, 0, 0, sizeof(wire::Hello)),
		make(Kind::page, 7, 1, 4096, wire::staged),
		make(Kind::zeros, 8, 100),
		make(Kind::mark),
		make(Kind::missing, 32768, 0, 4096),
		make(Kind::go),
		make(Kind::page, pages - 1, 1, 1),
		make(Kind::done),
	};
	const auto bytes = bytes_of(frames);

	for (const std::uint32_t most : {1U, 2U, 31U, 32U, 33U, 4096U, 100'000U}) {
		Collector collector;
		Receiver<Collector> receiver(collector, Role::serve, Stream::push, pages);

		ASSERT_TRUE(feed(receiver, bytes, most).ok()) << most;
		EXPECT_EQ(collector.frames, frames) << "in pieces of " << most;
	}
}

TEST(Wire, every_bit_of_a_head_counts)
{
	const Frame good = make(Kind::page, 7, 1, 4096);

	for (unsigned bit = 0; bit < sizeof(Head) * 8; bit++) {
		Frame bad = good;

		if (bit >= offsetof(Head, contents) * 8 && bit < offsetof(Head, check) * 8)
			continue; /* looked at with the page */
		reinterpret_cast<std::uint8_t *>(&bad.head)[bit / 8] ^= 1 << (bit % 8);
		const auto result = answer_to(bad, Role::serve, Stream::push);
		ASSERT_FALSE(result.ok()) << "bit " << bit;
		EXPECT_EQ(result.error(), Error::bad_message) << "bit " << bit;
	}
}

TEST(Wire, who_says_what_on_which_stream)
{
	struct Case {
		Frame frame;
		Role from;
		Stream stream;
	};
	const Case good[] = {
		{make(Kind::request, 5, 1), Role::fetch, Stream::demand},
		{make(Kind::have, 64, 0, 8), Role::fetch, Stream::push},
		{make(Kind::have, 0, 0, 0, wire::last), Role::fetch, Stream::push},
		{make(Kind::credit, 0, 7), Role::fetch, Stream::push},
		{make(Kind::bye), Role::fetch, Stream::push},
		{make(Kind::page, 5, 1, 4096), Role::serve, Stream::demand},
		{make(Kind::zeros, 5, 1), Role::serve, Stream::push},
		{make(Kind::missing, 0, 0, 8), Role::serve, Stream::push},
		{make(Kind::go, 0, 0, 0, wire::everything), Role::serve, Stream::push},
	};

	for (const Case &one : good) {
		EXPECT_TRUE(answer_to(one.frame, one.from, one.stream).ok());
		const Role other = one.from == Role::fetch ? Role::serve : Role::fetch;
		EXPECT_FALSE(answer_to(one.frame, other, one.stream).ok());
		const bool either =
			one.frame.head.kind == Kind::page || one.frame.head.kind == Kind::zeros;
		const Stream elsewhere = one.stream == Stream::push ? Stream::demand : Stream::push;
		EXPECT_EQ(answer_to(one.frame, one.from, elsewhere).ok(), either);
	}
}

TEST(Wire, ranges_and_lengths)
{
	const Frame bad[] = {
		make(Kind::page, pages, 1, 4096),
		make(Kind::page, 0, 2, 4096),
		make(Kind::page, 0, 1, 4097),
		make(Kind::page, 0, 1, 0),
		make(Kind::page, ~std::uint64_t{0}, 1, 4096),
		make(Kind::page, 0, 1, 4096, wire::again),
		make(Kind::zeros, 0, 0),
		make(Kind::zeros, 0, pages + 1),
		make(Kind::zeros, pages - 1, 2),
		make(Kind::zeros, ~std::uint64_t{0}, 2),
		make(Kind::zeros, 0, 1, 8),
		make(Kind::missing, 1, 0, 8),
		make(Kind::missing, 0, 0, 7),
		make(Kind::missing, 0, 0, 0),
		make(Kind::missing, 0, 0, wire::map_bytes + 8),
		make(Kind::missing, pages / 64 * 64, 0, 16),
		make(Kind::missing, pages / 64 * 64 + 64, 0, 8),
		make(Kind::missing, 0, 0, 8, wire::last),
		make(Kind::go, 0, 0, 8),
		make(Kind::done, 0, 0, 0, wire::last),
		make(Kind{77}),
		make(Kind::hello, 0, 0, sizeof(wire::Hello)),
	};

	for (const Frame &frame : bad) {
		const auto result = answer_to(frame, Role::serve, Stream::push);

		ASSERT_FALSE(result.ok()) << static_cast<int>(frame.head.kind);
		EXPECT_EQ(result.error(), Error::protocol);
	}
	EXPECT_TRUE(answer_to(make(Kind::zeros, 0, pages), Role::serve, Stream::push).ok());
	EXPECT_TRUE(answer_to(make(Kind::missing, pages / 64 * 64, 0, 8), Role::serve, Stream::push)
			    .ok());
}

TEST(Wire, the_end_of_what_is_present_is_at_no_page)
{
	const Frame bad[] = {
		make(Kind::have, 0, 0, 0),
		make(Kind::have, 64, 0, 0, wire::last),
		make(Kind::have, ~std::uint64_t{0}, 0, 0, wire::last),
		make(Kind::have, 0, 0, 0, wire::last | wire::again),
		make(Kind::have, 0, 0, 8, wire::staged),
	};

	for (const Frame &frame : bad) {
		const auto result = answer_to(frame, Role::fetch, Stream::push);

		ASSERT_FALSE(result.ok()) << frame.head.page << ' ' << frame.head.flags;
		EXPECT_EQ(result.error(), Error::protocol);
	}
	EXPECT_TRUE(
		answer_to(make(Kind::have, 0, 0, 8, wire::last), Role::fetch, Stream::push).ok());
}

TEST(Wire, a_hello_comes_first)
{
	Collector collector;
	Receiver<Collector> receiver(collector, Role::serve, Stream::push, pages);
	const auto result = feed(receiver, bytes_of({make(Kind::go)}), 4096);

	ASSERT_FALSE(result.ok());
	EXPECT_EQ(result.error(), Error::protocol);
}

/* ---- the plan ---------------------------------------------------------------------- */

struct Plan {
	explicit Plan(std::uint32_t pages) : words((pages + 63) / 64), plan(words.data(), pages)
	{
		for (std::uint32_t page = 0; page < pages; page++)
			plan.put_back(page);
	}
	std::vector<std::uint64_t> words;
	PushPlan plan;
};

TEST(PushPlan, each_page_once_and_against_an_oracle)
{
	RandomStream random(0);

	for (unsigned round = 0; round < 50; round++) {
		const auto size = static_cast<std::uint32_t>(random.below(700) + 1);
		Plan test(size);
		std::set<std::uint32_t> left;

		for (std::uint32_t page = 0; page < size; page++)
			left.insert(page);
		std::uint32_t cursor = 0;
		while (!left.empty()) {
			EXPECT_EQ(test.plan.left(), left.size());
			if (random.below(3) == 0) {
				const auto page = static_cast<std::uint32_t>(random.below(size));

				EXPECT_EQ(test.plan.take(page), left.erase(page) == 1);
				test.plan.follow(page);
				cursor = page + 1 == size ? 0 : page + 1;
				continue;
			}
			const auto most = static_cast<std::uint32_t>(random.below(16) + 1);
			const auto run = test.plan.take_run(most);
			if (left.empty()) {
				EXPECT_EQ(run.count, 0U);
				break;
			}
			auto next = left.lower_bound(cursor);
			if (next == left.end())
				next = left.begin();
			EXPECT_EQ(run.first, *next) << "behind " << cursor;
			ASSERT_GT(run.count, 0U);
			ASSERT_LE(run.count, most);
			for (std::uint32_t i = 0; i < run.count; i++)
				EXPECT_EQ(left.erase(run.first + i), 1U);
			if (run.count < most) {
				EXPECT_FALSE(left.contains(run.first + run.count));
			}
			cursor = run.first + run.count == size ? 0 : run.first + run.count;
		}
		EXPECT_EQ(test.plan.take_run(16).count, 0U);
	}
}

TEST(PushPlan, demands_and_runs_at_once)
{
	constexpr std::uint32_t size = 20'000;
	Plan test(size);
	std::vector<std::atomic<unsigned>> taken(size);
	std::thread demands([&] {
		RandomStream random(0, 1);

		for (unsigned i = 0; i < size; i++) {
			const auto page = static_cast<std::uint32_t>(random.below(size));

			test.plan.follow(page);
			if (test.plan.take(page))
				taken[page]++;
		}
	});
	for (;;) {
		const auto run = test.plan.take_run(16);

		if (!run.count)
			break;
		for (std::uint32_t i = 0; i < run.count; i++)
			taken[run.first + i]++;
	}
	demands.join();
	for (std::uint32_t page = 0; page < size; page++)
		ASSERT_EQ(taken[page], 1U) << page;
}

} // namespace
