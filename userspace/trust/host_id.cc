// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_id.hh"

#include <libcorbel/uuid.hh>

#include <algorithm>
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
	return HostId{uuid_text(CORBEL_EXPECT(random_uuid()).data())};
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
