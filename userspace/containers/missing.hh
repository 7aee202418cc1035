/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * missing.hh - which pages a restored process still misses, and where those are.
 *
 * By address, as the process has them now: what it unmaps, gives back or moves is told. What is
 * not missing, and not there, is zero.
 */
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace corbel::containers {

struct MissingRun {
	std::uint64_t address = 0;
	std::uint64_t pages = 0;
	std::uint64_t page = 0; /* in the memory object, of the first one */

	bool operator==(const MissingRun &) const = default;
};

class Missing {
public:
	/* None of them is missing yet. */
	void add(const MissingRun &run);

	/* From the page of @address on; nothing: it is not missing. */
	[[nodiscard]] std::optional<MissingRun> at(std::uint64_t address) const;
	/* Of all, the lowest one. */
	[[nodiscard]] std::optional<MissingRun> first() const;
	[[nodiscard]] bool empty() const { return runs_.empty(); }
	[[nodiscard]] std::uint64_t pages() const;

	/* Not missing any more, whatever of it was. Both are multiples of a page. */
	void drop(std::uint64_t begin, std::uint64_t end);
	/* What is at @from is at @to now, and what was there is not. */
	void move(std::uint64_t from, std::uint64_t to, std::uint64_t bytes);
	void clear() { runs_.clear(); }

private:
	std::map<std::uint64_t, MissingRun> runs_; /* by address */
};

} /* namespace corbel::containers */
