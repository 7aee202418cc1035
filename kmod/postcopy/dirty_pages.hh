/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dirty_pages.hh - which pages were written, and how that is collected without losing a write.
 *
 * A page has a page table entry that lets somebody write only after it was marked: both are
 * done while its lock is held. So to collect is
 *
 *  1. to take the marks, each with the lock of its page held. A write that is being let
 *     through is then marked and has its entry, or it will be marked later;
 *  2. to take away the entries of what was marked. Who writes from then on is marked anew;
 *  3. to mark anew what somebody may write to without an entry: a device or a system call that
 *     was given the page, by its entry, before that was taken away.
 *
 * What the pages of the bitmap hold is to be read after all of this. Several pages can have
 * one lock and be given away as one.
 *
 * Nothing is marked before start(); the memory stays until the end, so that who marks needs
 * no lock against who stops.
 */
#pragma once

#include "../rt/atomic.hh"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace corbel::postcopy {

template <typename Atomics>
class DirtyPagesOf {
public:
	using Word = typename Atomics::template Atomic<std::uint64_t>;

	DirtyPagesOf() = default;
	explicit DirtyPagesOf(std::uint32_t pages) : pages_(pages) {}

	[[nodiscard]] std::size_t words() const { return (std::size_t{pages_} + 63) / 64; }
	[[nodiscard]] bool has_memory() const { return memory_ != nullptr; }
	/* words(), zeroed; once. */
	void give_memory(Word *memory) { __atomic_store_n(&memory_, memory, __ATOMIC_RELEASE); }

	/* Any context. */
	void mark(std::uint32_t page) { mark_word(page / 64, std::uint64_t{1} << (page % 64)); }
	/* @bits of pages that do not exist are dropped. */
	void mark_word(std::size_t index, std::uint64_t bits)
	{
		Word *memory = __atomic_load_n(&memory_, __ATOMIC_ACQUIRE);

		bits &= existing(index);
		if (memory && bits)
			(void)memory[index].fetch_or(bits, rt::Order::seq_cst);
	}

	/* As it is now, and left so. */
	[[nodiscard]] std::uint64_t word(std::size_t index) const
	{
		return memory_[index].load(rt::Order::relaxed);
	}

	/*
	 * As said above, of pages @first, a multiple of 64, to @first + @count - 1, into their
	 * words @told. @pages: lock(page) and unlock(page), which is the first that has this
	 * lock; protect(first, count), of all of @told or more; in_use(page), of all that have
	 * its lock. Of @group pages each has one lock: 1 or @count. How many.
	 */
	template <typename Pages>
	std::uint64_t collect(Pages &pages, std::uint32_t first, std::uint32_t count,
			      std::uint32_t group, std::uint64_t *told)
	{
		const std::size_t base = first / 64, size = (std::size_t{count} + 63) / 64;
		std::uint64_t sum = 0, any = 0;
		std::uint32_t from = count, to = 0;

		for (std::size_t i = 0; i < size; i++)
			any |= memory_[base + i].load(rt::Order::relaxed);
		if (!any)
			return 0;
		if (group == 1)
			take_singly(pages, first, size, told);
		else
			take_together(pages, first, size, told);
		for (std::size_t i = 0; i < size; i++) {
			if (!told[i])
				continue;
			const auto at = static_cast<std::uint32_t>(i * 64);
			const auto low = static_cast<std::uint32_t>(std::countr_zero(told[i]));
			const auto high = static_cast<std::uint32_t>(std::bit_width(told[i]));

			from = at + low < from ? at + low : from;
			to = at + high;
			sum += static_cast<std::uint64_t>(std::popcount(told[i]));
		}
		if (!sum)
			return 0;
		pages.protect(first + from, to - from);
		if (group == 1)
			mark_used_singly(pages, first, size, told);
		else if (pages.in_use(first))
			for (std::size_t i = 0; i < size; i++)
				mark_word(base + i, told[i]);
		return sum;
	}

private:
	[[nodiscard]] std::uint64_t existing(std::size_t index) const
	{
		return index + 1 < words() || pages_ % 64 == 0
			       ? ~std::uint64_t{0}
			       : (std::uint64_t{1} << (pages_ % 64)) - 1;
	}

	template <typename Pages>
	void take_together(Pages &pages, std::uint32_t first, std::size_t size, std::uint64_t *told)
	{
		pages.lock(first);
		for (std::size_t i = 0; i < size; i++)
			told[i] = memory_[first / 64 + i].exchange(0, rt::Order::seq_cst);
		pages.unlock(first);
	}

	template <typename Pages>
	void take_singly(Pages &pages, std::uint32_t first, std::size_t size, std::uint64_t *told)
	{
		for (std::size_t i = 0; i < size; i++) {
			Word &word = memory_[first / 64 + i];
			const auto marked = word.load(rt::Order::relaxed);

			told[i] = marked;
			for (auto bits = marked; bits; bits &= bits - 1) {
				const auto bit = static_cast<std::uint32_t>(std::countr_zero(bits));
				const auto page = first + static_cast<std::uint32_t>(i * 64) + bit;

				pages.lock(page);
				(void)word.fetch_and(~(std::uint64_t{1} << bit),
						     rt::Order::seq_cst);
				pages.unlock(page);
			}
		}
	}

	template <typename Pages>
	void mark_used_singly(Pages &pages, std::uint32_t first, std::size_t size,
			      const std::uint64_t *told)
	{
		for (std::size_t i = 0; i < size; i++) {
			std::uint64_t used = 0;

			for (auto bits = told[i]; bits; bits &= bits - 1) {
				const auto bit = static_cast<std::uint32_t>(std::countr_zero(bits));

				if (pages.in_use(first + static_cast<std::uint32_t>(i * 64) + bit))
					used |= std::uint64_t{1} << bit;
			}
			mark_word(first / 64 + i, used);
		}
	}

	std::uint32_t pages_ = 0;
	Word *memory_ = nullptr;
};

using DirtyPages = DirtyPagesOf<rt::HardwareAtomics>;

} /* namespace corbel::postcopy */
