/* SPDX-License-Identifier: GPL-2.0 */
/*
 * push_plan.hh - which pages are still to be sent, and in what order.
 *
 * Both streams take pages from it, each once: what is demanded, and runs of what follows the
 * page demanded last, as one who missed a page is likely to miss its neighbours next (Hines,
 * Deshpande, Gopalan: Post-Copy Live Migration of Virtual Machines, 2009, "adaptive
 * pre-paging"). The memory is the caller's. No locks: any context.
 */
#pragma once

#include "../rt/atomic.hh"

#include <bit>
#include <cstdint>

namespace corbel::postcopy {

class PushPlan {
public:
	/* @words: a bit for each of @pages, set: to be sent. */
	PushPlan(std::uint64_t *words, std::uint32_t pages) : words_(words), pages_(pages) {}

	/* True: it is the caller's to send, and nobody else's. */
	[[nodiscard]] bool take(std::uint32_t page)
	{
		return rt::test_and_clear_bit(&words_[page / 64], page % 64);
	}
	/* It was not sent after all. */
	void put_back(std::uint32_t page) { rt::set_bit(&words_[page / 64], page % 64); }

	/* @page was demanded. */
	void follow(std::uint32_t page)
	{
		cursor_.store(page + 1 < pages_ ? page + 1 : 0, rt::Order::relaxed);
	}

	struct Run {
		std::uint32_t first;
		std::uint32_t count; /* 0: nothing is left */
	};
	/* Up to @most pages in a row, which are the caller's to send. One caller at a time. */
	[[nodiscard]] Run take_run(std::uint32_t most)
	{
		std::uint32_t begin = cursor_.load(rt::Order::relaxed), at = begin;
		Run run = {0, 0};

		while (!run.count) {
			const std::uint32_t found = find(at);

			if (found == pages_)
				return run;
			run.first = at = found;
			while (run.count < most && at < pages_ && take(at)) {
				run.count++;
				at++;
			}
			/* None: somebody was faster. What comes next? */
			if (at == pages_)
				at = 0;
		}
		/* If a page was demanded meanwhile, that is where to go on. */
		(void)cursor_.compare_exchange(begin, at, rt::Order::relaxed);
		return run;
	}

	[[nodiscard]] std::uint64_t left() const
	{
		std::uint64_t sum = 0;

		for (std::uint32_t word = 0; word < words(); word++)
			sum += static_cast<std::uint64_t>(std::popcount(load(word)));
		return sum;
	}
	[[nodiscard]] std::uint32_t words() const { return (pages_ + 63) / 64; }

private:
	[[nodiscard]] std::uint64_t load(std::uint32_t word) const
	{
		return rt::atomic_load(&words_[word], rt::Order::relaxed);
	}
	/* The first from @at on, then from the beginning; pages_: there is none. */
	[[nodiscard]] std::uint32_t find(std::uint32_t at) const
	{
		std::uint32_t word = at / 64;
		std::uint64_t bits = load(word) & ~std::uint64_t{0} << (at % 64);

		for (std::uint32_t looked = 0; looked <= words(); looked++) {
			if (bits)
				return word * 64 +
				       static_cast<std::uint32_t>(std::countr_zero(bits));
			word = word + 1 < words() ? word + 1 : 0;
			bits = load(word);
		}
		return pages_;
	}

	std::uint64_t *words_;
	std::uint32_t pages_;
	rt::Atomic<std::uint32_t> cursor_{};
};

} /* namespace corbel::postcopy */
