/* SPDX-License-Identifier: GPL-2.0 */
/*
 * format.hh - what lies on the metadata device, version 1.
 *
 *   block 0, 1            superblocks; generation g is in block g % 2
 *   2 .. 2 + 2 * c - 1    counts: block i of them has two places, 2 + 2 * i and the next
 *   from 2 + 2 * c on     nodes of trees; counts tell how many refer to each
 *
 * All numbers are little-endian. Each block begins with a BlockHeaderV1 that tells what it
 * is, where it belongs, of which pool it is and who wrote it, so that a block that is
 * damaged, misplaced, left from an earlier pool or of a later generation is not believed.
 * What is reserved is zero. Documentation/formats.md has this in tables.
 */
#pragma once

#include "types.hh"

#include <bit>

namespace corbel::block {

static_assert(std::endian::native == std::endian::little);

inline constexpr u32 meta_bytes = 4096;
inline constexpr u32 format_version = 1;

inline constexpr u32 superblock_magic = 0x53506243; /* "CbPS" */
inline constexpr u32 counts_magic = 0x43506243; /* "CbPC" */
inline constexpr u32 node_magic = 0x4e506243; /* "CbPN" */

struct BlockHeaderV1 {
	u32 magic;
	u32 crc; /* crc32c of the block from `block` on */
	u64 block; /* its own number */
	u64 generation; /* the transaction that wrote it */
	u64 pool; /* first word of the pool's UUID */
};
static_assert(sizeof(BlockHeaderV1) == 32);
inline constexpr u32 crc_from = offsetof(BlockHeaderV1, block);

/* Trees. The roots of all but the logical maps are in the superblock. */
enum class Kind : u8 { volumes = 0, middle = 1, reverse = 2, logical = 3 };
inline constexpr unsigned kinds = 4;

inline constexpr u32 max_devices = 24;
inline constexpr u32 tier_bytes = 16;

struct DeviceV1 {
	u8 uuid[16];
	char tier[tier_bytes]; /* label, padded with NUL */
	u64 blocks; /* 0: there is no device of this number */
	u64 limit; /* only blocks below are given out; of one that is emptied, less than blocks */
	u64 used; /* entries of the reverse map */
	u64 reserved;
};
static_assert(sizeof(DeviceV1) == 64);

inline constexpr u32 home_words = 256;

struct SuperblockV1 {
	BlockHeaderV1 header;
	u32 version;
	u32 data_block_bytes; /* a power of two, 4 KiB to 1 MiB */
	u64 features; /* unknown ones: not opened */
	u64 meta_blocks; /* size of the metadata device */
	u8 uuid[16];
	u64 roots[kinds]; /* 0: an empty tree */
	u64 nodes[kinds]; /* how many there are */
	u64 next_volume; /* id of the next one; ids are not used twice */
	u64 volumes; /* entries of the volume table */
	u64 mba_end; /* MBAs are below; grows with devices and never shrinks */
	u64 mapped; /* entries of the middle map */
	u64 reserved[3];
	DeviceV1 devices[max_devices];
	u64 homes[home_words]; /* a bit a block of counts: which of its places counts */
	u8 unused[320];
};
static_assert(sizeof(SuperblockV1) == meta_bytes);
static_assert(offsetof(SuperblockV1, roots) == 72 && offsetof(SuperblockV1, devices) == 192 &&
	      offsetof(SuperblockV1, homes) == 1728);

inline constexpr u32 counts_per_block = (meta_bytes - sizeof(BlockHeaderV1)) / 4;

/* How many refer to each of counts_per_block nodes' blocks; 0: it is free. */
struct CountsV1 {
	BlockHeaderV1 header;
	u32 counts[counts_per_block];
};
static_assert(sizeof(CountsV1) == meta_bytes && counts_per_block == 1016);

inline constexpr u64 max_count_blocks = u64{home_words} * 64;
inline constexpr Meta first_counts{2};

/* Leaves are of level 0. */
inline constexpr unsigned max_levels = 9;

inline constexpr u32 node_words = (meta_bytes - 48) / 8;

/*
 * @count keys in ascending order, behind the room for as many as fit the values of the same
 * order: the block of a child, or what the tree maps to. No key of a child is below its own in
 * the inner node; new ones that are go to the first child.
 */
struct NodeV1 {
	BlockHeaderV1 header;
	u8 kind;
	u8 level;
	u16 count;
	u16 value_words; /* of this node, 8 bytes each */
	u16 reserved0;
	u64 reserved1;
	u64 words[node_words];
};
static_assert(sizeof(NodeV1) == meta_bytes && offsetof(NodeV1, words) == 48);

/* Volume table: VolumeId -> */
struct VolumeV1 {
	u64 root; /* of its logical map; 0: empty */
	u64 blocks; /* its size */
	u64 mapped; /* entries of its map; not kept of one that is being deleted */
	u64 origin; /* the volume that it was made from; 0: none */
	u64 created; /* generation */
	u32 flags;
	u32 reserved;
};
static_assert(sizeof(VolumeV1) == 48);

inline constexpr u32 volume_read_only = 1 << 0;
inline constexpr u32 volume_deleting = 1 << 1;
inline constexpr u32 volume_flags = volume_read_only | volume_deleting;

/* Middle map: Mba -> */
struct MiddleV1 {
	u64 pba; /* packed */
	u32 count; /* entries of logical leaves that name it */
	u32 lowered; /* when the count last became less: low bits of a generation */
};
static_assert(sizeof(MiddleV1) == 16);

/* Reverse map: packed Pba -> Mba. Logical maps: Lba -> Mba. */
constexpr u32 value_words_of(Kind kind)
{
	switch (kind) {
	case Kind::volumes:
		return sizeof(VolumeV1) / 8;
	case Kind::middle:
		return sizeof(MiddleV1) / 8;
	case Kind::reverse:
	case Kind::logical:
		break;
	}
	return 1;
}

constexpr u32 capacity_of(u32 value_words)
{
	return node_words / (1 + value_words);
}
static_assert(capacity_of(1) == 253 && capacity_of(2) == 168 && capacity_of(6) == 72);

/* Blocks of counts that a metadata device of @meta_blocks needs. */
constexpr u64 count_blocks_of(u64 meta_blocks)
{
	const u64 per = counts_per_block + 2;

	return meta_blocks <= first_counts.value
		       ? 0
		       : (meta_blocks - first_counts.value + per - 1) / per;
}

constexpr Meta first_node_of(u64 meta_blocks)
{
	return {first_counts.value + 2 * count_blocks_of(meta_blocks)};
}

/* What a pool can do with: fewer leave no room beside what is reserved. */
inline constexpr u64 min_meta_blocks = 128;
inline constexpr u64 max_meta_blocks = max_count_blocks * (counts_per_block + 2) + 2;
static_assert(count_blocks_of(max_meta_blocks) == max_count_blocks);

} /* namespace corbel::block */
