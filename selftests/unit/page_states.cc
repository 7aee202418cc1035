// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages come once, and requests are told once: against an oracle, and from many threads. */
#include "postcopy/page_states.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace corbel::unit;
using corbel::postcopy::PageStates;
using corbel::postcopy::PageTables;
using corbel::postcopy::words_for;

struct HostLock {
	std::mutex mutex;

	int lock()
	{
		mutex.lock();
		return 0;
	}
	void unlock(int) { mutex.unlock(); }
};

struct Region {
	explicit Region(std::uint32_t pages)
		: present(words_for(pages)),
		  claimed(words_for(pages)),
		  requested(words_for(pages)),
		  queue(pages),
		  states(lock,
			 PageTables{present.data(), claimed.data(), requested.data(), queue.data()},
			 pages)
	{}

	HostLock lock;
	std::vector<std::uint64_t> present, claimed, requested;
	std::vector<std::uint32_t> queue;
	PageStates<HostLock> states;
};

using Page = PageStates<HostLock>::Page;

TEST(page_states, as_the_oracle_says)
{
	for (std::uint64_t variant = 0; variant < 200; variant++) {
		RandomStream random(600, variant);
		const auto pages = static_cast<std::uint32_t>(1 + random.below(200));
		Region region(pages);
		auto &states = region.states;
		std::set<std::uint32_t> present, claimed, requested;
		std::deque<std::uint32_t> queue;

		while (random.more()) {
			const auto page = static_cast<std::uint32_t>(random.below(pages));

			switch (random.below(6)) {
			case 0:
				if (present.contains(page))
					break;
				ASSERT_EQ(states.request(page), !requested.contains(page));
				if (requested.insert(page).second)
					queue.push_back(page);
				break;
			case 1: {
				while (!queue.empty() && present.contains(queue.front()))
					queue.pop_front();
				const auto taken = states.take_request();
				ASSERT_EQ(taken.has_value(), !queue.empty());
				if (taken) {
					ASSERT_EQ(*taken, queue.front());
					queue.pop_front();
				}
				break;
			}
			case 2:
				ASSERT_EQ(states.claim(page), claimed.insert(page).second);
				break;
			case 3:
				if (claimed.contains(page) && present.insert(page).second)
					states.filled(page);
				break;
			case 4:
				if (claimed.contains(page) && !present.contains(page)) {
					states.given_up(page);
					claimed.erase(page);
				}
				break;
			default:
				if (random.below(8))
					break;
				states.requeue();
				queue.clear();
				for (const auto one : requested)
					if (!present.contains(one))
						queue.push_back(one);
			}
			ASSERT_EQ(states.count_present(), present.size());
			ASSERT_EQ(states.look(page) == Page::present, present.contains(page));
			std::uint64_t waiting = 0;
			for (const auto one : requested)
				waiting += !present.contains(one);
			ASSERT_EQ(states.count_waiting(), waiting);
		}
	}
}

TEST(page_states, whole_pieces)
{
	Region region(1200);
	auto &states = region.states;

	for (std::uint32_t page = 0; page < 1200; page++) {
		EXPECT_FALSE(states.are_present(page / 512 * 512, 512));
		EXPECT_TRUE(states.claim(page));
		states.filled(page);
	}
	EXPECT_TRUE(states.are_present(0, 512));
	EXPECT_TRUE(states.are_present(512, 512));
	EXPECT_FALSE(states.are_present(1024, 512)) << "it has no 512 pages";
	Region full(77);
	full.states.all_present();
	EXPECT_EQ(full.states.count_present(), 77u);
	EXPECT_FALSE(full.states.claim(76));
}

TEST(page_states, failure_is_for_what_is_missing)
{
	Region region(10);

	EXPECT_TRUE(region.states.claim(3));
	region.states.filled(3);
	EXPECT_EQ(region.states.look(4), Page::missing);
	region.states.fail();
	EXPECT_EQ(region.states.look(3), Page::present);
	EXPECT_EQ(region.states.look(4), Page::failed);
}

/* Whoever sees a page present sees what it was filled with, by the one that filled it. */
TEST(page_states_threads, each_page_is_filled_once)
{
	constexpr std::uint32_t pages = 2000;
	Region region(pages);
	auto &states = region.states;
	std::vector<std::uint64_t> contents(pages);
	std::atomic<std::uint64_t> filled{0}, told{0}, wrong{0};
	std::vector<std::thread> threads;

	for (unsigned t = 0; t < 2; t++)
		threads.emplace_back([&, t] {
			for (std::uint32_t i = 0; i < pages; i++) {
				const std::uint32_t page = t ? pages - 1 - i : i;

				if (!states.claim(page))
					continue;
				contents[page] = page * 3 + 1;
				states.filled(page);
				filled++;
			}
		});
	for (unsigned t = 0; t < 2; t++)
		threads.emplace_back([&, t] {
			RandomStream random(3 * pages, t);

			while (random.more()) {
				const auto page = static_cast<std::uint32_t>(random.below(pages));

				if (states.look(page) == Page::present)
					wrong += contents[page] != page * 3 + 1;
				else
					(void)states.request(page);
				told += states.take_request().has_value();
			}
		});
	for (auto &thread : threads)
		thread.join();
	while (states.take_request())
		told++;
	EXPECT_EQ(filled, pages);
	EXPECT_EQ(states.count_present(), pages);
	EXPECT_EQ(wrong, 0u);
	EXPECT_LE(told, states.count_requested());
	EXPECT_EQ(states.count_waiting(), 0u);
}

} // namespace
