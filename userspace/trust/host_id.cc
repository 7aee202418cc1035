// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_id.hh"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace corbel::trust {

namespace {

constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
constexpr std::size_t longest_name = 64; /* of a common name, says X.509 */

bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool is_lower_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

} /* namespace */

Time now_here()
{
	return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string text_of(Time time)
{
	return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(time.time_since_epoch().count()));
}

std::optional<HostId> host_id_of(std::string_view text)
{
	const auto fits = [](char c, char wanted) {
		return wanted == 'x' ? is_lower_hex(c) : c == wanted;
	};

	if (!std::ranges::equal(text, shape, fits))
		return std::nullopt;
	return HostId{std::string(text)};
}

Result<HostId> random_host_id()
{
	std::array<unsigned char, 16> bytes{};

	if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
		return failure(EIO, "There are no random bytes for the id of this host.");
	/* Version 4, variant 1: made of random bytes. */
	bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
	bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
	std::string text;
	for (std::size_t i = 0; i < bytes.size(); i++)
		text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				    bytes[i]);
	return HostId{text};
}

bool is_host_name(std::string_view name)
{
	const auto allowed = [](char c) {
		return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		       c == '.' || c == '-' || c == '_';
	};

	return !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, allowed);
}

std::string hex_of(std::string_view bytes)
{
	std::string text;

	for (const char c : bytes)
		text += fmt::format("{:02x}", static_cast<unsigned char>(c));
	return text;
}

} /* namespace corbel::trust */
