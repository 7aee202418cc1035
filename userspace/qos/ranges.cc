// SPDX-License-Identifier: GPL-2.0-or-later
#include "ranges.hh"

#include <algorithm>

namespace corbel::workloads {

Spans sorted(std::vector<Span> spans)
{
	Spans merged;

	std::erase_if(spans, [](const Span &span) { return span.first >= span.end; });
	std::ranges::sort(spans, {}, &Span::first);
	for (const auto &span : spans) {
		if (!merged.empty() && span.first <= merged.back().end)
			merged.back().end = std::max(merged.back().end, span.end);
		else
			merged.push_back(span);
	}
	return merged;
}

Spans spans_of(const std::vector<extents::Extent> &extents)
{
	std::vector<Span> spans;

	spans.reserve(extents.size());
	for (const auto &extent : extents)
		spans.push_back(
			{extent.at / sector_bytes, (extent.at + extent.bytes) / sector_bytes});
	return sorted(std::move(spans));
}

Spans both(const Spans &a, const Spans &b)
{
	Spans common;

	for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
		const Span part{std::max(x->first, y->first), std::min(x->end, y->end)};

		if (part.first < part.end)
			common.push_back(part);
		if (x->end < y->end)
			x++;
		else
			y++;
	}
	return common;
}

Spans without(const Spans &all, const Spans &some)
{
	Spans left;
	auto gone = some.begin();

	for (auto span : all) {
		while (gone != some.end() && gone->end <= span.first)
			gone++;
		/* One that goes on behind this may take from the next as well. */
		for (auto at = gone; at != some.end() && at->first < span.end; at++) {
			if (at->first > span.first)
				left.push_back({span.first, at->first});
			span.first = std::min(std::max(span.first, at->end), span.end);
		}
		if (span.first < span.end)
			left.push_back(span);
	}
	return left;
}

std::uint64_t bytes_of(const Spans &spans)
{
	std::uint64_t sectors = 0;

	for (const auto &span : spans)
		sectors += span.sectors();
	return sectors * sector_bytes;
}

} /* namespace corbel::workloads */
