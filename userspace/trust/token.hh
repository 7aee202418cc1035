/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * token.hh - what a host gives to one that shall pair with it: one word to paste.
 *
 * "corbel1-", then base64url without padding of, all numbers big endian:
 *
 *   8   when it expires, seconds since 1970 in UTC
 *   8   which invitation it is
 *   16  its secret
 *   32  fingerprint of the inviter's authority
 *   2   port
 *   n   address or name of the inviter
 *   4   CRC-32 of all before, which finds every wrong character
 *
 * Nothing here blocks.
 */
#pragma once

#include "address.hh"
#include "certificate.hh"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::trust {

struct Token {
	Address inviter;
	Fingerprint authority;
	std::uint64_t invitation = 0;
	std::array<std::uint8_t, 16> secret{};
	Time expires{};

	bool operator==(const Token &) const = default;
};

[[nodiscard]] std::string text_of(const Token &token);
/*
 * White space around it does not matter. EINVAL: garbage, a part is missing, a character is
 * wrong. EPROTO: it is of another version. Whether it has expired only the inviter knows.
 */
[[nodiscard]] Result<Token> token_of(std::string_view text);

} /* namespace corbel::trust */
