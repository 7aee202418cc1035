/* SPDX-License-Identifier: GPL-2.0 */
/*
 * range_set.hh - a change of the interval map as it comes in a request.
 *
 *   header | objects: u32 each, ascending | 0 or 4 bytes of zero | ranges, ascending
 *
 * Little endian, nothing in front and nothing behind. Objects without a range lose those they
 * had, so that a change with no ranges at all is how objects are taken out. That ranges do not
 * overlap, and belong to the objects named, is for IntervalMap::replace to see.
 */
#pragma once

#include "interval_map.hh"

namespace corbel::qos {

inline constexpr u32 range_set_version = 1;

struct RangeSetHeaderV1 {
	u32 version;
	u32 flags; /* 0 */
	u32 object_count; /* 1 .. max_objects */
	u32 range_count; /* 0 .. max_ranges */
};
static_assert(sizeof(RangeSetHeaderV1) == 16);

[[nodiscard]] constexpr u64 range_set_bytes(u32 objects, u32 ranges)
{
	return sizeof(RangeSetHeaderV1) + (u64{objects} + objects % 2) * sizeof(ObjectId) +
	       u64{ranges} * sizeof(Range);
}

/*
 * @data, which is aligned to 8 and nobody's but the caller's, as a change that points into it.
 * not_supported: of another version or with flags; too_big: more than the map takes;
 * bad_message: not of the length it says, or not zero where it should be.
 */
Result<Change> read_range_set(const void *data, u64 bytes);

} /* namespace corbel::qos */
