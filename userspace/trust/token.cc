// SPDX-License-Identifier: GPL-2.0-or-later
#include "token.hh"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

constexpr std::string_view prefix = "corbel1-";
constexpr std::string_view any_prefix = "corbel";
constexpr std::string_view alphabet =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t fixed_size = 8 + 8 + 16 + 32 + 2 + 4;
constexpr std::size_t longest_text = 1000;

std::uint32_t crc32(std::string_view bytes)
{
	constexpr std::uint32_t polynomial = 0xedb88320;
	std::uint32_t crc = ~std::uint32_t{0};

	for (const char c : bytes) {
		crc ^= static_cast<std::uint8_t>(c);
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
	}
	return ~crc;
}

std::string encode(std::string_view bytes)
{
	std::string text;
	std::uint32_t held = 0;
	int bits = 0;

	for (const char c : bytes) {
		held = (held << 8) | static_cast<std::uint8_t>(c);
		for (bits += 8; bits >= 6; bits -= 6)
			text += alphabet[(held >> (bits - 6)) & 63];
	}
	if (bits)
		text += alphabet[(held << (6 - bits)) & 63];
	return text;
}

/* Nothing if that is not the one text which comes of the bytes. */
std::optional<std::string> decode(std::string_view text)
{
	std::string bytes;
	std::uint32_t held = 0;
	int bits = 0;

	for (const char c : text) {
		const auto digit = alphabet.find(c);

		if (digit == std::string_view::npos)
			return std::nullopt;
		held = (held << 6) | static_cast<std::uint32_t>(digit);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes += static_cast<char>(held >> bits);
		}
	}
	/* Bits that are no byte's: none but the padding of zeros that encode() makes. */
	if (bits >= 6 || (held & ((1U << bits) - 1)))
		return std::nullopt;
	return bytes;
}

void put(std::string &bytes, std::uint64_t number, int size)
{
	while (size--)
		bytes += static_cast<char>(number >> (8 * size));
}

/* The next @size bytes; there are as many. */
std::uint64_t take(std::string_view &bytes, std::size_t size)
{
	std::uint64_t number = 0;

	for (const char c : bytes.substr(0, size))
		number = (number << 8) | static_cast<std::uint8_t>(c);
	bytes.remove_prefix(size);
	return number;
}

template <std::size_t size>
void take(std::string_view &bytes, std::array<std::uint8_t, size> &into)
{
	std::ranges::copy(bytes.substr(0, size), into.begin());
	bytes.remove_prefix(size);
}

std::string_view trimmed(std::string_view text)
{
	constexpr std::string_view space = " \t\r\n";
	const auto begin = text.find_first_not_of(space);

	if (begin == std::string_view::npos)
		return {};
	return text.substr(begin, text.find_last_not_of(space) + 1 - begin);
}

std::unexpected<Error> no_prefix(std::string_view text)
{
	unsigned version = 0;
	const auto rest = text.substr(std::min(text.size(), any_prefix.size()));
	const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), version);

	if (text.starts_with(any_prefix) && error == std::errc() &&
	    end != rest.data() + rest.size() && *end == '-' && version != 1)
		return failure(EPROTO,
			       fmt::format("The token is of version {}, and this Corbel "
					   "knows version 1: use the same version of Corbel "
					   "on both hosts.",
					   version));
	return failure(EINVAL,
		       "That is no token: one begins with corbel1- and is what `corbel host "
		       "invite` prints on the other host.");
}

} /* namespace */

std::string text_of(const Token &token)
{
	std::string bytes;

	put(bytes, static_cast<std::uint64_t>(token.expires.time_since_epoch().count()), 8);
	put(bytes, token.invitation, 8);
	bytes.append(token.secret.begin(), token.secret.end());
	bytes.append(token.authority.bytes.begin(), token.authority.bytes.end());
	put(bytes, token.inviter.port, 2);
	bytes += token.inviter.host;
	put(bytes, crc32(bytes), 4);
	return std::string(prefix) + encode(bytes);
}

Result<Token> token_of(std::string_view text)
{
	const auto damaged =
		failure(EINVAL, "The token is not whole, or a character in it is wrong: "
				"copy all of the word that `corbel host invite` printed.");
	Token token;

	text = trimmed(text);
	if (!text.starts_with(prefix))
		return no_prefix(text);
	if (text.size() > longest_text)
		return damaged;
	const auto decoded = decode(text.substr(prefix.size()));
	if (!decoded || decoded->size() <= fixed_size)
		return damaged;
	std::string_view bytes(*decoded);
	auto sum = bytes.substr(bytes.size() - 4);
	bytes.remove_suffix(4);
	if (take(sum, 4) != crc32(bytes))
		return damaged;
	token.expires = Time(std::chrono::seconds(static_cast<std::int64_t>(take(bytes, 8))));
	token.invitation = take(bytes, 8);
	take(bytes, token.secret);
	take(bytes, token.authority.bytes);
	token.inviter.port = static_cast<std::uint16_t>(take(bytes, 2));
	token.inviter.host = bytes;
	/* Whoever can compute a checksum can still write anything there. */
	if (address_of(text_of(token.inviter)) != token.inviter)
		return failure(EINVAL,
			       "The token names no address of the host that made it: make a "
			       "new one with `corbel host invite`.");
	return token;
}

} /* namespace corbel::trust */
