/* SPDX-License-Identifier: GPL-2.0 */
/*
 * map_cache.hh - entries of a map in memory, for readers without a lock.
 *
 * A cache of chunks of 64 entries with neighbouring keys, in sets of 8 of which the one that
 * was not used for longest goes. There is a fixed number of sets; their memory is taken when
 * they are first filled and kept, so that a reader may always look: it finds what it looks for
 * or, by the set's sequence count, that it has to ask elsewhere. One writer at a time.
 *
 * An entry is a word that means something to the owner; 0 is one that is not known. Chunks
 * belong to an owner, a number that is not used twice, and have a mark, which he can compare
 * with his own to see whether parts of what the entries say are still so.
 */
#pragma once

#include "../rt/atomic.hh"
#include "../rt/memory.hh"
#include "types.hh"

namespace corbel::block {

class MapCache {
public:
	static constexpr u32 per_chunk = 64, ways = 8;

	constexpr MapCache() = default;
	MapCache(const MapCache &) = delete;
	MapCache &operator=(const MapCache &) = delete;
	~MapCache();

	/* At most @bytes altogether. Once. Task; no_memory. */
	Result<void> init(u64 bytes);

	/* 0: not known. @mark: of the chunk. Atomic. */
	[[nodiscard]] u64 find(u32 owner, u64 key, u32 *mark = nullptr)
	{
		const u64 chunk = key / per_chunk;
		Set &set = sets_[index_of(owner, chunk)];
		const u32 before = set.sequence.load(rt::Order::acquire);
		const u32 way = way_of(set, owner, chunk);

		if (way == ways || before & 1)
			return 0;
		const u64 found = rt::atomic_load(&set.entries[way * per_chunk + key % per_chunk],
						  rt::Order::acquire);
		if (mark)
			*mark = rt::atomic_load(&set.marks[way], rt::Order::acquire);
		if (set.sequence.load(rt::Order::acquire) != before)
			return 0;
		if (!rt::atomic_load(&set.used[way], rt::Order::relaxed))
			rt::atomic_store(&set.used[way], u8{1}, rt::Order::relaxed);
		return found;
	}

	/*
	 * The entries of the chunk that @key is in, in place of another chunk's if it is not
	 * there; no_memory. What it had is kept. Task.
	 */
	struct Chunk {
		u64 *entries =
			nullptr; /* of keys from the one that is a multiple of per_chunk on */
		u32 *mark = nullptr;
		bool is_new = false; /* all are 0 */
	};
	Result<Chunk> chunk(u32 owner, u64 key);
	/* Changes to entries of @chunk that readers see all at once or not at all. */
	template <typename Change>
	void change(u32 owner, u64 key, Change &&change)
	{
		Set &set = sets_[index_of(owner, key / per_chunk)];

		begin(set);
		change();
		end(set);
	}

	/* If it is there. */
	void set(u32 owner, u64 key, u64 value);

	[[nodiscard]] u64 bytes() const { return bytes_; }

private:
	struct Set {
		u64 chunks[ways]; /* number + 1; 0: nothing */
		u32 owners[ways];
		u32 marks[ways];
		u8 used[ways]; /* since the hand last came by */
		u64 *entries;
		rt::Atomic<u32> sequence; /* odd: being changed */
		u32 hand;
	};

	[[nodiscard]] u32 index_of(u32 owner, u64 chunk) const
	{
		return static_cast<u32>(
			(chunk + u64{owner} * 0xd6e8feb86659fd93) * 0x9e3779b97f4a7c15 >> shift_);
	}
	static u32 way_of(const Set &set, u32 owner, u64 chunk)
	{
		u32 way = 0;

		while (way < ways &&
		       (rt::atomic_load(&set.chunks[way], rt::Order::relaxed) != chunk + 1 ||
			rt::atomic_load(&set.owners[way], rt::Order::relaxed) != owner))
			way++;
		return way;
	}
	static void begin(Set &set)
	{
		set.sequence.store(set.sequence.load(rt::Order::relaxed) + 1, rt::Order::relaxed);
		rt::fence(rt::Order::release);
	}
	static void end(Set &set)
	{
		set.sequence.store(set.sequence.load(rt::Order::relaxed) + 1, rt::Order::release);
	}

	rt::Pages table_;
	Set *sets_ = nullptr;
	u32 count_ = 0, shift_ = 63;
	u64 bytes_ = 0;
};

} /* namespace corbel::block */
