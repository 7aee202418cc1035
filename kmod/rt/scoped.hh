/* SPDX-License-Identifier: GPL-2.0 */
/*
 * scoped.hh - what is undone at the end of a scope.
 */
#pragma once

#include <concepts>
#include <utility>

namespace corbel::rt {

/*
 * Runs @Undo when the scope is left, by whatever way, unless dismissed:
 *
 *	ScopeExit close([&] { shim_close(fd); });
 *	CORBEL_TRY(fill(fd));
 *	close.dismiss();
 */
template <std::invocable Undo>
class [[nodiscard]] ScopeExit {
public:
	constexpr explicit ScopeExit(Undo undo) : undo_(std::move(undo)) {}
	ScopeExit(const ScopeExit &) = delete;
	ScopeExit &operator=(const ScopeExit &) = delete;
	constexpr ~ScopeExit()
	{
		if (armed_)
			undo_();
	}

	constexpr void dismiss() { armed_ = false; }

private:
	Undo undo_;
	bool armed_ = true;
};

/*
 * How references to a T are counted: get() takes one more, put() drops one and
 * may destroy the object. Specialise it, or let T have get_ref() and put_ref().
 */
template <typename T>
struct RefTraits {
	static constexpr void get(T *object) { object->get_ref(); }
	static constexpr void put(T *object) { object->put_ref(); }
};

/*
 * One counted reference. Move-only: every further reference is taken in sight,
 * by share(), since each may be the one that keeps the object from dying here.
 */
template <typename T, typename Traits = RefTraits<T>>
class [[nodiscard]] ScopedRef {
public:
	constexpr ScopedRef() = default;

	/* Takes over a reference that the caller owns. */
	static constexpr ScopedRef adopt(T *object) { return ScopedRef(object); }

	/* Takes a reference of its own; the caller's keeps @object alive meanwhile. */
	static constexpr ScopedRef take(T *object)
	{
		if (object != nullptr)
			Traits::get(object);
		return ScopedRef(object);
	}

	constexpr ScopedRef(ScopedRef &&other) : object_(std::exchange(other.object_, nullptr)) {}
	constexpr ScopedRef &operator=(ScopedRef &&other)
	{
		/* In this order also right for x = std::move(x). */
		T *old = std::exchange(object_, nullptr);

		object_ = std::exchange(other.object_, nullptr);
		if (this == &other)
			object_ = old;
		else if (old != nullptr)
			Traits::put(old);
		return *this;
	}
	constexpr ~ScopedRef() { reset(); }

	constexpr void reset()
	{
		if (T *old = std::exchange(object_, nullptr); old != nullptr)
			Traits::put(old);
	}

	/* The reference becomes the caller's to put. */
	[[nodiscard]] constexpr T *release() { return std::exchange(object_, nullptr); }

	[[nodiscard]] constexpr ScopedRef share() const { return take(object_); }

	[[nodiscard]] constexpr T *get() const { return object_; }
	constexpr T &operator*() const { return *object_; }
	constexpr T *operator->() const { return object_; }
	[[nodiscard]] constexpr explicit operator bool() const { return object_ != nullptr; }

private:
	constexpr explicit ScopedRef(T *object) : object_(object) {}

	T *object_ = nullptr;
};

} /* namespace corbel::rt */
