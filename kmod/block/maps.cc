/* SPDX-License-Identifier: GPL-2.0 */
/* maps.cc - entries of the pool's maps, and what changes together with them. */
#include "pool.hh"

namespace corbel::block {

/* The words of a struct of the format, and back. */
template <typename T>
struct Words {
	u64 of[sizeof(T) / sizeof(u64)];

	Words() = default;
	explicit Words(const T &value) { __builtin_memcpy(of, &value, sizeof(of)); }
	[[nodiscard]] T get() const
	{
		T value;

		__builtin_memcpy(&value, of, sizeof(of));
		return value;
	}
};

Result<void> Pool::may_change() const
{
	if (store_.is_broken())
		return Error::cancelled;
	if (store_.is_read_only())
		return Error::permission;
	return {};
}

Result<Pool::Need> Pool::need()
{
	const u32 middle = CORBEL_TRY(middle_.levels(root(Kind::middle)));
	const u32 reverse = CORBEL_TRY(reverse_.levels(root(Kind::reverse)));
	const u32 volumes = CORBEL_TRY(volumes_.levels(root(Kind::volumes)));
	/* Of a shared leaf: each entry's way in the middle map, which has no more nodes. */
	const u64 ways = u64{capacity_of(1)} * middle;
	const u64 all = super().nodes[static_cast<unsigned>(Kind::middle)];

	return Need{.raise = ways < all ? ways : all,
		    .insert_middle = Tree::for_insert(middle),
		    .remove_middle = Tree::for_remove(middle),
		    .insert_reverse = Tree::for_insert(reverse),
		    .remove_reverse = Tree::for_remove(reverse),
		    .volumes = volumes};
}

/* ---- volume table ----------------------------------------------------------------------- */

Result<VolumeV1> Pool::find_volume(VolumeId volume)
{
	Words<VolumeV1> words;

	if (!CORBEL_TRY(volumes_.find(root(Kind::volumes), volume.value, words.of)).found)
		return Error::not_found;
	const VolumeV1 found = words.get();
	if (found.flags & ~volume_flags || found.reserved ||
	    (found.root && !store_.count({found.root})))
		return Error::bad_message;
	return found;
}

Result<VolumeV1> Pool::usable_volume(VolumeId volume)
{
	const auto found = CORBEL_TRY(find_volume(volume));

	if (found.flags & volume_deleting)
		return Error::not_found;
	return found;
}

Result<VolumeV1> Pool::writable_volume(VolumeId volume)
{
	CORBEL_TRY(may_change());
	const auto found = CORBEL_TRY(usable_volume(volume));
	if (found.flags & volume_read_only)
		return Error::permission;
	return found;
}

Result<void> Pool::put_volume(VolumeId volume, const VolumeV1 &value)
{
	const Words words(value);

	return with_root(Kind::volumes,
			 [&](Meta &root) { return volumes_.update(root, volume.value, words.of); });
}

Result<VolumeId> Pool::insert_volume(const VolumeV1 &value)
{
	SuperblockV1 &super = store_.change_super();
	const VolumeId id{super.next_volume++};
	const Words words(value);

	super.volumes++;
	const bool added = CORBEL_TRY(with_root(Kind::volumes, [&](Meta &root) {
		return volumes_.insert(root, id.value, words.of);
	}));
	return added ? Result<VolumeId>(id) : Error::bad_message;
}

/* ---- middle and reverse map -------------------------------------------------------------- */

Result<MiddleV1> Pool::middle_at(Mba mba)
{
	Words<MiddleV1> words;

	if (!CORBEL_TRY(middle_.find(root(Kind::middle), mba.value, words.of)).found)
		return Error::not_found;
	const MiddleV1 found = words.get();
	if (mba.value >= super().mba_end || !is_possible(Pba::unpack(found.pba)) || !found.count)
		return Error::bad_message;
	return found;
}

/* What a logical map names must be there. */
Result<MiddleV1> Pool::named_middle(Mba mba)
{
	const auto found = middle_at(mba);

	if (!found.ok() && found.error() == Error::not_found)
		return Error::bad_message;
	return found;
}

Result<Pba> Pool::find_mba(Mba mba)
{
	return Pba::unpack(CORBEL_TRY(middle_at(mba)).pba);
}

Result<Mba> Pool::mba_at(Pba pba)
{
	Mba mba;

	if (!CORBEL_TRY(reverse_.find(root(Kind::reverse), pba.packed(), &mba.value)).found)
		return Error::not_found;
	return mba;
}

Result<void> Pool::read_logical(VolumeId volume, Lba first, u64 count, VisitLogical visit)
{
	const auto value = CORBEL_TRY(usable_volume(volume));

	return logical_.walk({value.root}, first.value, first.value + count - 1,
			     [&](u64 key, const u64 *mba) -> Result<bool> {
				     visit({key}, {*mba});
				     return true;
			     });
}

Result<void> Pool::read_middle(Mba first, u64 count, VisitMiddle visit)
{
	return middle_.walk(root(Kind::middle), first.value, first.value + count - 1,
			    [&](u64 key, const u64 *value) -> Result<bool> {
				    const Pba pba = Pba::unpack(*value);

				    if (!is_possible(pba))
					    return Error::bad_message;
				    visit({key}, pba);
				    return true;
			    });
}

Result<Lba> Pool::first_behind_end(VolumeId volume)
{
	const auto value = CORBEL_TRY(find_volume(volume));
	Lba lba{};
	bool found = false;

	CORBEL_TRY(logical_.walk({value.root}, value.blocks, ~u64{0},
				 [&](u64 key, const u64 *) -> Result<bool> {
					 lba = {key};
					 found = true;
					 return false;
				 }));
	return found ? Result<Lba>(lba) : Error::not_found;
}

Result<void> Pool::put_middle(Mba mba, const MiddleV1 &value)
{
	const Words words(value);

	middle_written_++;
	return with_root(Kind::middle,
			 [&](Meta &root) { return middle_.update(root, mba.value, words.of); });
}

Result<void> Pool::add_reverse(Pba pba, Mba mba)
{
	reverse_written_++;
	const bool added = CORBEL_TRY(with_root(Kind::reverse, [&](Meta &root) {
		return reverse_.insert(root, pba.packed(), &mba.value);
	}));
	return added ? Result<void>() : Error::bad_message;
}

Result<void> Pool::remove_reverse(Pba pba)
{
	reverse_written_++;
	const bool removed = CORBEL_TRY(with_root(
		Kind::reverse, [&](Meta &root) { return reverse_.remove(root, pba.packed()); }));
	return removed ? Result<void>() : Error::bad_message;
}

Result<void> Pool::raise_value(u64 mba)
{
	auto value = CORBEL_TRY(named_middle({mba}));

	if (value.count == ~u32{0})
		return Error::overflow;
	value.count++;
	return put_middle({mba}, value);
}

/* Both were taken. */
Result<void> Pool::add_mba(Mba mba, Pba pba)
{
	const Words words(MiddleV1{.pba = pba.packed(),
				   .count = 1U + sabotaged(Sabotage::middle_count_off),
				   .lowered = 0});

	middle_written_++;
	const bool added = CORBEL_TRY(with_root(Kind::middle, [&](Meta &root) {
		return middle_.insert(root, mba.value, words.of);
	}));
	if (!added)
		return Error::bad_message;
	CORBEL_TRY(add_reverse(pba, mba));
	SuperblockV1 &super = store_.change_super();
	super.mapped++;
	super.devices[pba.device].used++;
	return {};
}

/* A leaf less names it. */
Result<void> Pool::drop_mba(Mba mba)
{
	auto value = CORBEL_TRY(named_middle(mba));

	if (--value.count) {
		value.lowered = static_cast<u32>(store_.generation().value);
		return put_middle(mba, value);
	}
	const Pba pba = Pba::unpack(value.pba);
	CORBEL_TRY(release_place(pba));
	CORBEL_TRY(mbas_.release(mba.value, load_mbas()));
	middle_written_++;
	const bool removed = CORBEL_TRY(with_root(
		Kind::middle, [&](Meta &root) { return middle_.remove(root, mba.value); }));
	if (!removed)
		return Error::bad_message;
	CORBEL_TRY(remove_reverse(pba));
	SuperblockV1 &super = store_.change_super();
	super.mapped--;
	super.devices[pba.device].used--;
	stale_moves(&mba);
	return {};
}

Result<Mba> Pool::take_mba()
{
	const auto taken = mbas_.take(super().mba_end, Places::State::fresh, load_mbas());

	if (!taken.ok())
		return taken.error() == Error::no_space && mbas_.held() ? Error::again
									: taken.error();
	return Mba{taken.value()}; /* it is ok */
}

/* Those of @mba, or all. */
void Pool::stale_moves(const Mba *mba)
{
	for (Move &move : moves_)
		if (!mba || move.mba == *mba)
			move.stale = true;
}

} /* namespace corbel::block */
