/* SPDX-License-Identifier: GPL-2.0 */
/*
 * interval_tree.hh - half-open intervals [begin, end), asked for overlaps.
 *
 * An AVL tree ordered by begin, each node augmented with the greatest end below
 * it; the objects carry the nodes, so insertion cannot fail. Intervals may
 * overlap each other and may be equal. Insert and erase take O(log n), finding
 * all k overlaps O(log n + k log n); nothing recurses.
 *
 *	struct Range {
 *		IntervalHook<> hook;
 *	};
 *	IntervalTree<Range, &Range::hook> ranges;
 *
 *	ranges.insert(range, first, last + 1);
 *	for (auto *r = ranges.first(b, e); r != nullptr; r = ranges.next(*r, b, e))
 *		...
 *
 * Like the list it owns nothing and is not locked, and a linked object traps when
 * it is destroyed.
 */
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace corbel::rt {

template <std::totally_ordered Key = std::uint64_t>
class IntervalHook {
public:
	constexpr IntervalHook() = default;
	IntervalHook(const IntervalHook &) = delete;
	IntervalHook &operator=(const IntervalHook &) = delete;
	constexpr ~IntervalHook()
	{
		if (linked())
			__builtin_trap();
	}

	/* A leaf has height 1, so 0 says that the node is in no tree. */
	[[nodiscard]] constexpr bool linked() const { return height_ != 0; }
	[[nodiscard]] constexpr Key begin() const { return begin_; }
	[[nodiscard]] constexpr Key end() const { return end_; }

private:
	template <typename T, auto hook>
	friend class IntervalTree;

	IntervalHook *child_[2] = {}; /* [0] begins no later, [1] no earlier */
	IntervalHook *parent_ = nullptr;
	Key begin_{};
	Key end_{};
	Key max_end_{}; /* of this node and all below it */
	int height_ = 0;
};

template <typename T, auto hook>
class IntervalTree {
	template <typename K>
	static auto key_of(IntervalHook<K> T::*) -> K;

public:
	using Key = decltype(key_of(hook));

	constexpr IntervalTree() = default;
	IntervalTree(const IntervalTree &) = delete;
	IntervalTree &operator=(const IntervalTree &) = delete;

	[[nodiscard]] bool empty() const { return root_ == nullptr; }

	/* Takes begin < end, and an object that is in no tree by this hook. */
	void insert(T &object, Key begin, Key end)
	{
		Node *node = &(object.*hook);
		if (node->linked() || !(begin < end))
			__builtin_trap();

		Node *parent = nullptr;
		Node **link = &root_;
		while (*link != nullptr) {
			parent = *link;
			link = &parent->child_[!(begin < parent->begin_)];
		}
		node->begin_ = begin;
		node->end_ = end;
		node->child_[0] = node->child_[1] = nullptr;
		node->parent_ = parent;
		*link = node;
		refresh(node);
		rebalance(parent);
	}

	/* @object is in this tree. */
	void erase(T &object)
	{
		Node *node = &(object.*hook);
		if (!node->linked())
			__builtin_trap();

		Node *lowest_changed;
		if (node->child_[0] != nullptr && node->child_[1] != nullptr) {
			/* The successor has no left child and takes the node's place. */
			Node *heir = node->child_[1];
			while (heir->child_[0] != nullptr)
				heir = heir->child_[0];
			lowest_changed = heir->parent_ == node ? heir : heir->parent_;
			replace(heir, heir->child_[1]);
			adopt(heir, 0, node->child_[0]);
			adopt(heir, 1, node->child_[1]);
			replace(node, heir);
		} else {
			lowest_changed = node->parent_;
			replace(node, node->child_[node->child_[0] == nullptr]);
		}
		node->height_ = 0;
		rebalance(lowest_changed);
	}

	/* Of those that overlap [begin, end), the one that begins first; or nullptr. */
	[[nodiscard]] T *first(Key begin, Key end) const
	{
		return object_of(first_below(root_, begin, end));
	}

	/* The one after @object, which overlaps [begin, end), in the same order. */
	[[nodiscard]] T *next(T &object, Key begin, Key end) const
	{
		Node *node = &(object.*hook);

		for (;;) {
			if (Node *right = node->child_[1]; right && begin < right->max_end_)
				return object_of(first_below(right, begin, end));
			/* Up, to the first ancestor that comes later in the order. */
			Node *from;
			do {
				from = node;
				node = node->parent_;
				if (node == nullptr)
					return nullptr;
			} while (node->child_[1] == from);
			if (!(node->begin_ < end))
				return nullptr;
			if (begin < node->end_)
				return object_of(node);
		}
	}

private:
	using Node = IntervalHook<Key>;

	static Node *first_below(Node *node, Key begin, Key end)
	{
		while (node != nullptr && begin < node->max_end_) {
			/*
			 * If one on the left ends after @begin, then either it overlaps, or
			 * it begins at or after @end and so do all to the right of it.
			 */
			Node *left = node->child_[0];
			if (left != nullptr && begin < left->max_end_) {
				node = left;
				continue;
			}
			if (!(node->begin_ < end))
				return nullptr;
			if (begin < node->end_)
				return node;
			node = node->child_[1];
		}
		return nullptr;
	}

	static int height(const Node *node) { return node != nullptr ? node->height_ : 0; }
	static int lean(const Node *node)
	{
		return height(node->child_[1]) - height(node->child_[0]);
	}

	static void refresh(Node *node)
	{
		node->height_ = 0;
		node->max_end_ = node->end_;
		for (Node *child : node->child_) {
			if (child == nullptr)
				continue;
			if (node->height_ < child->height_)
				node->height_ = child->height_;
			if (node->max_end_ < child->max_end_)
				node->max_end_ = child->max_end_;
		}
		node->height_++;
	}

	static void adopt(Node *parent, int side, Node *child)
	{
		parent->child_[side] = child;
		if (child != nullptr)
			child->parent_ = parent;
	}

	/* Where @node hangs, @other (or nothing) hangs instead. */
	void replace(Node *node, Node *other)
	{
		Node *parent = node->parent_;

		if (parent == nullptr)
			root_ = other;
		else
			parent->child_[parent->child_[1] == node] = other;
		if (other != nullptr)
			other->parent_ = parent;
	}

	/* The child on the other side rises above @node; it is returned. */
	Node *rotate(Node *node, int side)
	{
		Node *risen = node->child_[!side];

		replace(node, risen);
		adopt(node, !side, risen->child_[side]);
		adopt(risen, side, node);
		refresh(node);
		refresh(risen);
		return risen;
	}

	/*
	 * From @node to the root: a changed end must reach every ancestor, so this
	 * does not stop where the heights are right again.
	 */
	void rebalance(Node *node)
	{
		for (; node != nullptr; node = node->parent_) {
			refresh(node);
			const int side = lean(node) > 0;
			if (lean(node) >= -1 && lean(node) <= 1)
				continue;
			/* A heavy child that leans inward is straightened first. */
			Node *heavy = node->child_[side];
			if (height(heavy->child_[!side]) > height(heavy->child_[side]))
				rotate(heavy, side);
			node = rotate(node, !side);
		}
	}

	/* As in the list: a pointer to a data member is its offset. */
	static T *object_of(Node *node)
	{
		static_assert(sizeof(hook) == sizeof(std::ptrdiff_t));

		if (node == nullptr)
			return nullptr;
		return reinterpret_cast<T *>(reinterpret_cast<char *>(node) -
					     std::bit_cast<std::ptrdiff_t>(hook));
	}

	Node *root_ = nullptr;
};

} /* namespace corbel::rt */
