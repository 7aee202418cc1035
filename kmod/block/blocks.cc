/* SPDX-License-Identifier: GPL-2.0 */
/* blocks.cc - blocks of volumes: where they are, how they become the volume's own, and go. */
#include "pool.hh"

namespace corbel::block {

Result<Extent> Pool::look_up(VolumeId volume, Lba lba, u64 most)
{
	const auto value = CORBEL_TRY(usable_volume(volume));
	if (lba.value >= value.blocks || !most)
		return Error::range;
	if (most > value.blocks - lba.value)
		most = value.blocks - lba.value;
	Extent extent{most, false, {}};
	u64 count = 0;

	CORBEL_TRY(logical_.walk(
		{value.root}, lba.value, lba.value + most - 1,
		[&](u64 key, const u64 *mba) -> Result<bool> {
			if (key != lba.value + count) {
				/* A hole: the extent ends at it, or is it. */
				if (!extent.mapped)
					extent.count = key - lba.value;
				return false;
			}
			const Pba pba = Pba::unpack(CORBEL_TRY(named_middle({*mba})).pba);
			if (!extent.mapped)
				extent = {1, true, pba};
			else if (pba != Pba{extent.pba.device, extent.pba.block + count})
				return false;
			count++;
			return true;
		}));
	if (extent.mapped)
		extent.count = count;
	return extent;
}

Result<void> Pool::walk_volume(VolumeId volume, Lba first, VisitBlock visit)
{
	const auto value = CORBEL_TRY(usable_volume(volume));

	if (first.value >= value.blocks)
		return Error::range;
	return logical_.walk({value.root}, first.value, value.blocks - 1,
			     [&](u64 key, const u64 *mba) -> Result<bool> {
				     const auto middle = CORBEL_TRY(named_middle({*mba}));

				     return visit({key}, {*mba}, Pba::unpack(middle.pba));
			     });
}

/*
 * Nobody else has the block, now or in the last committed state: that may come back, and then
 * another volume would find in its block what was written here. What lost its sharing since
 * the last commit is copied once more than needed, or, if it was not told by block but by
 * node (unshared_), is for the next transaction.
 */
bool Pool::is_alone(bool shared, const MiddleV1 &middle) const
{
	if (sabotaged(Sabotage::shared_written_in_place))
		return middle.count == 1;
	return !shared && middle.count == 1 &&
	       (middle.lowered != static_cast<u32>(store_.generation().value) ||
		sabotaged(Sabotage::unshared_written_in_place));
}

Result<WritePlan> Pool::begin_write(VolumeId volume, Lba lba, Placement placement)
{
	const auto value = CORBEL_TRY(writable_volume(volume));
	if (lba.value >= value.blocks)
		return Error::range;
	u64 old = 0;
	const auto found = CORBEL_TRY(logical_.find({value.root}, lba.value, &old));
	WritePlan plan{
		found.found ? WritePlan::Kind::copied : WritePlan::Kind::fresh, {}, {}, {old}};

	if (found.found) {
		const auto middle = CORBEL_TRY(named_middle({old}));
		plan.old = Pba::unpack(middle.pba);
		if (is_alone(found.shared, middle)) {
			if (unshared_ && !sabotaged(Sabotage::unshared_written_in_place))
				return Error::again;
			plan.kind = WritePlan::Kind::in_place;
			plan.pba = plan.old;
			return plan;
		}
	}
	/* What will be asked for again, so that little is copied in vain. */
	CORBEL_TRY(room_to_write(value, found.shared));
	plan.pba = CORBEL_TRY(take_place(placement, Places::State::reserved));
	return plan;
}

Result<void> Pool::room_to_write(const VolumeV1 &value, bool shared)
{
	const auto need = CORBEL_TRY(this->need());
	const auto levels = CORBEL_TRY(logical_.levels({value.root}));

	return store_.has_room(Tree::for_insert(levels) + (shared ? need.raise : 0) +
				       need.insert_middle + need.remove_middle +
				       need.insert_reverse + need.volumes,
			       Purpose::use);
}

void Pool::cancel_write(const WritePlan &plan)
{
	if (plan.kind != WritePlan::Kind::in_place)
		places_[plan.pba.device].cancel(plan.pba.block);
}

Result<Mba> Pool::finish_write(VolumeId volume, Lba lba, const WritePlan &plan)
{
	auto value = CORBEL_TRY(writable_volume(volume));
	if (plan.kind == WritePlan::Kind::in_place)
		return plan.mba;
	u64 old = 0;
	const auto found = CORBEL_TRY(logical_.find({value.root}, lba.value, &old));
	if (lba.value >= value.blocks || found.found != (plan.kind == WritePlan::Kind::copied) ||
	    Mba{old} != plan.mba) {
		cancel_write(plan);
		return Error::stale;
	}
	CORBEL_TRY(room_to_write(value, found.shared));
	const auto mba = CORBEL_TRY(take_mba());
	places_[plan.pba.device].confirm(plan.pba.block);
	/* A commit since begin_write has forgotten that it is fresh. */
	fresh_ |= u32{1} << plan.pba.device;
	return change([&]() -> Result<Mba> {
		Meta root{value.root};

		if (found.found) {
			CORBEL_TRY(logical_.update(root, lba.value, &mba.value));
			CORBEL_TRY(drop_mba({old}));
		} else {
			(void)CORBEL_TRY(logical_.insert(root, lba.value, &mba.value));
			value.mapped++;
		}
		logical_written_++;
		CORBEL_TRY(add_mba(mba, plan.pba));
		value.root = root.value;
		CORBEL_TRY(put_volume(volume, value));
		return mba;
	});
}

Result<WritePlan> Pool::prepare_write(VolumeId volume, Lba lba, Placement placement)
{
	const auto plan = CORBEL_TRY(begin_write(volume, lba, placement));
	const auto finished = finish_write(volume, lba, plan);

	if (finished.ok())
		return plan;
	if (finished.error() != Error::stale && !is_broken())
		cancel_write(plan);
	return finished.error();
}

/* Enough to be worth the call, little enough for a lock to be held meanwhile. */
static constexpr u32 discarded_at_once = 256;

Result<u64> Pool::discard(VolumeId volume, Lba lba, u64 count)
{
	auto value = CORBEL_TRY(writable_volume(volume));
	if (lba.value >= value.blocks || count > value.blocks - lba.value || !count)
		return Error::range;
	u64 at = lba.value;
	const u64 end = lba.value + count;

	for (u32 removed = 0; removed < discarded_at_once && at < end; removed++) {
		u64 key = end, mba = 0;

		CORBEL_TRY(logical_.walk({value.root}, at, end - 1,
					 [&](u64 found, const u64 *in) -> Result<bool> {
						 key = found;
						 mba = *in;
						 return false;
					 }));
		at = key;
		if (at == end)
			break;
		const auto room = room_to_remove({value.root}, key);
		if (!room.ok()) {
			if (at == lba.value)
				return room.error();
			break;
		}
		CORBEL_TRY(change([&]() -> Result<void> {
			Meta root{value.root};

			(void)CORBEL_TRY(logical_.remove(root, key));
			logical_written_++;
			CORBEL_TRY(drop_mba({mba}));
			value.root = root.value;
			value.mapped--;
			return put_volume(volume, value);
		}));
		at++;
	}
	return at - lba.value;
}

/*
 * What is the tree's alone gives back all that it takes. To take out of what is shared is to
 * make copies that stay, which must leave the room that deletion needs.
 */
Result<void> Pool::room_to_remove(Meta root, u64 key)
{
	u64 mba;
	const auto found = CORBEL_TRY(logical_.find(root, key, &mba));
	const auto need = CORBEL_TRY(this->need());
	const auto levels = CORBEL_TRY(logical_.levels(root));

	return store_.has_room(Tree::for_remove(levels) + need.remove_middle + need.remove_reverse +
				       need.volumes + (found.shared ? need.raise : 0),
			       found.shared ? Purpose::use : Purpose::give_back);
}

} /* namespace corbel::block */
