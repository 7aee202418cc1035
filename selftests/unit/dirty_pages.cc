// SPDX-License-Identifier: GPL-2.0-or-later
/* The seal's word, and the collecting of dirty pages: against an oracle, and from many threads. */
#include "postcopy/dirty_pages.hh"
#include "postcopy/seal.hh"
#include "random_stream.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace corbel::unit;
using corbel::postcopy::DirtyPages;
using corbel::postcopy::Seal;

TEST(seal, is_taken_off_only_if_nobody_holds_it)
{
	Seal seal;

	EXPECT_FALSE(seal.is_set());
	EXPECT_EQ(seal.clear(), Seal::Off::was_off);
	EXPECT_FALSE(seal.hold());
	EXPECT_TRUE(seal.set());
	EXPECT_FALSE(seal.set());
	EXPECT_TRUE(seal.hold());
	EXPECT_TRUE(seal.hold());
	EXPECT_FALSE(seal.set());
	EXPECT_EQ(seal.clear(), Seal::Off::held);
	seal.release();
	EXPECT_EQ(seal.clear(), Seal::Off::held);
	seal.release();
	EXPECT_TRUE(seal.is_set());
	EXPECT_EQ(seal.clear(), Seal::Off::done);
	EXPECT_FALSE(seal.is_set());
}

/* One that is held is sealed for as long. */
TEST(seal_threads, holds)
{
	Seal seal;
	std::atomic<bool> over{false};
	std::atomic<unsigned> held{0}, wrong{0};
	std::thread toggler([&] {
		while (!over) {
			(void)seal.set();
			(void)seal.clear();
		}
	});
	std::thread holder([&] {
		for (RandomStream random(20000); random.more();) {
			if (!seal.hold())
				continue;
			held++;
			wrong += !seal.is_set();
			wrong += seal.set();
			seal.release();
		}
	});

	holder.join();
	over = true;
	toggler.join();
	EXPECT_EQ(wrong, 0u);
}

/* Pages that can be written to through an entry, or are in use; each has a lock, or all one. */
struct Memory {
	explicit Memory(std::uint32_t pages, std::uint32_t group)
		: pages(pages),
		  group(group),
		  words((pages + 63) / 64),
		  dirty(pages),
		  entries(pages),
		  users(pages)
	{
		dirty.give_memory(words.data());
	}

	void lock(std::uint32_t page)
	{
		EXPECT_EQ(page % group, 0u);
		locked++;
	}
	void unlock(std::uint32_t) { locked--; }
	void protect(std::uint32_t first, std::uint32_t count)
	{
		EXPECT_LE(first + count, pages);
		for (std::uint32_t i = 0; i < count; i++)
			entries[first + i] = false;
	}
	bool in_use(std::uint32_t page)
	{
		for (std::uint32_t i = 0; i < group && page + i < pages; i++)
			if (users[page + i])
				return true;
		return false;
	}

	std::set<std::uint32_t> collect(std::uint64_t &sum)
	{
		std::set<std::uint32_t> all;

		sum = 0;
		for (std::uint32_t first = 0; first < pages; first += 512) {
			const std::uint32_t count = std::min(512u, pages - first);
			std::vector<std::uint64_t> told((count + 63) / 64);

			sum += dirty.collect(*this, first, count, group == 1 ? 1 : count,
					     told.data());
			for (std::uint32_t i = 0; i < count; i++)
				if (told[i / 64] >> (i % 64) & 1)
					all.insert(first + i);
		}
		EXPECT_EQ(locked, 0);
		return all;
	}

	std::uint32_t pages, group;
	std::vector<DirtyPages::Word> words;
	DirtyPages dirty;
	std::vector<bool> entries;
	std::vector<unsigned> users;
	int locked = 0;
};

TEST(dirty_pages, as_the_oracle_says)
{
	for (std::uint64_t variant = 0; variant < 60; variant++) {
		RandomStream random(400, variant);
		const std::uint32_t group = variant % 2 ? 1 : 512;
		Memory memory(static_cast<std::uint32_t>(1 + random.below(1500)), group);
		std::set<std::uint32_t> marked;

		while (random.more()) {
			const auto page = static_cast<std::uint32_t>(random.below(memory.pages));

			switch (random.below(12)) {
			case 0: {
				std::uint64_t sum;
				const auto told = memory.collect(sum);
				ASSERT_EQ(told, marked);
				ASSERT_EQ(sum, marked.size());
				for (const auto one : marked)
					ASSERT_FALSE(memory.entries[one]);
				/* What somebody has still, with what has the same lock. */
				std::erase_if(marked, [&](std::uint32_t one) {
					return !memory.in_use(one / group * group);
				});
				break;
			}
			case 1:
				memory.users[page]++;
				if (!memory.entries[page]) {
					memory.dirty.mark(page);
					marked.insert(page);
				}
				break;
			case 2:
				memory.users[page] = 0;
				break;
			case 3: {
				const std::uint64_t bits = random.word();
				memory.dirty.mark_word(page / 64, bits);
				for (std::uint32_t i = 0; i < 64; i++)
					if (bits >> i & 1 && page / 64 * 64 + i < memory.pages)
						marked.insert(page / 64 * 64 + i);
				break;
			}
			default:
				memory.dirty.mark(page);
				memory.entries[page] = true;
				marked.insert(page);
			}
		}
	}
}

TEST(dirty_pages, nothing_is_marked_without_memory)
{
	DirtyPages dirty(100);

	dirty.mark(3);
	EXPECT_FALSE(dirty.has_memory());
	std::vector<DirtyPages::Word> words(dirty.words());
	dirty.give_memory(words.data());
	EXPECT_EQ(dirty.word(0), 0u);
	dirty.mark_word(1, ~std::uint64_t{0});
	EXPECT_EQ(dirty.word(1), (std::uint64_t{1} << 36) - 1) << "pages that do not exist";
}

} // namespace
