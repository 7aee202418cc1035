/* SPDX-License-Identifier: GPL-2.0-or-later */
/* result.hh - results in tests. */
#pragma once

#include <libcorbel/error.hh>

#include <stdexcept>
#include <type_traits>
#include <utility>

namespace corbel::test {

/* The value of a result that must be one. */
template <typename T>
T must(Result<T> result)
{
	if (!result)
		throw std::runtime_error(result.error().sentence);
	if constexpr (!std::is_void_v<T>)
		return std::move(*result);
}

/* 0: it is none. */
template <typename T>
int error_of(const Result<T> &result)
{
	return result ? 0 : result.error().number;
}

} /* namespace corbel::test */
