// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.hh"

#include <algorithm>
#include <cassert>

namespace corbel::cli {

namespace {

constexpr std::size_t gap = 2;

bool continues_character(char byte)
{
	return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

} /* namespace */

std::size_t display_width(std::string_view text)
{
	return static_cast<std::size_t>(
		std::ranges::count_if(text, [](char c) { return !continues_character(c); }));
}

std::string fit(std::string_view text, std::size_t width)
{
	std::size_t characters = 0;

	for (std::size_t at = 0; at < text.size(); at++)
		if (!continues_character(text[at]) && ++characters > width)
			return std::string(text.substr(0, at));
	return std::string(text);
}

std::string printable(std::string_view text)
{
	std::string safe(text);

	std::ranges::replace_if(safe, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
	return safe;
}

void Table::add(std::vector<std::string> cells)
{
	assert(cells.size() == columns_.size());
	rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::lines(std::size_t width) const
{
	std::vector<std::size_t> widths, shown;
	std::vector<std::string> lines;

	for (std::size_t i = 0; i < columns_.size(); i++) {
		auto widest = display_width(columns_[i].title);

		for (const auto &row : rows_)
			widest = std::max(widest, display_width(row[i]));
		widths.push_back(widest);
		shown.push_back(i);
	}

	auto total = [&] {
		std::size_t sum = 0;

		for (auto i : shown)
			sum += widths[i] + gap;
		return sum - std::min(sum, gap);
	};
	while (total() > width) {
		/* max_element finds the first of equals, so look from the end. */
		auto last = std::max_element(shown.rbegin(), shown.rend(), [&](auto a, auto b) {
			return columns_[a].rank < columns_[b].rank;
		});
		if (columns_[*last].rank == 0)
			break;
		shown.erase(std::next(last).base());
	}

	auto put = [&](auto &&cell_of) {
		std::string line;

		for (auto i : shown) {
			const std::string &cell = cell_of(i);
			std::string padding(widths[i] - display_width(cell), ' ');

			if (!line.empty())
				line.append(gap, ' ');
			line += columns_[i].align == Align::right ? padding + cell : cell + padding;
		}
		line.erase(line.find_last_not_of(' ') + 1);
		lines.push_back(fit(line, width));
	};
	put([&](auto i) -> const std::string & { return columns_[i].title; });
	for (const auto &row : rows_)
		put([&](auto i) -> const std::string & { return row[i]; });
	return lines;
}

} /* namespace corbel::cli */
