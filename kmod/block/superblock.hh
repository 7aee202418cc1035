/* SPDX-License-Identifier: GPL-2.0 */
/* superblock.hh - whether a block is a superblock that can be believed. */
#pragma once

#include "format.hh"

namespace corbel::block {

/* crc32c into the header of a block that is complete but for it. */
void seal(BlockHeaderV1 &header);

/* It is whole, and that of block @place. */
[[nodiscard]] bool is_whole(const SuperblockV1 &super, Meta place);

/* What a whole one says is possible on a device of @meta_blocks. See Store::open. */
[[nodiscard]] Result<void> check_superblock(const SuperblockV1 &super, u64 meta_blocks);

} /* namespace corbel::block */
