// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.hh"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

constexpr std::size_t longest_pool = 32, longest_volume = 40;
constexpr std::string_view units = "KMGTP";
constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max(); /* bytes */

bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_';
}

/* "." and ".." are folders to whoever makes a path of it. */
bool begins_well(std::string_view name)
{
	return !name.empty() && name[0] != '.' && name[0] != '-';
}

} /* namespace */

bool is_pool_name(std::string_view name)
{
	return begins_well(name) && name.size() <= longest_pool &&
	       std::ranges::all_of(name, is_plain);
}

bool is_volume_name(std::string_view name)
{
	return begins_well(name) && name.size() <= longest_volume &&
	       std::ranges::all_of(name, [](char c) { return is_plain(c) || c == '-'; });
}

bool VolumeName::is_snapshot() const
{
	return volume.find('@') != volume.npos;
}

std::string VolumeName::of() const
{
	return volume.substr(0, volume.find('@'));
}

Result<VolumeName> parse_volume(const std::string &text)
{
	const auto slash = text.find('/');
	const auto wrong = [&](std::string_view why) {
		return failure(EINVAL, fmt::format("'{}' names no volume: {}", text, why));
	};

	if (slash == text.npos)
		return wrong("POOL/VOLUME or POOL/VOLUME@SNAPSHOT is looked for.");
	VolumeName name{text.substr(0, slash), text.substr(slash + 1)};
	if (!is_pool_name(name.pool))
		return wrong(fmt::format("the name of a pool has letters, digits, dots and "
					 "underscores, at most {}.",
					 longest_pool));
	if (name.volume.starts_with('#') && name.volume.size() > 1 && name.volume.size() < 20 &&
	    std::all_of(name.volume.begin() + 1, name.volume.end(),
			[](char c) { return c >= '0' && c <= '9'; }))
		return name;
	const auto at = name.volume.find('@');
	if (!is_volume_name(name.volume.substr(0, at)) ||
	    (at != name.volume.npos && !is_volume_name(name.volume.substr(at + 1))))
		return wrong(fmt::format("the name of a volume has letters, digits, dots, "
					 "underscores and dashes, at most {}.",
					 longest_volume));
	return name;
}

Result<std::uint64_t> parse_size(const std::string &text)
{
	std::uint64_t number = 0;
	const auto *end = text.data() + text.size();
	const auto [behind, error] = std::from_chars(text.data(), end, number);
	unsigned shift = 0;

	if (error == std::errc{} && behind + 1 == end)
		shift = static_cast<unsigned>(10 * (units.find(*behind) + 1));
	if (error != std::errc{} || (behind != end && (behind + 1 != end || shift == 0)) ||
	    shift > 50 || number == 0 || number > most >> shift)
		return failure(EINVAL,
			       fmt::format("'{}' is no size: a number above 0 with K, M, G, T or P "
					   "behind it, such as 10G, or of bytes.",
					   text));
	return number << shift;
}

std::string size_text(std::uint64_t bytes)
{
	std::size_t unit = 0;
	auto whole = bytes;
	auto value = static_cast<double>(bytes);

	while (unit < units.size() && whole && whole % 1024 == 0) {
		whole /= 1024;
		unit++;
	}
	if (unit && (whole < 10240 || unit == units.size()))
		return fmt::format("{}{}", whole, units[unit - 1]);
	for (unit = 0; unit < units.size() && value >= 1024; unit++)
		value /= 1024;
	return unit ? fmt::format("{:.1f}{}", value, units[unit - 1]) : fmt::format("{}", bytes);
}

} /* namespace corbel::pool */
