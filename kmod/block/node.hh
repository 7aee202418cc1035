/* SPDX-License-Identifier: GPL-2.0 */
/* node.hh - the keys and values in a node of a tree, and whether it is one. */
#pragma once

#include "format.hh"

namespace corbel::block {

inline u32 capacity_of(const NodeV1 &node)
{
	return capacity_of(u32{node.value_words});
}
inline const u64 *keys_of(const NodeV1 &node)
{
	return node.words;
}
inline u64 *keys_of(NodeV1 &node)
{
	return node.words;
}
inline const u64 *value_of(const NodeV1 &node, u32 at)
{
	return &node.words[capacity_of(node) + at * node.value_words];
}
inline u64 *value_of(NodeV1 &node, u32 at)
{
	return &node.words[capacity_of(node) + at * node.value_words];
}
/* Of an inner node. */
inline Meta child_of(const NodeV1 &node, u32 at)
{
	return {*value_of(node, at)};
}

/* The first whose key is not below @key; count if there is none. */
inline u32 lower_bound(const NodeV1 &node, u64 key)
{
	u32 from = 0, end = node.count;

	while (from < end) {
		const u32 middle = (from + end) / 2;

		if (keys_of(node)[middle] < key)
			from = middle + 1;
		else
			end = middle;
	}
	return from;
}

/* Which child of an inner node has @key. */
inline u32 child_index(const NodeV1 &node, u64 key)
{
	const u32 at = lower_bound(node, key);

	if (at < node.count && keys_of(node)[at] == key)
		return at;
	return at ? at - 1 : 0;
}

inline void insert_at(NodeV1 &node, u32 at, u64 key, const u64 *value)
{
	const u32 behind = node.count - at, words = node.value_words;

	__builtin_memmove(keys_of(node) + at + 1, keys_of(node) + at, behind * sizeof(u64));
	__builtin_memmove(value_of(node, at + 1), value_of(node, at), behind * words * sizeof(u64));
	keys_of(node)[at] = key;
	__builtin_memcpy(value_of(node, at), value, words * sizeof(u64));
	node.count++;
}

inline void remove_at(NodeV1 &node, u32 at)
{
	const u32 behind = node.count - at - 1, words = node.value_words;

	__builtin_memmove(keys_of(node) + at, keys_of(node) + at + 1, behind * sizeof(u64));
	__builtin_memmove(value_of(node, at), value_of(node, at + 1), behind * words * sizeof(u64));
	node.count--;
}

/* All from @at on go to the end of @to. */
inline void move_tail(NodeV1 &from, u32 at, NodeV1 &to)
{
	const u32 count = from.count - at, words = from.value_words;

	__builtin_memcpy(keys_of(to) + to.count, keys_of(from) + at, count * sizeof(u64));
	__builtin_memcpy(value_of(to, to.count), value_of(from, at), count * words * sizeof(u64));
	to.count = static_cast<u16>(to.count + count);
	from.count = static_cast<u16>(at);
}

/*
 * A node by itself: its shape, and its keys in order. That it has the level and the keys that
 * its parent says is for who comes from there.
 */
inline bool well_formed(const NodeV1 &node)
{
	if (node.kind >= kinds || node.level >= max_levels || node.reserved0 || node.reserved1)
		return false;
	if (node.value_words != (node.level ? 1 : value_words_of(static_cast<Kind>(node.kind))))
		return false;
	if (node.count == 0 || node.count > capacity_of(node))
		return false;
	for (u32 i = 1; i < node.count; i++)
		if (keys_of(node)[i - 1] >= keys_of(node)[i])
			return false;
	return true;
}

/* It has no key outside of @low .. @last. */
inline bool is_within(const NodeV1 &node, u64 low, u64 last)
{
	return keys_of(node)[0] >= low && keys_of(node)[node.count - 1U] <= last;
}

} /* namespace corbel::block */
