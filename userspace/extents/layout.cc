// SPDX-License-Identifier: GPL-2.0-or-later
#include "layout.hh"

#include "source.hh"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::extents {

Result<Layout> find_layout(const std::string &path, const std::string &lun, bool sync,
			   Format format)
{
	struct stat status{};

	if (::stat(lun.c_str(), &status) != 0)
		return failure(errno, fmt::format("{}: {}.", lun, describe_errno(errno)));
	if (!S_ISBLK(status.st_mode))
		return failure(ENOTBLK, fmt::format("{} is not a block device.", lun));
	const auto source = CORBEL_EXPECT(read_source(kernel_devices(), path, sync, format));
	return place_source(kernel_devices(), source, path, lun, status.st_rdev);
}

Layout cut(const Layout &layout, std::uint64_t first, std::uint64_t bytes)
{
	const auto end = bytes > UINT64_MAX - first ? UINT64_MAX : first + bytes;
	Layout part{layout.kind, layout.bytes, {}, layout.remarks};

	for (const auto &each : layout.extents) {
		const auto from = std::max(each.offset, first), to = std::min(each.end(), end);

		if (from < to)
			part.extents.push_back({from, each.at + (from - each.offset), to - from});
	}
	return part;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> places(const Layout &layout)
{
	std::vector<std::pair<std::uint64_t, std::uint64_t>> sorted, once;

	for (const auto &each : layout.extents)
		sorted.emplace_back(each.at, each.bytes);
	std::ranges::sort(sorted);
	for (const auto &[at, bytes] : sorted) {
		if (once.empty() || once.back().first + once.back().second < at)
			once.emplace_back(at, bytes);
		else
			once.back().second =
				std::max(once.back().second, at + bytes - once.back().first);
	}
	return once;
}

} /* namespace corbel::extents */
