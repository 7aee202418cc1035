/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.hh - aligned columns that fit a width.
 *
 * Where there is not enough room the columns of the greatest rank are left out
 * first, the last of them before the others; rank 0 always stays.
 */
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::cli {

inline constexpr std::size_t any_width = std::numeric_limits<std::size_t>::max();

class Table {
public:
	enum class Align { left, right };

	struct Column {
		std::string title;
		Align align = Align::right;
		int rank = 0;
	};

	explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

	/* As many cells as there are columns. */
	void add(std::vector<std::string> cells);

	/* The titles, then the rows; none is wider than @width if rank 0 fits. */
	[[nodiscard]] std::vector<std::string> lines(std::size_t width = any_width) const;

private:
	std::vector<Column> columns_;
	std::vector<std::vector<std::string>> rows_;
};

/* Characters of UTF-8 text; what is not UTF-8 counts byte by byte. */
[[nodiscard]] std::size_t display_width(std::string_view text);

/* Cut to @width characters. */
[[nodiscard]] std::string fit(std::string_view text, std::size_t width);

/* Control characters as '?', so that a name cannot write to the terminal. */
[[nodiscard]] std::string printable(std::string_view text);

} /* namespace corbel::cli */
