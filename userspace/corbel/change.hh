/* SPDX-License-Identifier: GPL-2.0-or-later */
/* change.hh - whether a verb changed anything, said the same way by all of them. */
#pragma once

#include <string_view>

namespace corbel::cli {

struct Change {
	bool dry_run = false;
	bool changed = false; /* or would be, in a dry run */
};

/* What follows the new state on its line. */
[[nodiscard]] constexpr std::string_view sentence_of(const Change &change)
{
	if (!change.dry_run)
		return "";
	return change.changed ? " (would be: nothing was changed)" : " (as it is already)";
}

} /* namespace corbel::cli */
