/* SPDX-License-Identifier: GPL-2.0 */
#include "interval_map.hh"

namespace corbel::qos {

/* Builds what comes of a snapshot by a change, by merging the two twice: to count, to fill. */
class SnapshotBuilder {
public:
	SnapshotBuilder(const Snapshot *old, const Change &change, Refusal &refusal)
		: old_(old), change_(change), refusal_(refusal)
	{}

	Result<Retired> build();

private:
	Result<void> check_change();
	[[nodiscard]] bool is_replaced(ObjectId object) const;
	template <typename Put>
	Result<void> merge(Put &&put);
	template <typename Put>
	Result<void> for_each_segment(Put &&put);
	Error refuse(Error error, const Range &wanted, const Range &other = {})
	{
		refusal_ = {wanted, other};
		return error;
	}

	const Snapshot *old_;
	const Change &change_;
	Refusal &refusal_;
};

bool SnapshotBuilder::is_replaced(ObjectId object) const
{
	u32 low = 0, high = change_.object_count;

	while (low < high) {
		const u32 middle = low + (high - low) / 2;

		if (change_.objects[middle] < object)
			low = middle + 1;
		else
			high = middle;
	}
	return low < change_.object_count && change_.objects[low] == object;
}

Result<void> SnapshotBuilder::check_change()
{
	for (u32 i = 0; i < change_.object_count; i++) {
		const ObjectId object = change_.objects[i];

		if (object == rest || object.value >= max_objects ||
		    (i && change_.objects[i - 1] >= object))
			return refuse(Error::invalid, {{}, 0, object, 0});
	}
	for (u32 i = 0; i < change_.range_count; i++) {
		const Range &range = change_.ranges[i];

		if (range.reserved || !is_replaced(range.object))
			return refuse(Error::invalid, range);
		if (!range.sectors || range.first.value >= sector_end ||
		    range.sectors > sector_end - range.first.value)
			return refuse(Error::range, range);
		if (!i || change_.ranges[i - 1].end() <= range.first.value)
			continue;
		/* Out of order, or overlapping. */
		const Range &before = change_.ranges[i - 1];
		if (range.end() <= before.first.value)
			return refuse(Error::range, range, before);
		if (!sabotaged(Sabotage::overlap_accepted))
			return refuse(Error::exists, range, before);
	}
	return {};
}

/* @put(range) of all that will be, in order, the rest left out. */
template <typename Put>
Result<void> SnapshotBuilder::merge(Put &&put)
{
	const u32 old_count = old_ ? old_->segments() : 0;
	Range last{};

	for (u32 i = 0, next = 0;;) {
		Range kept{};

		for (; i < old_count; i++) {
			kept = old_->segment(i);
			if (kept.object != rest &&
			    (!is_replaced(kept.object) || sabotaged(Sabotage::old_ranges_kept)))
				break;
		}
		const bool any_old = i < old_count, any_new = next < change_.range_count;
		if (!any_old && !any_new)
			return {};
		const bool take_new =
			any_new && (!any_old || change_.ranges[next].first < kept.first);
		const Range range = take_new ? change_.ranges[next] : kept;

		if (range.first.value < last.end() && !sabotaged(Sabotage::overlap_accepted))
			/* Two of the change, or two of the old ones, cannot be it. */
			return take_new ? refuse(Error::exists, range, last)
					: refuse(Error::exists, last, range);
		put(range);
		last = range;
		take_new ? next++ : i++;
	}
}

/* @put(start, object), the rest included, touching ranges of one object as one. */
template <typename Put>
Result<void> SnapshotBuilder::for_each_segment(Put &&put)
{
	u64 end = 0;
	ObjectId before = rest;

	CORBEL_TRY(merge([&](const Range &range) {
		if (range.first.value > end && !(end && sabotaged(Sabotage::gap_left_out))) {
			put(end, rest);
			before = rest;
		}
		if (range.object != before)
			put(range.first.value, range.object);
		before = range.object;
		end = range.end();
	}));
	if (end < sector_end)
		put(end, rest);
	return {};
}

Result<Retired> SnapshotBuilder::build()
{
	u64 count = 0, ranges = 0;

	CORBEL_TRY(check_change());
	CORBEL_TRY(for_each_segment([&](u64, ObjectId object) {
		count++;
		ranges += object != rest;
	}));
	if (ranges > max_ranges)
		return Error::no_space;

	/* A key behind the last one, and each level in whole nodes. */
	constexpr u32 node = Snapshot::node_keys;
	u64 sizes[Snapshot::max_levels], keys = 0;
	u32 levels = 0;
	for (u64 size = count + 1;; size = sizes[levels - 1] / node) {
		sizes[levels] = (size + node - 1) / node * node;
		keys += sizes[levels++];
		if (size <= node)
			break;
	}

	Retired made = CORBEL_TRY(Retired::make(rt::Context::task));
	Snapshot &snapshot = *made;
	snapshot.bytes_ = keys * sizeof(u64) + count * sizeof(ObjectId);
	snapshot.memory_ = CORBEL_TRY(rt::Pages::make(snapshot.bytes_, rt::Pages::Use::kernel));
	snapshot.levels_ = levels;
	snapshot.count_ = static_cast<u32>(count);
	snapshot.ranges_ = static_cast<u32>(ranges);

	u64 *level = snapshot.memory_.as<u64>();
	auto *objects = reinterpret_cast<ObjectId *>(level + keys);
	u64 at = 0;
	CORBEL_TRY(for_each_segment([&](u64 start, ObjectId object) {
		level[at] = start;
		objects[at++] = object;
	}));
	level[at++] = sector_end;
	snapshot.objects_ = objects;
	for (u32 i = 0; i < levels; i++) {
		for (; at < sizes[i]; at++)
			level[at] = ~u64{0};
		snapshot.keys_[i] = level;
		u64 *above = level + sizes[i];
		at = 0;
		for (u64 key = 0; i + 1 < levels && key < sizes[i]; key += node)
			above[at++] = level[key];
		level = above;
	}
	return made;
}

IntervalMap::~IntervalMap()
{
	if (Snapshot *last = current_.load(rt::Order::relaxed))
		(void)Retired::adopt(last);
}

Result<void> IntervalMap::init()
{
	const Change nothing{};
	Refusal refusal{};
	Retired empty = CORBEL_TRY(SnapshotBuilder(nullptr, nothing, refusal).build());

	current_.store(empty.release(), rt::Order::release);
	return {};
}

Result<Retired> IntervalMap::replace(const Change &change, Refusal &refusal)
{
	Snapshot *old = current_.load(rt::Order::relaxed);
	Retired next = CORBEL_TRY(SnapshotBuilder(old, change, refusal).build());

	current_.store(next.release(), rt::Order::release);
	return Retired::adopt(old);
}

} /* namespace corbel::qos */
