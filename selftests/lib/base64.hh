/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is no text as text, RFC 4648: for messages of the targets. The other way round is
 * kmod/block/base64.hh.
 */
#pragma once

#include <cstdint>
#include <string>

namespace corbel::selftest {

inline std::string encode_base64(const void *data, size_t bytes)
{
	static constexpr char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const auto *from = static_cast<const uint8_t *>(data);
	std::string text((bytes + 2) / 3 * 4, '=');

	for (size_t at = 0, to = 0; at < bytes; at += 3, to += 4) {
		uint32_t word = 0;

		for (size_t i = 0; i < 3; i++)
			word = word << 8 | (at + i < bytes ? from[at + i] : 0U);
		/* One digit more than there are bytes; the rest is padding. */
		for (size_t i = 0; i < 4 && at + i <= bytes; i++)
			text[to + i] = alphabet[word >> (18 - 6 * i) & 63];
	}
	return text;
}

} // namespace corbel::selftest
