// SPDX-License-Identifier: GPL-2.0-or-later
#include "extent.hh"

#include <algorithm>
#include <cerrno>
#include <tuple>

#include <fmt/format.h>

namespace corbel::extents {

std::unexpected<Error> too_many_extents()
{
	return failure(E2BIG, fmt::format("It lies in more than {} pieces: copy it to a file that "
					  "is allocated beforehand, or defragment it.",
					  most_extents));
}

Result<std::vector<Extent>> through(const std::vector<Extent> &these,
				    const std::vector<Extent> &map)
{
	std::vector<Extent> found;

	for (const auto &each : these) {
		const auto end = each.at + each.bytes;
		auto part = std::ranges::upper_bound(map, each.at, {}, &Extent::end);

		for (; part != map.end() && part->offset < end; ++part) {
			const auto from = std::max(each.at, part->offset);
			const auto to = std::min(end, part->end());

			if (found.size() == most_extents)
				return too_many_extents();
			found.push_back({each.offset + (from - each.at),
					 part->at + (from - part->offset), to - from});
		}
	}
	return found;
}

std::vector<Extent> joined(std::vector<Extent> extents)
{
	std::vector<Extent> result;

	std::ranges::sort(extents, {},
			  [](const Extent &each) { return std::tie(each.offset, each.at); });
	for (const auto &each : extents) {
		if (!result.empty() && result.back().end() == each.offset &&
		    result.back().at + result.back().bytes == each.at)
			result.back().bytes += each.bytes;
		else
			result.push_back(each);
	}
	return result;
}

std::uint64_t bytes_of(const std::vector<Extent> &extents)
{
	std::uint64_t bytes = 0;

	for (const auto &each : extents)
		bytes += each.bytes;
	return bytes;
}

} /* namespace corbel::extents */
