/* SPDX-License-Identifier: GPL-2.0 */
/* volumes.cc - what is done to volumes as a whole. */
#include "pool.hh"

namespace corbel::block {

Result<VolumeId> Pool::create_volume(u64 blocks)
{
	return add_volume({.root = 0,
			   .blocks = blocks,
			   .mapped = 0,
			   .origin = 0,
			   .created = store_.generation().value,
			   .flags = 0,
			   .reserved = 0});
}

Result<VolumeId> Pool::snapshot(VolumeId volume, bool read_only)
{
	auto value = CORBEL_TRY(usable_volume(volume));

	value.origin = volume.value;
	value.created = store_.generation().value;
	value.flags = read_only ? volume_read_only : 0;
	return add_volume(value);
}

/* What @value leads to has one more who refers to it. */
Result<VolumeId> Pool::add_volume(const VolumeV1 &value)
{
	CORBEL_TRY(may_change());
	const auto levels = CORBEL_TRY(volumes_.levels(root(Kind::volumes)));
	CORBEL_TRY(store_.has_room(Tree::for_insert(levels), Purpose::use));
	return change([&]() -> Result<VolumeId> {
		if (value.root)
			CORBEL_TRY(store_.raise({value.root}));
		return insert_volume(value);
	});
}

Result<void> Pool::roll_back(VolumeId volume, VolumeId to)
{
	auto value = CORBEL_TRY(writable_volume(volume));
	const auto source = CORBEL_TRY(usable_volume(to));
	const auto levels = CORBEL_TRY(volumes_.levels(root(Kind::volumes)));

	CORBEL_TRY(store_.has_room(2 * Tree::for_insert(levels), Purpose::use));
	/* What it held goes to a volume of its own that is being deleted. */
	VolumeV1 old = value;
	old.flags = volume_deleting;
	old.origin = volume.value;
	value.root = source.root;
	value.blocks = source.blocks;
	value.mapped = source.mapped;
	return change([&]() -> Result<void> {
		if (value.root)
			CORBEL_TRY(store_.raise({value.root}));
		CORBEL_TRY(put_volume(volume, value));
		if (old.root)
			(void)CORBEL_TRY(insert_volume(old));
		return {};
	});
}

Result<void> Pool::delete_volume(VolumeId volume)
{
	CORBEL_TRY(may_change());
	auto value = CORBEL_TRY(usable_volume(volume));
	const auto levels = CORBEL_TRY(volumes_.levels(root(Kind::volumes)));

	CORBEL_TRY(store_.has_room(levels, Purpose::give_back));
	value.flags |= volume_deleting;
	return change([&] { return put_volume(volume, value); });
}

Result<bool> Pool::delete_some(VolumeId volume)
{
	CORBEL_TRY(may_change());
	auto value = CORBEL_TRY(find_volume(volume));
	if (!(value.flags & volume_deleting))
		return Error::invalid;
	const auto need = CORBEL_TRY(this->need());
	const auto levels = CORBEL_TRY(logical_.levels({value.root}));
	const u64 table = need.volumes + 1, entry = need.remove_middle + need.remove_reverse;
	CORBEL_TRY(store_.has_room(levels + table + entry, Purpose::give_back));

	return change([&]() -> Result<bool> {
		Meta root{value.root};

		/* Trees do not grow here, so what an entry needs is the same for all. */
		const bool empty = CORBEL_TRY(logical_.drop_front(
			root,
			[&](u64 mba) -> Result<bool> {
				if (!store_.has_room(entry + table, Purpose::give_back).ok())
					return false;
				CORBEL_TRY(drop_mba({mba}));
				logical_written_++;
				return true;
			},
			unshared_));
		value.root = root.value;
		if (!empty) {
			CORBEL_TRY(put_volume(volume, value));
			return false;
		}
		const bool removed = CORBEL_TRY(with_root(Kind::volumes, [&](Meta &root) {
			return volumes_.remove(root, volume.value);
		}));
		store_.change_super().volumes--;
		return removed ? Result<bool>(true) : Error::bad_message;
	});
}

Result<void> Pool::resize_volume(VolumeId volume, u64 blocks)
{
	auto value = CORBEL_TRY(writable_volume(volume));
	const auto levels = CORBEL_TRY(volumes_.levels(root(Kind::volumes)));
	bool used = false;

	CORBEL_TRY(logical_.walk({value.root}, blocks, ~u64{0}, [&](u64, const u64 *) {
		used = true;
		return Result<bool>(false);
	}));
	if (used)
		return Error::busy;
	CORBEL_TRY(store_.has_room(levels, Purpose::give_back));
	value.blocks = blocks;
	return change([&] { return put_volume(volume, value); });
}

Result<VolumeId> Pool::next_volume(VolumeId after)
{
	VolumeId next{};

	if (after.value == ~u64{0})
		return Error::not_found;
	CORBEL_TRY(volumes_.walk(root(Kind::volumes), after.value + 1, ~u64{0},
				 [&](u64 id, const u64 *) -> Result<bool> {
					 next = {id};
					 return false;
				 }));
	return next == VolumeId{} ? Result<VolumeId>(Error::not_found) : next;
}

Result<void> Pool::diff(VolumeId a, VolumeId b, Lba first, VisitDifference visit)
{
	const auto value_a = CORBEL_TRY(usable_volume(a));
	const auto value_b = CORBEL_TRY(usable_volume(b));

	return logical_.diff({value_a.root}, {value_b.root}, first.value,
			     [&](u64 lba, const u64 *in_a, const u64 *in_b) {
				     return visit({lba}, in_a != nullptr, in_b != nullptr);
			     });
}

} /* namespace corbel::block */
