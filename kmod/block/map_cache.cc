/* SPDX-License-Identifier: GPL-2.0 */
#include "map_cache.hh"

namespace corbel::block {

static constexpr u64 entries_bytes = u64{MapCache::ways} * MapCache::per_chunk * sizeof(u64);

MapCache::~MapCache()
{
	for (u32 i = 0; i < count_; i++)
		corbel_free(sets_[i].entries);
}

Result<void> MapCache::init(u64 bytes)
{
	u32 bits = 4;

	while (bits < 18 && (u64{2} << bits) * (sizeof(Set) + entries_bytes) <= bytes)
		bits++;
	table_ = CORBEL_TRY(rt::Pages::make(sizeof(Set) << bits, rt::Pages::Use::kernel));
	sets_ = table_.as<Set>();
	count_ = 1U << bits;
	shift_ = 64 - bits;
	bytes_ = sizeof(Set) << bits;
	return {};
}

Result<MapCache::Chunk> MapCache::chunk(u32 owner, u64 key)
{
	const u64 chunk = key / per_chunk;
	Set &set = sets_[index_of(owner, chunk)];
	u32 way = way_of(set, owner, chunk);

	if (!set.entries) {
		auto *entries = static_cast<u64 *>(corbel_alloc(entries_bytes, true));

		if (!entries)
			return Error::no_memory;
		/* Nobody reads it before a way of the set has a chunk. */
		set.entries = entries;
		bytes_ += entries_bytes;
	}
	if (way < ways)
		return Chunk{&set.entries[way * per_chunk], &set.marks[way], false};
	/* The second time around all have been found unused. */
	while (set.chunks[set.hand % ways] && set.used[set.hand % ways]) {
		rt::atomic_store(&set.used[set.hand % ways], u8{0}, rt::Order::relaxed);
		set.hand++;
	}
	way = set.hand++ % ways;
	begin(set);
	rt::atomic_store(&set.chunks[way], chunk + 1, rt::Order::relaxed);
	rt::atomic_store(&set.owners[way], owner, rt::Order::relaxed);
	rt::atomic_store(&set.marks[way], 0U, rt::Order::relaxed);
	for (u32 i = 0; i < per_chunk; i++)
		rt::atomic_store(&set.entries[way * per_chunk + i], u64{0}, rt::Order::relaxed);
	end(set);
	rt::atomic_store(&set.used[way], u8{1}, rt::Order::relaxed);
	return Chunk{&set.entries[way * per_chunk], &set.marks[way], true};
}

void MapCache::set(u32 owner, u64 key, u64 value)
{
	const u64 chunk = key / per_chunk;
	Set &set = sets_[index_of(owner, chunk)];
	const u32 way = way_of(set, owner, chunk);

	if (way < ways)
		rt::atomic_store(&set.entries[way * per_chunk + key % per_chunk], value,
				 rt::Order::release);
}

} /* namespace corbel::block */
