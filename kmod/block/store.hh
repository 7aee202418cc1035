/* SPDX-License-Identifier: GPL-2.0 */
/*
 * store.hh - transactions over the blocks of a metadata device.
 *
 * A transaction changes no block that the last committed state has: a node is copied to a
 * free block before it is changed the first time. To commit is
 *
 *	write all new nodes, and all counts that changed to the place that does not count
 *	flush
 *	write the superblock, over the one before the last committed one
 *	flush
 *
 * After a crash the superblock of the highest generation counts of those that are whole. If
 * it is the new one, all that it leads to was flushed before it was written; if not, nothing
 * that the last one leads to was overwritten. What transaction n freed, in nodes as in places
 * of counts, is written to from n + 1 on, when the superblock of n has been flushed. Should
 * that of n become unreadable later (a bad sector), that of n - 1 is good as long as nothing
 * was written since; else it leads to blocks of a later generation, which are refused.
 *
 * A crash of the host alone may leave writes in the device that no flush has sealed. open()
 * and abort() flush what they have read before anything else is written, as what they found
 * may not be taken back afterwards.
 *
 * When a step of an operation fails (a read or write error, no memory, damage), the
 * transaction is broken: it can only be aborted, back to the last committed state. Running out
 * of space breaks nothing, as it is asked for beforehand (has_room): what is reserved can be
 * used by what gives back at least as much. To delete takes copies of nodes, which it frees
 * with all else at the next commit.
 *
 * The ideas are public ones: shadowing of nodes with counts of references (O. Rodeh, "B-trees,
 * shadowing, and clones", 2008; Linux's persistent-data library of dm-thin), a commit record
 * in two places (ZFS uberblocks, WAFL), old or new halves of fixed maps told by a bit.
 *
 * One thread at a time: the lock is the caller's. Reading nodes changes the cache, so readers
 * take it as well; once a node is in memory and of a committed generation it does not change
 * until it is forgotten, which is where lookups without the lock can begin.
 */
#pragma once

#include "cache.hh"
#include "node.hh"
#include "space.hh"

namespace corbel::block {

enum class Access : bool { read_only, read_write };

struct Uuid {
	u8 bytes[16];
};

class Store {
public:
	explicit Store(BlockDevice &device) : device_(device), cache_(device), space_(device) {}

	/* An empty pool, over whatever was there. Task; invalid: not a possible size. */
	static Result<void> format(BlockDevice &device, u64 meta_blocks, u32 data_block_bytes,
				   const Uuid &uuid);

	/*
	 * The last committed state. @meta_blocks: size of the device, of which no more is
	 * looked at. @cache_nodes: how many nodes to keep in memory. Once. Task; not_found:
	 * there is no pool; not_supported: a later version or unknown features; no_space: the
	 * device is smaller than it was; bad_message: damaged.
	 */
	Result<void> open(u64 meta_blocks, u32 cache_nodes, Access access);

	/* Task. Any error: broken. */
	Result<void> commit();
	/*
	 * Back to the last committed state. True: it is the one that a failed commit() was to
	 * make, as the device had come that far. Nobody has a NodeRef. Task; any error: broken.
	 */
	Result<bool> abort();

	/* The next commit writes every block of counts to its other place, for who repairs. */
	void rewrite_counts()
	{
		changed_ = true;
		space_.touch_all();
	}

	/* Something has been changed and not committed. */
	[[nodiscard]] bool is_changed() const { return changed_; }
	[[nodiscard]] bool is_broken() const { return broken_; }
	[[nodiscard]] bool is_read_only() const { return access_ == Access::read_only; }
	void set_broken() { broken_ = true; }

	/* Of the transaction that is under way. */
	[[nodiscard]] Generation generation() const { return {super().header.generation + 1}; }
	[[nodiscard]] const SuperblockV1 &super() const { return *super_; }
	[[nodiscard]] SuperblockV1 &change_super()
	{
		changed_ = true;
		return *super_;
	}

	/* A node of that kind and level (any_level: whichever). Task. */
	static constexpr u32 any_level = ~u32{0};
	Result<NodeRef> read(Meta block, Kind kind, u32 level);

	/* May be changed where it lies. */
	[[nodiscard]] bool is_new(const NodeRef &node) const
	{
		return (node->header.generation == generation().value ||
			sabotaged(Sabotage::nodes_in_place)) &&
		       space_.count(node.block()) == 1;
	}
	/* With count 1 and no keys. Task. */
	Result<NodeRef> create(Kind kind, u32 level);
	/* The same contents in a new block. What it refers to is not raised. */
	Result<NodeRef> copy(const NodeRef &node);

	[[nodiscard]] u32 count(Meta block) const { return space_.count(block); }
	Result<void> raise(Meta block)
	{
		changed_ = true;
		return space_.raise(block);
	}
	/* Of a node of @kind. How many still refer to it; 0: it is gone. */
	Result<u32> drop(Meta block, Kind kind);

	/* Blocks that no ordinary operation takes. */
	static constexpr u64 reserved = 64;
	enum class Purpose : bool { use, give_back };
	/* again: not before the next commit; no_space. */
	[[nodiscard]] Result<void> has_room(u64 blocks, Purpose purpose) const;

	[[nodiscard]] const Space &space() const { return space_; }
	/* Bytes of metadata since the pool was opened. */
	[[nodiscard]] u64 written() const { return cache_.written() + space_.written() + written_; }

private:
	Result<void> read_superblocks();
	Result<void> write_superblock();

	BlockDevice &device_;
	Cache cache_;
	Space space_;
	rt::Pages pages_;
	SuperblockV1 *super_ = nullptr; /* as changed; of the last committed generation */
	SuperblockV1 *other_ = nullptr; /* to read or write one */
	u64 meta_blocks_ = 0, written_ = 0;
	Generation committed_;
	Access access_ = Access::read_only;
	bool changed_ = false, broken_ = true;
};

} /* namespace corbel::block */
