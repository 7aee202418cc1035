/* SPDX-License-Identifier: GPL-2.0-or-later */
/* irq_text.hh - interrupts of a VM as lines of text. */
#pragma once

#include "sample.hh"
#include "table.hh"

#include <string>
#include <string_view>
#include <vector>

namespace corbel::cli {

struct Line {
	std::string text;
	bool title = false; /* stands out where the terminal can do that */
};

struct Room {
	std::size_t width = any_width;
	std::size_t height = any_width;
};

/*
 * A headline, the totals, a table of vCPUs and one of vectors. Rates if the
 * activity has an interval, else counts. Rows that do not fit are left out, the
 * quietest first, and a line says how many.
 */
[[nodiscard]] std::vector<Line> show_activity(const Activity &activity, std::string_view headline,
					      Room room = {});

} /* namespace corbel::cli */
