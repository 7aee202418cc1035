/* SPDX-License-Identifier: GPL-2.0 */
#include "superblock.hh"
#include "crc32c.hh"
#include "zeros.hh"

namespace corbel::block {

void seal(BlockHeaderV1 &header)
{
	header.crc = crc32c(&header.block, meta_bytes - crc_from);
}

bool is_whole(const SuperblockV1 &super, Meta place)
{
	return super.header.magic == superblock_magic && super.header.block == place.value &&
	       super.header.crc == crc32c(&super.header.block, meta_bytes - crc_from);
}

static bool are_devices_possible(const SuperblockV1 &super)
{
	u64 end = 0, used = 0;

	for (const DeviceV1 &device : super.devices) {
		if (device.blocks > Pba::block_end || device.limit > device.blocks ||
		    device.used > device.blocks || device.reserved)
			return false;
		end += device.blocks;
		used += device.used;
	}
	return end <= super.mba_end && super.mba_end <= max_devices * Pba::block_end &&
	       used == super.mapped && super.mapped <= super.mba_end;
}

static bool are_homes_possible(const SuperblockV1 &super)
{
	const u64 blocks = count_blocks_of(super.meta_blocks);

	for (u64 i = blocks; i < max_count_blocks; i++)
		if (super.homes[i / 64] >> (i % 64) & 1)
			return false;
	return true;
}

Result<void> check_superblock(const SuperblockV1 &super, u64 meta_blocks)
{
	const u32 bytes = super.data_block_bytes;
	u64 pool;

	if (super.version != format_version || super.features)
		return Error::not_supported;
	__builtin_memcpy(&pool, super.uuid, sizeof(pool));
	if (super.meta_blocks < min_meta_blocks || super.meta_blocks > max_meta_blocks ||
	    bytes < 4096 || bytes > 1 << 20 || bytes & (bytes - 1) || pool != super.header.pool ||
	    super.header.generation == 0 || super.header.generation >= ~u64{0} / 2 ||
	    super.next_volume == 0 || super.volumes >= super.next_volume)
		return Error::bad_message;
	if (super.meta_blocks > meta_blocks)
		return Error::no_space;
	if (!is_zero(super.reserved, sizeof(super.reserved)) ||
	    !is_zero(super.unused, sizeof(super.unused)) || !are_devices_possible(super) ||
	    !are_homes_possible(super))
		return Error::bad_message;
	const Meta first = first_node_of(super.meta_blocks);
	for (unsigned kind = 0; kind < kinds; kind++) {
		const u64 root = super.roots[kind];

		if (root && (root < first.value || root >= super.meta_blocks))
			return Error::bad_message;
		if (super.nodes[kind] > super.meta_blocks)
			return Error::bad_message;
	}
	/* The logical maps have their roots in the volume table. */
	return super.roots[static_cast<unsigned>(Kind::logical)] ? Result<void>(Error::bad_message)
								 : Result<void>();
}

} /* namespace corbel::block */
