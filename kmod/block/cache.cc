/* SPDX-License-Identifier: GPL-2.0 */
#include "cache.hh"
#include "crc32c.hh"

namespace corbel::block {

Result<void> Cache::init(u32 nodes)
{
	u32 bits = 5;

	most_ = nodes < min_nodes ? min_nodes : nodes;
	while (bits < 24 && u32{1} << bits < most_)
		bits++;
	shift_ = 64 - bits;
	table_ =
		CORBEL_TRY(rt::Pages::make((sizeof(CachedNode *)) << bits, rt::Pages::Use::kernel));
	buckets_ = table_.as<CachedNode *>();
	return {};
}

Cache::~Cache()
{
	forget_all();
}

CachedNode *Cache::find(Meta block)
{
	CachedNode *cached = buckets_[bucket_of(block)];

	while (cached && cached->block != block)
		cached = cached->next;
	return cached;
}

NodeRef Cache::used(CachedNode *cached)
{
	cached->by_use.unlink();
	by_use_.push_back(*cached);
	return NodeRef(cached);
}

/* More than there should be is better than none: what is in use is little. */
Result<void> Cache::make_room()
{
	for (auto &cached : by_use_) {
		if (size_ < most_)
			break;
		if (cached.users)
			continue;
		if (cached.dirty)
			CORBEL_TRY(write(cached));
		destroy(&cached);
	}
	return {};
}

Result<CachedNode *> Cache::make(Meta block)
{
	CORBEL_TRY(make_room());
	auto cached = CORBEL_TRY(rt::Box<CachedNode>::make(rt::Context::task));
	cached->node = static_cast<NodeV1 *>(corbel_alloc(sizeof(NodeV1), true));
	if (!cached->node)
		return Error::no_memory;
	cached->block = block;
	CachedNode **bucket = &buckets_[bucket_of(block)];
	cached->next = *bucket;
	*bucket = cached.get();
	by_use_.push_back(*cached);
	size_++;
	return cached.release();
}

void Cache::destroy(CachedNode *cached)
{
	CachedNode **at = &buckets_[bucket_of(cached->block)];

	while (*at != cached)
		at = &(*at)->next;
	*at = cached->next;
	cached->by_use.unlink();
	corbel_free(cached->node);
	(void)rt::Box<CachedNode>::adopt(cached);
	size_--;
}

Result<NodeRef> Cache::create(Meta block)
{
	CachedNode *cached = find(block);

	if (cached) {
		/* Its block was free, so nobody can have come to it. */
		if (cached->users)
			return Error::bad_message;
		__builtin_memset(cached->node, 0, sizeof(NodeV1));
	} else {
		cached = CORBEL_TRY(make(block));
	}
	cached->dirty = true;
	return used(cached);
}

void Cache::forget(Meta block)
{
	CachedNode *cached = find(block);

	if (!cached)
		return;
	cached->dirty = false;
	if (!cached->users)
		destroy(cached);
}

void Cache::forget_all()
{
	while (CachedNode *cached = by_use_.front())
		destroy(cached);
}

Result<void> Cache::write(CachedNode &cached)
{
	BlockHeaderV1 &header = cached.node->header;

	header.crc = crc32c(&header.block, meta_bytes - crc_from);
	CORBEL_TRY(device_.write(cached.block, cached.node));
	cached.dirty = false;
	written_ += meta_bytes;
	return {};
}

Result<void> Cache::write_dirty()
{
	for (auto &cached : by_use_)
		if (cached.dirty)
			CORBEL_TRY(write(cached));
	return {};
}

} /* namespace corbel::block */
