/* SPDX-License-Identifier: GPL-2.0 */
#include "store.hh"
#include "crc32c.hh"
#include "superblock.hh"

namespace corbel::block {

static Meta superblock_of(u64 generation)
{
	return {generation % 2};
}

Result<void> Store::format(BlockDevice &device, u64 meta_blocks, u32 data_block_bytes,
			   const Uuid &uuid)
{
	if (meta_blocks < min_meta_blocks || meta_blocks > max_meta_blocks ||
	    data_block_bytes < 4096 || data_block_bytes > 1 << 20 ||
	    data_block_bytes & (data_block_bytes - 1))
		return Error::invalid;
	auto page = CORBEL_TRY(rt::Pages::make(meta_bytes, rt::Pages::Use::kernel));
	auto &super = *page.as<SuperblockV1>();

	/* Until the end there is no pool, neither the old one nor the new one. */
	CORBEL_TRY(device.write({0}, &super));
	CORBEL_TRY(device.write({1}, &super));
	CORBEL_TRY(device.flush());
	BlockHeaderV1 header{
		.magic = counts_magic, .crc = 0, .block = 0, .generation = 1, .pool = 0};
	__builtin_memcpy(&header.pool, uuid.bytes, sizeof(header.pool));
	for (u64 i = 0; i < count_blocks_of(meta_blocks); i++) {
		header.block = first_counts.value + 2 * i;
		super.header = header;
		seal(super.header);
		CORBEL_TRY(device.write({header.block}, &super));
	}
	CORBEL_TRY(device.flush());
	header.magic = superblock_magic;
	header.block = superblock_of(1).value;
	super.header = header;
	super.version = format_version;
	super.data_block_bytes = data_block_bytes;
	super.meta_blocks = meta_blocks;
	super.next_volume = 1;
	__builtin_memcpy(super.uuid, uuid.bytes, sizeof(super.uuid));
	seal(super.header);
	CORBEL_TRY(device.write({header.block}, &super));
	return device.flush();
}

/* The newer whole one into super_. */
Result<void> Store::read_superblocks()
{
	bool found = false;

	for (u64 place = 0; place < 2; place++) {
		CORBEL_TRY(device_.read({place}, other_));
		if (!is_whole(*other_, {place}))
			continue;
		/* Which of two places it belongs to is part of what its generation says. */
		if (superblock_of(other_->header.generation) != Meta{place} &&
		    !sabotaged(Sabotage::superblock_in_one_place))
			return Error::bad_message;
		if (found && other_->header.generation < super_->header.generation)
			continue;
		__builtin_memcpy(super_, other_, meta_bytes);
		found = true;
	}
	return found ? check_superblock(*super_, meta_blocks_) : Result<void>(Error::not_found);
}

Result<void> Store::open(u64 meta_blocks, u32 cache_nodes, Access access)
{
	meta_blocks_ = meta_blocks;
	access_ = access;
	if (meta_blocks < min_meta_blocks)
		return Error::not_found;
	pages_ = CORBEL_TRY(rt::Pages::make(std::size_t{2} * meta_bytes, rt::Pages::Use::kernel));
	super_ = pages_.as<SuperblockV1>();
	other_ = super_ + 1;
	CORBEL_TRY(read_superblocks());
	CORBEL_TRY(cache_.init(cache_nodes));
	CORBEL_TRY(space_.init(super_->meta_blocks));
	(void)CORBEL_TRY(abort());
	return {};
}

Result<bool> Store::abort()
{
	broken_ = true;
	cache_.forget_all();
	const u64 meta_blocks = super_->meta_blocks;
	CORBEL_TRY(read_superblocks());
	if (super_->meta_blocks != meta_blocks)
		return Error::bad_message;
	if (!is_read_only() && !sabotaged(Sabotage::no_flush_at_open))
		CORBEL_TRY(device_.flush());
	CORBEL_TRY(space_.load(*super_));
	const bool advanced = super_->header.generation > committed_.value;
	committed_ = {super_->header.generation};
	changed_ = false;
	broken_ = false;
	return advanced;
}

Result<void> Store::write_superblock()
{
	__builtin_memcpy(other_, super_, meta_bytes);
	other_->header.block = sabotaged(Sabotage::superblock_in_one_place)
				       ? 0
				       : superblock_of(other_->header.generation).value;
	seal(other_->header);
	CORBEL_TRY(device_.write({other_->header.block}, other_));
	written_ += meta_bytes;
	return {};
}

Result<void> Store::commit()
{
	if (broken_)
		return Error::cancelled;
	if (!changed_)
		return {};
	if (is_read_only())
		return Error::permission;
	/* Of what happens now nothing can be taken back by forgetting it. */
	broken_ = true;
	CORBEL_TRY(cache_.write_dirty());
	super_->header.generation++;
	CORBEL_TRY(space_.store(*super_));
	if (!sabotaged(Sabotage::no_flush_before_superblock))
		CORBEL_TRY(device_.flush());
	CORBEL_TRY(write_superblock());
	if (!sabotaged(Sabotage::no_flush_after_superblock))
		CORBEL_TRY(device_.flush());
	space_.committed();
	committed_ = {super_->header.generation};
	changed_ = false;
	broken_ = false;
	return {};
}

Result<NodeRef> Store::read(Meta block, Kind kind, u32 level)
{
	if (!space_.count(block))
		return Error::bad_message;
	auto node = CORBEL_TRY(cache_.read(block, [&](const NodeV1 &read) -> Result<void> {
		const BlockHeaderV1 &header = read.header;

		if (header.magic != node_magic || header.block != block.value ||
		    header.pool != super_->header.pool || header.generation > generation().value ||
		    header.crc != crc32c(&header.block, meta_bytes - crc_from) ||
		    !well_formed(read))
			return Error::bad_message;
		return {};
	}));
	if (node->kind != static_cast<u8>(kind) || (level != any_level && node->level != level))
		return Error::bad_message;
	return node;
}

Result<NodeRef> Store::create(Kind kind, u32 level)
{
	changed_ = true;
	const Meta block = CORBEL_TRY(space_.take());
	auto node = CORBEL_TRY(cache_.create(block));
	NodeV1 &raw = node.change();

	raw.header = {.magic = node_magic,
		      .crc = 0,
		      .block = block.value,
		      .generation = generation().value,
		      .pool = super_->header.pool};
	raw.kind = static_cast<u8>(kind);
	raw.level = static_cast<u8>(level);
	raw.value_words = static_cast<u16>(level ? 1 : value_words_of(kind));
	super_->nodes[raw.kind]++;
	return node;
}

Result<NodeRef> Store::copy(const NodeRef &node)
{
	auto copied = CORBEL_TRY(create(static_cast<Kind>(node->kind), node->level));
	NodeV1 &raw = copied.change();

	raw.count = node->count;
	__builtin_memcpy(raw.words, node->words, sizeof(raw.words));
	return copied;
}

Result<u32> Store::drop(Meta block, Kind kind)
{
	changed_ = true;
	const u32 left = CORBEL_TRY(space_.drop(block));

	if (!left) {
		cache_.forget(block);
		super_->nodes[static_cast<unsigned>(kind)]--;
	}
	return left;
}

Result<void> Store::has_room(u64 blocks, Purpose purpose) const
{
	const u64 need = blocks + (purpose == Purpose::use ? reserved : 0);

	if (space_.available() >= need)
		return {};
	return space_.available() + space_.awaiting_commit() >= need ? Error::again
								     : Error::no_space;
}

} /* namespace corbel::block */
