/* SPDX-License-Identifier: GPL-2.0 */
/*
 * interval_map.hh - which workload object a sector belongs to.
 *
 * Look-ups take no lock. They read a snapshot that never changes; who changes the map builds
 * another one beside it and publishes that by one store:
 *
 *   readers   enter a read section, current(), look_up() as often as need be, leave it
 *   writer    replace(), wait until the readers of then have left, drop what it returned
 *
 * A snapshot divides all sectors into segments, those between ranges belonging to rest. Ranges
 * of one object that touch are one segment. The starts of segments lie in order, and above
 * them an implicit tree: of each eight keys of a level (a cache line) the first is a key of
 * the level above. A look-up reads a line a level, seven with a million ranges, and makes
 * three comparisons in each.
 *
 *   level 2   0                              900 ...
 *   level 1   0         130        410  ...  900 ...
 *   level 0   0 8 16 .. 130 142 .. 410 ...   900 ...     starts of segments
 *             0 1 0  .. 5   1   .. 0   ...   7           their objects
 *
 * A segment takes 12 bytes and an eighth of 8, and a bit: 13.2 bytes; a range has one, and one
 * for the gap behind it, if there is one.
 */
#pragma once

#include "../../rt/atomic.hh"
#include "../../rt/memory.hh"
#include "sabotage.hh"
#include "types.hh"

namespace corbel::qos {

inline constexpr u32 max_ranges = 1'000'000;
inline constexpr u32 max_objects = 1'000'000;

/* [first, first + sectors), as it is also in requests. */
struct Range {
	Sector first;
	u64 sectors;
	ObjectId object;
	u32 reserved; /* 0 */

	[[nodiscard]] constexpr u64 end() const { return first.value + sectors; }
};
static_assert(sizeof(Range) == 24);

/* What is to be: the objects named have the ranges named and no others. */
struct Change {
	const ObjectId *objects; /* ascending, none twice, not rest */
	u32 object_count;
	const Range *ranges; /* ascending, each of one of these objects */
	u32 range_count;
};

/* Why a change was refused: exists has both, invalid and range have the first. */
struct Refusal {
	Range wanted;
	Range other; /* what it overlaps with, of the change or of an object not in it */
};

struct Segment {
	ObjectId object;
	Sector end; /* of its last sector the next: where I/O has to be split */
};

class Snapshot {
public:
	Snapshot() = default;
	Snapshot(const Snapshot &) = delete;
	Snapshot &operator=(const Snapshot &) = delete;

	/* Any context. */
	[[nodiscard]] Segment look_up(Sector sector) const
	{
		/* Above all keys is padding, which no sector may reach. */
		const u64 key = sector.value < sector_end ? sector.value : sector_end - 1;
		u32 at = 0;

		for (u32 level = levels_; level-- > 0;)
			at = at * node_keys + rank(keys_[level] + u64{at} * node_keys, key);
		return {objects_[at], {keys_[0][at + 1]}};
	}

	[[nodiscard]] u32 segments() const { return count_; }
	[[nodiscard]] u32 ranges() const { return ranges_; }
	[[nodiscard]] u64 bytes() const { return bytes_; }
	[[nodiscard]] Range segment(u32 index) const
	{
		const u64 first = keys_[0][index];

		return {{first}, keys_[0][index + 1] - first, objects_[index], 0};
	}

private:
	friend class SnapshotBuilder;

	static constexpr u32 node_keys = 8, max_levels = 7;

	/* Of the last key that is not above @key; the first one never is. */
	static u32 rank(const u64 *keys, u64 key)
	{
		u32 at = keys[4] <= key ? 4 : 0;

		at += keys[at + 2] <= key ? 2 : 0;
		if (!sabotaged(Sabotage::rank_off))
			at += keys[at + 1] <= key ? 1 : 0;
		return at;
	}

	const u64 *keys_[max_levels]{};
	const ObjectId *objects_{};
	u32 levels_{}, count_{}, ranges_{};
	u64 bytes_{};
	rt::Pages memory_;
};

/* As much of an I/O as belongs to one object. */
struct Piece {
	ObjectId object;
	u64 sectors; /* less than asked for: to be split there */
};

/* Any numbers; of no sectors, as of a flush, it is rest. */
[[nodiscard]] inline Piece first_piece(const Snapshot &snapshot, Sector first, u64 sectors)
{
	if (!sectors)
		return {rest, 0};
	const Segment segment = snapshot.look_up(first);
	/* Beyond the last sector there is, it is the device that has to refuse. */
	if (first.value >= sector_end || segment.end.value == sector_end)
		return {segment.object, sectors};
	const u64 there = segment.end.value - first.value;
	return {segment.object, sectors < there ? sectors : there};
}

/* To be dropped when nobody can read it any more. */
using Retired = rt::Box<Snapshot>;

class IntervalMap {
public:
	IntervalMap() = default;
	IntervalMap(const IntervalMap &) = delete;
	IntervalMap &operator=(const IntervalMap &) = delete;
	~IntervalMap();

	/* Once, before anything else: all is rest. Task; no_memory. */
	Result<void> init();

	/* Within a read section. */
	[[nodiscard]] const Snapshot &current() const { return *current_.load(rt::Order::acquire); }

	/*
	 * All of it or nothing. One writer at a time. Task; no_memory, exists (overlap), range
	 * (empty, beyond all sectors, or not ascending), invalid (of an object that is not
	 * named, or such names), no_space (more than max_ranges).
	 */
	Result<Retired> replace(const Change &change, Refusal &refusal);

private:
	rt::Atomic<Snapshot *> current_;
};

} /* namespace corbel::qos */
