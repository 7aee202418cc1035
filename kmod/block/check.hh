/* SPDX-License-Identifier: GPL-2.0 */
/*
 * check.hh - whether all that a pool's metadata says fits together.
 *
 * Everything is read and held against what must be so:
 *
 *  - each node is whole, of the kind, level and range of keys that its parent says, and its
 *    count is how many refer to it; no block has a count that nothing refers to;
 *  - a middle entry's count is how many entries of logical leaves name it, and each MBA that
 *    is named has an entry;
 *  - the reverse map is the inverse of the middle map, so that no place belongs to two;
 *  - places lie on devices, blocks within their volume, volumes have as many mapped blocks as
 *    they say, and so have devices, trees and the superblock.
 *
 * It goes on after what it finds. A node that several refer to is visited once, so that the
 * time is that of reading what there is, whatever the device holds. Memory: 16 bytes for each
 * block of metadata, 4 for each MBA in use.
 */
#pragma once

#include "../rt/text.hh"
#include "pool.hh"

namespace corbel::block {

enum class Wrong : u8 {
	unreadable, /* a node: damaged, or not where its parent says */
	node_count, /* of a block: @found, where @expected refer to it */
	node_total, /* of a tree; @key: its kind */
	volume_entry, /* impossible */
	volume_mapped,
	volume_total,
	mapping_outside, /* a logical entry @key behind the volume's end, or names no MBA */
	middle_entry, /* impossible */
	middle_count, /* of MBA @key */
	middle_missing, /* MBA @key is named and has no entry */
	middle_total,
	reverse_missing, /* of MBA @key: its place names @found */
	reverse_wrong, /* place @key names MBA @found, which lies elsewhere */
	device_used, /* of device @key */
};

[[nodiscard]] rt::Text name_of(Wrong wrong);

struct Violation {
	Wrong what;
	Meta node; /* where it was met, 0: the superblock or no one place */
	u64 key;
	u64 expected, found;
};

using Report = rt::FunctionRef<void(const Violation &violation)>;

/*
 * Of a pool that is open, with what has been changed in it; it changes nothing. How many
 * violations were reported. Task; no_memory, io.
 */
Result<u64> check(Pool &pool, Report report);

} /* namespace corbel::block */
