/* SPDX-License-Identifier: GPL-2.0 */
/* moves.cc - blocks go to other places; see move.hh. */
#include "pool.hh"

namespace corbel::block {

Result<void> Pool::begin_move(Move &move, Mba mba, Placement placement)
{
	CORBEL_TRY(may_change());
	const auto middle = CORBEL_TRY(middle_at(mba));
	for (const Move &other : moves_)
		if (other.mba == mba && !other.stale)
			return Error::busy;
	move.to = CORBEL_TRY(take_place(placement, Places::State::reserved));
	move.from = Pba::unpack(middle.pba);
	move.mba = mba;
	move.stale = false;
	moves_.push_back(move);
	return {};
}

void Pool::cancel_move(Move &move)
{
	moves_.remove(move);
	places_[move.to.device].cancel(move.to.block);
}

Result<void> Pool::finish_move(Move &move)
{
	CORBEL_TRY(may_change());
	if (move.stale && !sabotaged(Sabotage::moved_unasked)) {
		cancel_move(move);
		return Error::stale;
	}
	auto middle = CORBEL_TRY(middle_at(move.mba));
	const auto need = CORBEL_TRY(this->need());
	CORBEL_TRY(store_.has_room(need.remove_middle + need.remove_reverse + need.insert_reverse,
				   Purpose::use));
	moves_.remove(move);
	places_[move.to.device].confirm(move.to.block);
	middle.pba = move.to.packed();
	return change([&]() -> Result<void> {
		CORBEL_TRY(put_middle(move.mba, middle));
		CORBEL_TRY(release_place(move.from));
		if (!sabotaged(Sabotage::reverse_left_behind))
			CORBEL_TRY(remove_reverse(move.from));
		CORBEL_TRY(add_reverse(move.to, move.mba));
		SuperblockV1 &super = store_.change_super();
		super.devices[move.from.device].used--;
		super.devices[move.to.device].used++;
		/* A commit between begin and now has forgotten that it is fresh. */
		fresh_ |= u32{1} << move.to.device;
		return {};
	});
}

} /* namespace corbel::block */
