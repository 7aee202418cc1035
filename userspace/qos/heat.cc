// SPDX-License-Identifier: GPL-2.0-or-later
#include "heat.hh"

#include <algorithm>
#include <cmath>

namespace corbel::workloads {

namespace {

struct Sums {
	double reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
};

std::uint64_t whole(double value)
{
	return static_cast<std::uint64_t>(std::llround(value));
}

/* Sectors of the disk, as many for each bin. */
std::uint64_t bin_bytes_of(std::uint64_t bytes)
{
	const auto sectors = (bytes + sector_bytes - 1) / sector_bytes;

	return std::max<std::uint64_t>((sectors + most_bins - 1) / most_bins, 1) * sector_bytes;
}

} /* namespace */

HeatMap fold(const std::vector<HeatCell> &cells, std::uint64_t shift,
	     const std::vector<extents::Extent> &extents, std::uint64_t bytes)
{
	const auto cell_bytes = sector_bytes << shift;
	HeatMap map{bin_bytes_of(bytes), {}, false};
	std::vector<Sums> sums((bytes + map.bin_bytes - 1) / map.bin_bytes);

	for (const auto &extent : extents) {
		const auto end = extent.at + extent.bytes;
		auto cell = std::ranges::lower_bound(cells, extent.at / cell_bytes, {},
						     &HeatCell::index);

		for (; cell != cells.end() && cell->index * cell_bytes < end; cell++) {
			const auto first = std::max(extent.at, cell->index * cell_bytes);
			const auto last = std::min(end, (cell->index + 1) * cell_bytes);
			auto at = extent.offset + (first - extent.at);
			const auto behind = std::min(at + (last - first), bytes);

			/* Bin by bin, each its part. */
			while (at < behind) {
				const auto bin = at / map.bin_bytes;
				const auto to = std::min(behind, (bin + 1) * map.bin_bytes);
				const auto part = static_cast<double>(to - at) /
						  static_cast<double>(cell_bytes);
				auto &sum = sums[bin];

				sum.reads += part * static_cast<double>(cell->reads);
				sum.writes += part * static_cast<double>(cell->writes);
				sum.read_bytes += part * static_cast<double>(cell->read_bytes);
				sum.written_bytes +=
					part * static_cast<double>(cell->written_bytes);
				at = to;
			}
		}
	}
	/* Spans that touch are one, so a cell that one of them does not fill is not all ours. */
	for (const auto &span : spans_of(extents))
		for (const auto edge : {span.first, span.end})
			map.estimated =
				map.estimated || (edge % (std::uint64_t{1} << shift) &&
						  std::ranges::binary_search(cells, edge >> shift,
									     {}, &HeatCell::index));
	for (const auto &sum : sums)
		map.bins.push_back({whole(sum.reads), whole(sum.writes), whole(sum.read_bytes),
				    whole(sum.written_bytes)});
	return map;
}

} /* namespace corbel::workloads */
