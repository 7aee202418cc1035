/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ranges.hh - sets of sectors of a LUN: made of where disks lie, and held against each other. */
#pragma once

#include "../extents/layout.hh"

#include <cstdint>
#include <vector>

namespace corbel::workloads {

inline constexpr std::uint64_t sector_bytes = 512;

/* Sectors, [first, end). */
struct Span {
	std::uint64_t first, end;

	[[nodiscard]] std::uint64_t sectors() const { return end - first; }
	bool operator==(const Span &) const = default;
};

/* Ascending, none empty, and none touches the next. */
using Spans = std::vector<Span>;

/* Any spans in any order. */
[[nodiscard]] Spans sorted(std::vector<Span> spans);
[[nodiscard]] Spans spans_of(const std::vector<extents::Extent> &extents);
[[nodiscard]] Spans both(const Spans &a, const Spans &b);
[[nodiscard]] Spans without(const Spans &all, const Spans &some);
[[nodiscard]] std::uint64_t bytes_of(const Spans &spans);

} /* namespace corbel::workloads */
