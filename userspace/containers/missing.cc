// SPDX-License-Identifier: GPL-2.0-or-later
#include "missing.hh"

#include "images.hh"

#include <algorithm>
#include <iterator>
#include <vector>

namespace corbel::containers {

namespace {

std::uint64_t end_of(const MissingRun &run)
{
	return run.address + run.pages * page_size;
}

/* What of it is in these addresses; pages may be 0. */
MissingRun part_of(const MissingRun &run, std::uint64_t begin, std::uint64_t end)
{
	const auto from = std::max(run.address, begin), to = std::min(end_of(run), end);

	if (from >= to)
		return {};
	return {from, (to - from) / page_size, run.page + (from - run.address) / page_size};
}

} /* namespace */

void Missing::add(const MissingRun &run)
{
	if (run.pages)
		runs_[run.address] = run;
}

std::optional<MissingRun> Missing::at(std::uint64_t address) const
{
	auto found = runs_.upper_bound(address);

	if (found == runs_.begin())
		return std::nullopt;
	const auto part = part_of((--found)->second, address / page_size * page_size, UINT64_MAX);
	return part.pages ? std::optional(part) : std::nullopt;
}

std::optional<MissingRun> Missing::first() const
{
	return runs_.empty() ? std::nullopt : std::optional(runs_.begin()->second);
}

std::uint64_t Missing::pages() const
{
	std::uint64_t sum = 0;

	for (const auto &[address, run] : runs_)
		sum += run.pages;
	return sum;
}

void Missing::drop(std::uint64_t begin, std::uint64_t end)
{
	auto at = runs_.upper_bound(begin);

	if (at != runs_.begin() && end_of(std::prev(at)->second) > begin)
		--at;
	while (at != runs_.end() && at->first < end) {
		const auto run = at->second;

		at = runs_.erase(at);
		add(part_of(run, 0, begin));
		add(part_of(run, end, UINT64_MAX));
	}
}

void Missing::move(std::uint64_t from, std::uint64_t to, std::uint64_t bytes)
{
	std::vector<MissingRun> moved;

	for (const auto &[address, run] : runs_)
		if (auto part = part_of(run, from, from + bytes); part.pages) {
			part.address = part.address - from + to;
			moved.push_back(part);
		}
	drop(from, from + bytes);
	drop(to, to + bytes);
	for (const auto &run : moved)
		add(run);
}

} /* namespace corbel::containers */
