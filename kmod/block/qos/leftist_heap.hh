/* SPDX-License-Identifier: GPL-2.0 */
/*
 * leftist_heap.hh - who is first, of objects that carry their links.
 *
 * Like rt::List there is nothing to allocate, and any object can be taken out. Each operation
 * takes O(log n) steps at worst, not only on average, as they are made with interrupts off: the
 * way along right children is never longer than the one along left ones, hence never longer
 * than log2(n + 1). What Before looks at must not change while an object is in.
 */
#pragma once

#include "types.hh"

#include <bit>
#include <utility>

namespace corbel::qos {

class HeapHook {
public:
	constexpr HeapHook() = default;
	HeapHook(const HeapHook &) = delete;
	HeapHook &operator=(const HeapHook &) = delete;
	constexpr ~HeapHook()
	{
		if (linked())
			__builtin_trap();
	}

	[[nodiscard]] constexpr bool linked() const { return rank_ != 0; }

private:
	template <typename T, HeapHook T::*hook, typename Before>
	friend class LeftistHeap;

	HeapHook *left_ = nullptr, *right_ = nullptr, *parent_ = nullptr;
	u32 rank_ = 0; /* nodes along right children, this one included */
};

/* @Before{}(a, b): a comes before b. */
template <typename T, HeapHook T::*hook, typename Before>
class LeftistHeap {
public:
	constexpr LeftistHeap() = default;
	LeftistHeap(const LeftistHeap &) = delete;
	LeftistHeap &operator=(const LeftistHeap &) = delete;

	[[nodiscard]] bool empty() const { return !root_; }
	[[nodiscard]] T *first() const { return root_ ? object_of(root_) : nullptr; }

	void insert(T &object)
	{
		HeapHook &added = object.*hook;

		if (added.linked())
			__builtin_trap();
		added.rank_ = 1;
		root_ = merge(root_, &added);
		root_->parent_ = nullptr;
	}

	/* @object is in this heap. */
	void remove(T &object)
	{
		HeapHook &gone = object.*hook;
		HeapHook *instead = merge(gone.left_, gone.right_), *above = gone.parent_;

		if (instead)
			instead->parent_ = above;
		if (!above)
			root_ = instead;
		else if (above->left_ == &gone)
			above->left_ = instead;
		else
			above->right_ = instead;
		for (; above; above = above->parent_) {
			const u32 before = above->rank_;

			balance(above);
			if (above->rank_ == before)
				break;
		}
		gone.left_ = gone.right_ = gone.parent_ = nullptr;
		gone.rank_ = 0;
	}

private:
	static u32 rank_of(const HeapHook *node) { return node ? node->rank_ : 0; }

	static void balance(HeapHook *node)
	{
		if (rank_of(node->left_) < rank_of(node->right_))
			std::swap(node->left_, node->right_);
		node->rank_ = rank_of(node->right_) + 1;
	}

	static bool is_before(const HeapHook *a, const HeapHook *b)
	{
		return Before{}(*object_of(a), *object_of(b));
	}

	/* Down the right children of both, and back up to balance. */
	static HeapHook *merge(HeapHook *a, HeapHook *b)
	{
		if (!a || !b)
			return a ? a : b;
		if (is_before(b, a))
			std::swap(a, b);
		HeapHook *const top = a;
		while (a->right_) {
			/* @a comes before @b; the next one is whichever is. */
			if (is_before(b, a->right_)) {
				std::swap(a->right_, b);
				a->right_->parent_ = a;
			}
			a = a->right_;
		}
		a->right_ = b;
		b->parent_ = a;
		for (; balance(a), a != top;)
			a = a->parent_;
		return top;
	}

	/* As in rt::List. */
	static T *object_of(const HeapHook *node)
	{
		static_assert(sizeof(hook) == sizeof(std::ptrdiff_t));
		const auto offset = std::bit_cast<std::ptrdiff_t>(hook);

		return reinterpret_cast<T *>(
			reinterpret_cast<char *>(const_cast<HeapHook *>(node)) - offset);
	}

	HeapHook *root_ = nullptr;
};

} /* namespace corbel::qos */
