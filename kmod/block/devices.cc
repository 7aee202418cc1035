/* SPDX-License-Identifier: GPL-2.0 */
/* devices.cc - the pool's data devices, and the giving out of their blocks. */
#include "pool.hh"

namespace corbel::block {

/* MBAs for every block that there can be, and those that there were stay possible. */
static void extend_mbas(SuperblockV1 &super)
{
	u64 sum = 0;

	for (const DeviceV1 &device : super.devices)
		sum += device.blocks;
	if (sum > super.mba_end)
		super.mba_end = sum;
}

Result<u16> Pool::add_device(const Uuid &uuid, rt::Text tier, u64 blocks)
{
	u16 number = 0;

	CORBEL_TRY(may_change());
	if (!blocks || blocks > Pba::block_end || tier.size() > tier_bytes)
		return Error::invalid;
	while (number < max_devices && (super().devices[number].blocks || places_[number].held()))
		number++;
	if (number == max_devices)
		return Error::no_space;
	SuperblockV1 &super = store_.change_super();
	DeviceV1 &device = super.devices[number];
	device = {};
	__builtin_memcpy(device.uuid, uuid.bytes, sizeof(device.uuid));
	__builtin_memcpy(device.tier, tier.data(), tier.size());
	device.blocks = device.limit = blocks;
	extend_mbas(super);
	return number;
}

Result<void> Pool::resize_device(u16 device, u64 blocks)
{
	CORBEL_TRY(may_change());
	if (device >= max_devices || !super().devices[device].blocks || blocks > Pba::block_end)
		return Error::invalid;
	const u64 old = super().devices[device].blocks;
	if (blocks < old) {
		bool used = false;

		CORBEL_TRY(walk_device(device, blocks, old - 1, [&](Pba, Mba) -> Result<bool> {
			used = true;
			return false;
		}));
		if (used)
			return Error::busy;
		/* Which of them lie there is not worth to be told apart. */
		if (places_[device].held())
			return Error::again;
	}
	SuperblockV1 &super = store_.change_super();
	DeviceV1 &changed = super.devices[device];
	changed.limit = changed.limit == old || changed.limit > blocks ? blocks : changed.limit;
	changed.blocks = blocks;
	extend_mbas(super);
	return {};
}

Result<void> Pool::limit_device(u16 device, u64 limit)
{
	CORBEL_TRY(may_change());
	if (device >= max_devices || limit > super().devices[device].blocks)
		return Error::invalid;
	store_.change_super().devices[device].limit = limit;
	return {};
}

u64 Pool::free_blocks(u16 device) const
{
	const u64 taken = super().devices[device].used + places_[device].held();

	/* What is held may have been told by a device that was larger. */
	return taken < super().devices[device].blocks ? super().devices[device].blocks - taken : 0;
}

Result<void> Pool::walk_device(u16 device, u64 first, u64 last, VisitPlace visit)
{
	if (device >= max_devices || first > last || last >= Pba::block_end)
		return Error::invalid;
	return reverse_.walk(
		root(Kind::reverse), Pba{device, first}.packed(), Pba{device, last}.packed(),
		[&](u64 key, const u64 *value) { return visit(Pba::unpack(key), Mba{*value}); });
}

Result<Pba> Pool::take_place(Placement placement, Places::State state)
{
	bool again = false;

	for (u16 i = 0; i <= max_devices; i++) {
		/* The one that is asked for, then all in order. */
		const u16 number = i ? i - 1 : placement.device;
		if (number >= max_devices || (i && placement.only))
			continue;
		const DeviceV1 &device = super().devices[number];
		if (!device.limit)
			continue;
		if (free_blocks(number)) {
			const auto taken =
				places_[number].take(device.limit, state, load_places(number),
						     i ? Places::anywhere : placement.from);

			if (taken.ok()) {
				fresh_ |= u32{1} << number;
				return Pba{number, taken.value()}; /* it is ok */
			}
			if (taken.error() != Error::no_space)
				return taken.error();
		}
		again |= places_[number].held() > places_[number].reserved();
	}
	return again ? Error::again : Error::no_space;
}

/* Before the reverse map forgets it. */
Result<void> Pool::release_place(Pba pba)
{
	return places_[pba.device].release(pba.block, load_places(pba.device));
}

} /* namespace corbel::block */
