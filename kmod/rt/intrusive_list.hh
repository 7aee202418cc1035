/* SPDX-License-Identifier: GPL-2.0 */
/*
 * intrusive_list.hh - a doubly linked list of objects that carry their links.
 *
 * Insertion cannot fail, because there is nothing to allocate, and removal needs
 * the object alone. The list does not own its objects and is not locked: the
 * lock, or the thread, that owns the list owns the hooks in it.
 *
 *	struct Vm {
 *		ListHook hook;
 *	};
 *	List<Vm, &Vm::hook> vms;
 *
 * An object can be in as many lists as it has hooks. A hook knows whether it is
 * in a list, and an object that is must not be destroyed: its hook traps, so that
 * no link ever dangles. The list itself has no destructor, as a global may not
 * have one; it must be empty when its memory goes.
 */
#pragma once

#include <bit>
#include <cstddef>

namespace corbel::rt {

struct ListLinks {
	ListLinks *prev = nullptr;
	ListLinks *next = nullptr;
};

class ListHook : private ListLinks {
public:
	constexpr ListHook() = default;
	ListHook(const ListHook &) = delete;
	ListHook &operator=(const ListHook &) = delete;
	constexpr ~ListHook()
	{
		if (linked())
			__builtin_trap();
	}

	[[nodiscard]] constexpr bool linked() const { return next != nullptr; }

	/* From whatever list it is in; nothing happens if it is in none. */
	constexpr void unlink()
	{
		if (!linked())
			return;
		prev->next = next;
		next->prev = prev;
		prev = next = nullptr;
	}

private:
	template <typename T, ListHook T::*hook>
	friend class List;

	constexpr void link_before(ListLinks *place)
	{
		if (linked())
			__builtin_trap();
		prev = place->prev;
		next = place;
		prev->next = this;
		place->prev = this;
	}
};

template <typename T, ListHook T::*hook>
class List {
public:
	constexpr List() = default;
	List(const List &) = delete;
	List &operator=(const List &) = delete;

	[[nodiscard]] constexpr bool empty() const { return root_.next == &root_; }
	[[nodiscard]] T *front() { return object_or_null(root_.next); }
	[[nodiscard]] T *back() { return object_or_null(root_.prev); }
	[[nodiscard]] T *next(T &object) { return object_or_null((object.*hook).next); }

	void push_front(T &object) { (object.*hook).link_before(root_.next); }
	void push_back(T &object) { (object.*hook).link_before(&root_); }
	/* @place is in this list. */
	void insert_before(T &place, T &object) { (object.*hook).link_before(&(place.*hook)); }

	/* @object is in this list. */
	void remove(T &object) { (object.*hook).unlink(); }

	/* The object that was first, or nullptr. */
	T *pop_front()
	{
		T *first = front();

		if (first != nullptr)
			remove(*first);
		return first;
	}

	/* All of @other, in order, behind what is here; leaves @other empty. */
	void splice_back(List &other)
	{
		if (other.empty())
			return;
		ListLinks *first = other.root_.next;
		ListLinks *last = other.root_.prev;

		first->prev = root_.prev;
		root_.prev->next = first;
		last->next = &root_;
		root_.prev = last;
		other.root_.prev = other.root_.next = &other.root_;
	}

	/*
	 * For range-for. The iterator has read the next link before the body runs,
	 * so the body may remove, or free, the object it was given; it must not
	 * remove the one after that.
	 */
	class Iterator {
	public:
		T &operator*() const { return *object_of(current_); }
		T *operator->() const { return object_of(current_); }
		Iterator &operator++()
		{
			current_ = next_;
			next_ = current_->next;
			return *this;
		}
		bool operator==(const Iterator &other) const { return current_ == other.current_; }

	private:
		friend class List;
		explicit Iterator(ListLinks *current) : current_(current), next_(current->next) {}

		ListLinks *current_;
		ListLinks *next_;
	};

	Iterator begin() { return Iterator(root_.next); }
	Iterator end() { return Iterator(&root_); }

private:
	/*
	 * What offsetof would say, which takes no pointer to member. In the Itanium
	 * ABI, which both compilers follow, a pointer to a data member is its offset.
	 */
	static T *object_of(ListLinks *link)
	{
		static_assert(sizeof(hook) == sizeof(std::ptrdiff_t));
		const auto offset = std::bit_cast<std::ptrdiff_t>(hook);

		return reinterpret_cast<T *>(
			reinterpret_cast<char *>(static_cast<ListHook *>(link)) - offset);
	}
	T *object_or_null(ListLinks *link) { return link == &root_ ? nullptr : object_of(link); }

	/* A ring through links of the list's own: no end is a special case. */
	ListLinks root_{&root_, &root_};
};

} /* namespace corbel::rt */
