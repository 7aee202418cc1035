/* SPDX-License-Identifier: GPL-2.0 */
/* number.hh - words and numbers of a message. */
#pragma once

#include "../rt/text.hh"
#include "types.hh"

namespace corbel::block {

[[nodiscard]] inline rt::Text text_of(const char *text)
{
	std::size_t length = 0;

	while (text[length])
		length++;
	return {text, length};
}

/* A decimal number and nothing else; invalid. */
[[nodiscard]] inline Result<u64> number_of(rt::Text text)
{
	u64 number = 0;

	if (text.empty())
		return Error::invalid;
	for (char c : text) {
		if (c < '0' || c > '9' || __builtin_mul_overflow(number, u64{10}, &number) ||
		    __builtin_add_overflow(number, static_cast<u64>(c - '0'), &number))
			return Error::invalid;
	}
	return number;
}

} /* namespace corbel::block */
