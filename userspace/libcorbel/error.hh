/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * error.hh - why there is no value, in words for the operator.
 *
 * A sentence says what was attempted, what was looked for and what to do about
 * it; the number is for callers that react to one cause in particular. It is
 * written where the cause is known, so nothing is added on the way up.
 */
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace corbel {

struct Error {
	int number = 0; /* errno; 0 if no system call is behind it */
	std::string sentence;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> failure(int number, std::string sentence)
{
	return std::unexpected(Error{number, std::move(sentence)});
}

/* The text of an errno, such as "Permission denied". */
[[nodiscard]] std::string describe_errno(int number);

} /* namespace corbel */

/* The value of @expr, a Result; or out of the enclosing function with its error. */
#define CORBEL_EXPECT(expr)                                                                        \
	({                                                                                         \
		auto &&corbel_result = (expr);                                                     \
		if (!corbel_result)                                                                \
			return std::unexpected(std::move(corbel_result).error());                  \
		std::move(corbel_result).value();                                                  \
	})
