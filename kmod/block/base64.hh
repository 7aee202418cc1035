/* SPDX-License-Identifier: GPL-2.0 */
/*
 * base64.hh - what is no text, in a message that can only be text: the alphabet of RFC 4648,
 * with padding, nothing in between, and one way only to write something.
 */
#pragma once

#include "types.hh"

namespace corbel::block {

namespace base64 {

inline constexpr u32 no_digit = 64;

[[nodiscard]] constexpr u32 value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return static_cast<u32>(c - 'A');
	if (c >= 'a' && c <= 'z')
		return static_cast<u32>(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return static_cast<u32>(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : no_digit;
}

} /* namespace base64 */

/*
 * In place: how many bytes there are from @text on. bad_message: a length, character, padding,
 * or bits behind the last byte that there should not be; @text is then of no more use.
 */
[[nodiscard]] inline rt::Result<u64> decode_base64(char *text, u64 length)
{
	u64 bytes = 0;

	if (length % 4)
		return rt::Error::bad_message;
	for (u64 at = 0; at < length; at += 4) {
		u32 word = 0, padding = 0;

		for (u32 i = 0; i < 4; i++) {
			const char c = text[at + i];
			const u32 value = base64::value_of(c);

			word <<= 6;
			if (c == '=' && i >= 2 && at + 4 == length)
				padding++;
			else if (value == base64::no_digit || padding)
				return rt::Error::bad_message;
			else
				word |= value;
		}
		if (word & ((u32{1} << 8 * padding) - 1))
			return rt::Error::bad_message;
		/* No further than what was read. */
		for (u32 i = 0; i < 3 - padding; i++)
			text[bytes++] = static_cast<char>(word >> (16 - 8 * i));
	}
	return bytes;
}

} /* namespace corbel::block */
