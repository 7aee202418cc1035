/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cache.hh - nodes of trees in memory.
 *
 * A node stays where it is while anybody has a NodeRef to it. One that was changed is written
 * by write_dirty(), or earlier when its memory is needed: that does no harm, because what is
 * changed lies where nothing lay in the last committed state.
 *
 * Who uses the cache has the lock of its pool.
 */
#pragma once

#include "../rt/intrusive_list.hh"
#include "../rt/memory.hh"
#include "device.hh"

namespace corbel::block {

struct CachedNode {
	rt::ListHook by_use;
	CachedNode *next = nullptr; /* of the same bucket */
	NodeV1 *node = nullptr;
	Meta block;
	u32 users = 0;
	bool dirty = false;
};

class Cache;

/* Keeps a node in memory. */
class [[nodiscard]] NodeRef {
public:
	constexpr NodeRef() = default;
	explicit NodeRef(CachedNode *cached) : cached_(cached) { cached_->users++; }
	NodeRef(NodeRef &&other) noexcept : cached_(other.cached_) { other.cached_ = nullptr; }
	NodeRef &operator=(NodeRef &&other) noexcept
	{
		CachedNode *taken = other.cached_;

		other.cached_ = nullptr;
		reset();
		cached_ = taken;
		return *this;
	}
	~NodeRef() { reset(); }

	void reset()
	{
		/* As with rt::Box, the analyzer does not follow which member of a Result lives. */
		if (cached_) // NOLINT(clang-analyzer-core.uninitialized.Branch)
			cached_->users--;
		cached_ = nullptr;
	}
	[[nodiscard]] explicit operator bool() const { return cached_ != nullptr; }
	[[nodiscard]] const NodeV1 &operator*() const { return *cached_->node; }
	const NodeV1 *operator->() const { return cached_->node; }
	[[nodiscard]] Meta block() const { return cached_->block; }

	/* To be changed: of this transaction, see Store::is_new. */
	[[nodiscard]] NodeV1 &change()
	{
		cached_->dirty = true;
		return *cached_->node;
	}

private:
	CachedNode *cached_ = nullptr;
};

class Cache {
public:
	/* What it holds beside the nodes that are in use: at least as much as a few paths. */
	static constexpr u32 min_nodes = 32;

	explicit Cache(BlockDevice &device) : device_(device) {}
	Cache(const Cache &) = delete;
	Cache &operator=(const Cache &) = delete;
	~Cache();

	/* Once. Task; no_memory. */
	Result<void> init(u32 nodes);

	/* As it lies on the device, if that is what @valid says. Task. */
	template <typename Valid>
	Result<NodeRef> read(Meta block, Valid &&valid)
	{
		if (CachedNode *cached = find(block))
			return used(cached);
		CachedNode *cached = CORBEL_TRY(make(block));
		auto result = device_.read(block, cached->node);

		if (result.ok())
			result = valid(*cached->node);
		if (!result.ok()) {
			destroy(cached);
			return result.error();
		}
		return used(cached);
	}
	/* Zeroed; what was known of @block is forgotten. Task; no_memory. */
	Result<NodeRef> create(Meta block);

	/* It is of no use any more, and need not be written. */
	void forget(Meta block);
	/* All of them. Nobody has a NodeRef. */
	void forget_all();
	/* Task. */
	Result<void> write_dirty();

	/* Bytes of nodes since the pool was opened. */
	[[nodiscard]] u64 written() const { return written_; }

private:
	[[nodiscard]] u32 bucket_of(Meta block) const
	{
		return static_cast<u32>(block.value * 0x9e3779b97f4a7c15 >> shift_);
	}
	CachedNode *find(Meta block);
	NodeRef used(CachedNode *cached);
	Result<CachedNode *> make(Meta block);
	Result<void> make_room();
	Result<void> write(CachedNode &cached);
	void destroy(CachedNode *cached);

	BlockDevice &device_;
	rt::Pages table_;
	CachedNode **buckets_ = nullptr;
	u32 shift_ = 0; /* of a hash, for the number of a bucket */
	u32 size_ = 0, most_ = 0;
	u64 written_ = 0;
	rt::List<CachedNode, &CachedNode::by_use> by_use_; /* the last used at the end */
};

} /* namespace corbel::block */
