/* SPDX-License-Identifier: GPL-2.0 */
/*
 * space.hh - how many refer to each node's block, and which blocks are free.
 *
 * Counts lie in blocks of their own, each with two places on the device. A commit writes
 * those that changed to the place that does not count, and the superblock, which has a bit for
 * each, makes it count. So nothing has to be allocated to write down what was allocated: a
 * commit takes no space, and cannot fail for want of it.
 *
 * A block whose count has come to 0 is given out again when the transaction that did it is
 * committed; until then the last committed state may need it.
 *
 * All counts are in memory, 4 bytes for 4 KiB of metadata.
 */
#pragma once

#include "../rt/memory.hh"
#include "device.hh"
#include "sabotage.hh"

namespace corbel::block {

class Space {
public:
	explicit Space(BlockDevice &device) : device_(device) {}

	/* For a device of @meta_blocks, all free. Once. Task; no_memory. */
	Result<void> init(u64 meta_blocks);
	/* What @superblock, which is valid, says. Task; bad_message: damaged. */
	Result<void> load(const SuperblockV1 &superblock);
	/* What changed, for @superblock, to which it tells the places. Task. */
	Result<void> store(SuperblockV1 &superblock);
	/* Of the next one: all of it. */
	void touch_all()
	{
		for (u64 block = 0; block < blocks_; block++)
			assign(dirty_, block, true);
	}
	/* The superblock of the last store() counts. */
	void committed();

	[[nodiscard]] Meta first() const { return first_; }
	/* A node may lie there. */
	[[nodiscard]] bool contains(Meta block) const
	{
		return block >= first_ && block.value - first_.value < size_;
	}
	/* 0: it is free, or no node can lie there. */
	[[nodiscard]] u32 count(Meta block) const
	{
		return contains(block) ? counts_[block.value - first_.value] : 0;
	}

	/* It has count 1. no_space: none is free. */
	Result<Meta> take();
	/* One more refers to it. bad_message: it was free; overflow. */
	Result<void> raise(Meta block);
	/* One less. How many are left; bad_message: there was none. */
	Result<u32> drop(Meta block);

	/* Blocks that can be taken now. */
	[[nodiscard]] u64 available() const { return free_; }
	/* Those that can be, too, when this transaction is committed. */
	[[nodiscard]] u64 awaiting_commit() const { return waiting_; }
	[[nodiscard]] u64 size() const { return size_; }
	/* Bytes of counts written. */
	[[nodiscard]] u64 written() const { return written_; }

private:
	[[nodiscard]] bool test(const u64 *bits, u64 at) const
	{
		return bits[at / 64] >> (at % 64) & 1;
	}
	static void assign(u64 *bits, u64 at, bool value)
	{
		const u64 bit = u64{1} << (at % 64);

		bits[at / 64] = value ? bits[at / 64] | bit : bits[at / 64] & ~bit;
	}
	void touch(u64 at) { assign(dirty_, at / counts_per_block, true); }
	[[nodiscard]] u64 end_of(u64 block) const
	{
		const u64 end = (block + 1) * counts_per_block;

		return end < size_ ? end : size_;
	}
	/* The bits of one block of counts, as of a state that was just loaded or committed. */
	void settle(u64 block);

	BlockDevice &device_;
	rt::Pages memory_, page_;
	u32 *counts_ = nullptr;
	u64 *busy_ = nullptr; /* in use now or in the committed state */
	u64 *old_ = nullptr; /* in use in the committed state */
	u64 *dirty_ = nullptr; /* a bit a block of counts */
	u64 size_ = 0, blocks_ = 0, next_ = 0, free_ = 0, waiting_ = 0, written_ = 0;
	Meta first_;
};

} /* namespace corbel::block */
