/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arguments.hh - the one place where ioctl arguments come in and go out.
 *
 * Every argument struct starts with size and flags. The size is checked before
 * anything else is read, unknown flags are refused, and what comes out was
 * zeroed first, so that no byte of kernel memory leaks.
 */
#pragma once

#include "../rt/result.hh"
#include "../rt/shim.h"

namespace corbel::core {

using rt::Error;
using rt::Result;

/* Into zeroed memory of the caller's, for structs too large for the stack. Task. */
template <typename T>
Result<void> read_arguments_to(T &arguments, u64 user, u32 known_flags = 0)
{
	u32 size = 0;

	CORBEL_TRY(rt::check_shim(corbel_copy_in(&size, user, sizeof(size))));
	if (size != sizeof(T))
		return Error::invalid;
	CORBEL_TRY(rt::check_shim(corbel_copy_in(&arguments, user, sizeof(T))));
	/* It may have been changed between the two reads. */
	if (arguments.size != sizeof(T) || (arguments.flags & ~known_flags))
		return Error::invalid;
	return {};
}

/* Task. */
template <typename T>
Result<T> read_arguments(u64 user, u32 known_flags = 0)
{
	T arguments{};

	CORBEL_TRY(read_arguments_to(arguments, user, known_flags));
	return arguments;
}

template <typename T>
Result<void> write_arguments(u64 user, const T &arguments)
{
	return rt::check_shim(corbel_copy_out(user, &arguments, sizeof(T)));
}

template <typename T, size_t n>
constexpr bool all_zero(const T (&array)[n])
{
	T any{};

	for (const T &it : array)
		any |= it;
	return !any;
}

} /* namespace corbel::core */
