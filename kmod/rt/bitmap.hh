/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bitmap.hh - a fixed set of small numbers, bit n is bit n % 64 of word n / 64.
 *
 * The plain operations are for a bitmap that one thread owns at a time. The
 * atomic_ ones work bit by bit, or word by word, on a shared one: what they
 * return is the truth about that bit or word alone, a whole-bitmap answer
 * (any_atomic, snapshot) is none about a single moment.
 */
#pragma once

#include "atomic.hh"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace corbel::rt {

template <std::size_t N>
class Bitmap {
	static_assert(N > 0);

public:
	static constexpr std::size_t size = N;
	static constexpr std::size_t words = (N + 63) / 64;

	[[nodiscard]] constexpr bool test(std::size_t bit) const
	{
		return words_[word_of(bit)] >> (bit % 64) & 1;
	}
	constexpr void set(std::size_t bit) { words_[word_of(bit)] |= mask_of(bit); }
	constexpr void clear(std::size_t bit) { words_[word_of(bit)] &= ~mask_of(bit); }

	constexpr void clear_all()
	{
		for (auto &word : words_)
			word = 0;
	}

	[[nodiscard]] constexpr bool any() const
	{
		std::uint64_t all = 0;

		for (auto word : words_)
			all |= word;
		return all != 0;
	}

	[[nodiscard]] constexpr std::size_t count() const
	{
		std::size_t sum = 0;

		for (auto word : words_)
			sum += static_cast<std::size_t>(std::popcount(word));
		return sum;
	}

	/* @visit(bit) in ascending order; it may change bits of its own bitmap. */
	template <typename Visit>
	constexpr void for_each_set(Visit &&visit) const
	{
		for (std::size_t i = 0; i < words; i++)
			for (auto word = words_[i]; word != 0; word &= word - 1)
				visit(i * 64 + static_cast<std::size_t>(std::countr_zero(word)));
	}

	constexpr Bitmap &operator|=(const Bitmap &other)
	{
		for (std::size_t i = 0; i < words; i++)
			words_[i] |= other.words_[i];
		return *this;
	}
	constexpr Bitmap &operator&=(const Bitmap &other)
	{
		for (std::size_t i = 0; i < words; i++)
			words_[i] &= other.words_[i];
		return *this;
	}
	/* Take away what is in @other. */
	constexpr Bitmap &operator-=(const Bitmap &other)
	{
		for (std::size_t i = 0; i < words; i++)
			words_[i] &= ~other.words_[i];
		return *this;
	}
	friend constexpr bool operator==(const Bitmap &, const Bitmap &) = default;

	/* Whole words; bits past the end of an odd-sized bitmap are dropped. */
	[[nodiscard]] constexpr std::uint64_t word(std::size_t i) const { return words_[i]; }
	constexpr void set_word(std::size_t i, std::uint64_t value)
	{
		words_[i] = value & valid_bits(i);
	}

	[[nodiscard]] bool atomic_test(std::size_t bit, Order order) const
	{
		return rt::test_bit(&words_[word_of(bit)], bit % 64, order);
	}
	/* True if the bit was set before; a full barrier on both sides. */
	bool atomic_test_and_set(std::size_t bit)
	{
		return rt::test_and_set_bit(&words_[word_of(bit)], bit % 64);
	}
	bool atomic_test_and_clear(std::size_t bit)
	{
		return rt::test_and_clear_bit(&words_[word_of(bit)], bit % 64);
	}
	void atomic_or(const Bitmap &other)
	{
		for (std::size_t i = 0; i < words; i++)
			if (other.words_[i] != 0)
				__atomic_fetch_or(&words_[i], other.words_[i], __ATOMIC_SEQ_CST);
	}
	[[nodiscard]] bool any_atomic(Order order) const
	{
		std::uint64_t all = 0;

		for (const auto &word : words_)
			all |= atomic_load(&word, order);
		return all != 0;
	}
	[[nodiscard]] Bitmap snapshot(Order order) const
	{
		Bitmap copy;

		for (std::size_t i = 0; i < words; i++)
			copy.words_[i] = atomic_load(&words_[i], order);
		return copy;
	}

private:
	/* A wrong index is a bug in the caller; it must not become a stray write. */
	static constexpr std::size_t word_of(std::size_t bit)
	{
		if (bit >= N)
			__builtin_trap();
		return bit / 64;
	}
	static constexpr std::uint64_t mask_of(std::size_t bit)
	{
		return std::uint64_t{1} << (bit % 64);
	}
	static constexpr std::uint64_t valid_bits(std::size_t i)
	{
		return i + 1 < words || N % 64 == 0 ? ~std::uint64_t{0}
						    : (std::uint64_t{1} << (N % 64)) - 1;
	}

	std::uint64_t words_[words]{};
};

} /* namespace corbel::rt */
