/* SPDX-License-Identifier: GPL-2.0 */
/*
 * page_states.hh - which pages are present, and who is to bring those that are not.
 *
 * A page goes from missing to present once. Whoever brings it claims it first, so that of
 * several who do so one fills it and it is not written again; only a filled page becomes
 * present, and whoever sees it present sees what it was filled with.
 *
 * Who misses a page requests it: once it is in the queue, where it stays until it is taken.
 * Queue and request bits change together under the lock, so that a page is in the queue at
 * most once, however often it is requested and requeued, and the queue has room for all.
 *
 * The memory is the caller's. Nothing here sleeps; the lock is the caller's too.
 */
#pragma once

#include "../rt/atomic.hh"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace corbel::postcopy {

/* Bytes that PageStates needs for @pages. */
constexpr std::size_t words_for(std::uint64_t pages)
{
	return (pages + 63) / 64;
}

struct PageTables {
	std::uint64_t *present; /* words_for(pages) each, zeroed */
	std::uint64_t *claimed;
	std::uint64_t *requested;
	std::uint32_t *queue; /* pages */
};

/* @Lock: init-less, with lock() that returns what unlock() takes. */
template <typename Lock>
class PageStates {
public:
	enum class Page { present, missing, failed };

	PageStates(Lock &lock, const PageTables &tables, std::uint32_t pages)
		: lock_(lock), tables_(tables), pages_(pages)
	{}

	/* Before anybody else sees it. */
	void all_present()
	{
		for (std::uint64_t page = 0; page < pages_; page++) {
			tables_.present[page / 64] |= bit_of(page);
			tables_.claimed[page / 64] |= bit_of(page);
		}
		present_.store(pages_, rt::Order::relaxed);
	}

	[[nodiscard]] std::uint32_t size() const { return pages_; }
	[[nodiscard]] bool is_present(std::uint32_t page) const
	{
		return rt::test_bit(&tables_.present[page / 64], page % 64, rt::Order::acquire);
	}
	/* All of @count from @first on, both multiples of 64. */
	[[nodiscard]] bool are_present(std::uint32_t first, std::uint32_t count) const
	{
		if (first + std::uint64_t{count} > pages_)
			return false;
		for (std::uint32_t word = first / 64; word < (first + count) / 64; word++) {
			if (~rt::atomic_load(&tables_.present[word], rt::Order::acquire))
				return false;
		}
		return true;
	}

	/* Bits of those from @first, a multiple of 64, on. False: none is. */
	[[nodiscard]] bool copy_present(std::uint32_t first, std::uint64_t *to,
					std::uint32_t words) const
	{
		std::uint64_t any = 0;

		for (std::uint32_t i = 0; i < words; i++) {
			to[i] = rt::atomic_load(&tables_.present[first / 64 + i],
						rt::Order::acquire);
			any |= to[i];
		}
		return any;
	}

	/* What becomes of who touches @page now. */
	[[nodiscard]] Page look(std::uint32_t page) const
	{
		if (is_present(page))
			return Page::present;
		return failed_.load(rt::Order::acquire) ? Page::failed : Page::missing;
	}

	/* It is missed. True: it is in the queue since now, and its readers are to be told. */
	[[nodiscard]] bool request(std::uint32_t page)
	{
		if (rt::test_bit(&tables_.requested[page / 64], page % 64, rt::Order::relaxed))
			return false;
		const auto flags = lock_.lock();
		const bool first = !(tables_.requested[page / 64] & bit_of(page));

		if (first) {
			/* Others look at the bits of this word without the lock. */
			(void)rt::test_and_set_bit(&tables_.requested[page / 64], page % 64);
			push(page);
			requested_++;
		}
		lock_.unlock(flags);
		return first;
	}

	/* The next one that is still missing; nothing: none is. */
	[[nodiscard]] std::optional<std::uint32_t> take_request()
	{
		std::optional<std::uint32_t> taken;
		const auto flags = lock_.lock();

		while (queued_ && !taken) {
			const std::uint32_t page = tables_.queue[head_];

			head_ = head_ + 1 == pages_ ? 0 : head_ + 1;
			queued_--;
			if (!is_present(page))
				taken = page;
		}
		lock_.unlock(flags);
		return taken;
	}
	/* There may be one. */
	[[nodiscard]] bool has_requests() const
	{
		return rt::atomic_load(&queued_, rt::Order::relaxed) != 0;
	}

	/* All that are missing are to be taken again. */
	void requeue()
	{
		const auto flags = lock_.lock();

		head_ = 0;
		queued_ = 0;
		for (std::size_t word = 0; word < words_for(pages_); word++) {
			const auto present =
				rt::atomic_load(&tables_.present[word], rt::Order::acquire);

			for (auto bits = tables_.requested[word] & ~present; bits; bits &= bits - 1)
				push(static_cast<std::uint32_t>(
					word * 64 +
					static_cast<std::size_t>(std::countr_zero(bits))));
		}
		lock_.unlock(flags);
	}

	/* True: the caller fills it, then says filled() or given_up(). */
	[[nodiscard]] bool claim(std::uint32_t page)
	{
		return !rt::test_and_set_bit(&tables_.claimed[page / 64], page % 64);
	}
	void filled(std::uint32_t page)
	{
		(void)rt::test_and_set_bit(&tables_.present[page / 64], page % 64);
		present_.fetch_add(1, rt::Order::relaxed);
	}
	/* What it was filled with does not count. */
	void given_up(std::uint32_t page)
	{
		(void)rt::test_and_clear_bit(&tables_.claimed[page / 64], page % 64);
	}

	void fail() { failed_.store(true, rt::Order::seq_cst); }
	[[nodiscard]] bool failed() const { return failed_.load(rt::Order::acquire); }

	[[nodiscard]] std::uint64_t count_present() const
	{
		return present_.load(rt::Order::relaxed);
	}
	[[nodiscard]] std::uint64_t count_requested() const
	{
		return rt::atomic_load(&requested_, rt::Order::relaxed);
	}
	[[nodiscard]] std::uint64_t count_waiting() const
	{
		std::uint64_t sum = 0;

		for (std::size_t word = 0; word < words_for(pages_); word++)
			sum += static_cast<std::uint64_t>(std::popcount(
				rt::atomic_load(&tables_.requested[word], rt::Order::relaxed) &
				~rt::atomic_load(&tables_.present[word], rt::Order::relaxed)));
		return sum;
	}

private:
	static constexpr std::uint64_t bit_of(std::uint64_t page)
	{
		return std::uint64_t{1} << (page % 64);
	}
	/* Locked. */
	void push(std::uint32_t page)
	{
		const auto end = std::uint64_t{head_} + queued_;

		tables_.queue[end >= pages_ ? end - pages_ : end] = page;
		__atomic_store_n(&queued_, queued_ + 1, __ATOMIC_RELAXED);
	}

	Lock &lock_;
	PageTables tables_;
	std::uint32_t pages_;
	rt::Atomic<std::uint64_t> present_{};
	rt::Atomic<bool> failed_{};
	std::uint32_t head_ = 0, queued_ = 0; /* locked */
	std::uint64_t requested_ = 0; /* locked */
};

} /* namespace corbel::postcopy */
