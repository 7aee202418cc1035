/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pages that are moved hold: words that tell their place, so that no page can be
 * taken for another, nor for one that was never filled. Also for the guest.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace corbel::selftest {

inline constexpr size_t words_of_page = 512;

constexpr uint64_t pattern_word(uint64_t page, uint64_t word, uint64_t seed)
{
	uint64_t mixed = ((page * words_of_page + word + 1) * 0x9e3779b97f4a7c15) ^ seed;

	mixed ^= mixed >> 29;
	return (mixed * 0xbf58476d1ce4e5b9) | 1;
}

struct page_pattern {
	uint64_t words[words_of_page];

	constexpr page_pattern(uint64_t page, uint64_t seed)
	{
		for (size_t i = 0; i < words_of_page; i++)
			words[i] = pattern_word(page, i, seed);
	}
};

} // namespace corbel::selftest
