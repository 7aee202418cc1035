/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memory.hh - objects on kernel memory; running out is an ordinary error.
 *
 * Context says what the caller may do while the allocator works. Types made
 * here are trivially constructible from zeroed memory or have a noexcept
 * constructor; fallible set-up belongs in a factory of the type itself.
 */
#pragma once

#include <new>

#include "result.hh"
#include "shim.h"

namespace corbel::rt {

enum class Context : bool { atomic = false, task = true };

/* Owns one object from the slab. */
template <typename T>
class [[nodiscard]] Box {
public:
	template <typename... Arguments>
	static Result<Box> make(Context context, Arguments... arguments)
	{
		void *memory = corbel_alloc(sizeof(T), context == Context::task);

		if (!memory)
			return Error::no_memory;
		if constexpr (sizeof...(arguments) == 0)
			return Box(::new (memory) T);
		else
			return Box(::new (memory) T(arguments...));
	}

	Box(Box &&other) noexcept : object_(other.release()) {}
	Box &operator=(Box &&) = delete;
	~Box()
	{
		/* The analyzer does not follow which member of Result's union lives. */
		if (!object_) // NOLINT(clang-analyzer-core.uninitialized.Branch)
			return;
		object_->~T();
		corbel_free(object_);
	}

	T *operator->() { return object_; }
	T &operator*() { return *object_; }
	[[nodiscard]] T *get() { return object_; }
	T *release()
	{
		T *object = object_;

		object_ = nullptr;
		return object;
	}
	/* Takes back what release() gave. */
	static Box adopt(T *object) { return Box(object); }

private:
	explicit Box(T *object) : object_(object) {}
	T *object_;
};

/* Owns whole pages, zeroed; task context throughout. */
class [[nodiscard]] Pages {
public:
	enum class Use : u8 { kernel, mapped };

	constexpr Pages() = default;
	static Result<Pages> make(size_t bytes, Use use)
	{
		void *memory = use == Use::mapped ? corbel_alloc_mappable(bytes)
						  : corbel_alloc_pages(bytes);

		if (!memory)
			return Error::no_memory;
		return Pages(memory);
	}
	Pages(Pages &&other) noexcept : memory_(other.memory_) { other.memory_ = nullptr; }
	Pages &operator=(Pages &&other) noexcept
	{
		if (this != &other) {
			corbel_free_pages(memory_);
			memory_ = other.memory_;
			other.memory_ = nullptr;
		}
		return *this;
	}
	/* See ~Box. */
	~Pages() { corbel_free_pages(memory_); } // NOLINT(clang-analyzer-core.CallAndMessage)

	template <typename T>
	[[nodiscard]] T *as()
	{
		return static_cast<T *>(memory_);
	}
	[[nodiscard]] void *get() { return memory_; }

private:
	explicit Pages(void *memory) : memory_(memory) {}
	void *memory_{};
};

} /* namespace corbel::rt */
