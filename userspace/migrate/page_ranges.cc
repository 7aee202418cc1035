// SPDX-License-Identifier: GPL-2.0-or-later
#include "page_ranges.hh"

#include <bit>

#include <fmt/format.h>

namespace corbel::migrate {

namespace {

/* The first page from @page on whose bit is @set; that behind the last word: there is none. */
std::uint64_t find(std::span<const std::uint64_t> bits, std::uint64_t page, bool set)
{
	const std::uint64_t end = bits.size() * 64;

	while (page < end) {
		const std::uint64_t word = (set ? bits[page / 64] : ~bits[page / 64]) >> page % 64;

		if (word)
			return page + static_cast<std::uint64_t>(std::countr_zero(word));
		page = (page / 64 + 1) * 64;
	}
	return end;
}

} /* namespace */

std::string text_of_pages(std::span<const std::uint64_t> bits, std::size_t most)
{
	const std::uint64_t end = bits.size() * 64;
	std::string text;
	std::size_t ranges = 0;

	for (std::uint64_t first = find(bits, 0, true); first < end; ranges++) {
		const std::uint64_t behind = find(bits, first, false);

		if (ranges < most) {
			text += fmt::format("{}{}", ranges ? "," : "", first);
			if (behind - first > 1)
				text += fmt::format("-{}", behind - 1);
		}
		first = find(bits, behind, true);
	}
	if (ranges > most)
		text += fmt::format(" and {} more ranges", ranges - most);
	return text;
}

} /* namespace corbel::migrate */
