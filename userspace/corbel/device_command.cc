// SPDX-License-Identifier: GPL-2.0-or-later
#include "device_command.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <span>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Words = std::span<const std::string_view>;

struct Usage {
	DeviceVerb verb;
	const char *name;
	const char *arguments;
	std::size_t least, most; /* words after the name */
};

constexpr const char *blanks = " \t\r\n";
constexpr std::size_t any_number = ~std::size_t{0};

constexpr std::array usages{
	Usage{DeviceVerb::map, "map", "ID VCPU VECTOR [PRIO]", 3, 4},
	Usage{DeviceVerb::unmap, "unmap", "IDS", 1, any_number},
	Usage{DeviceVerb::mask, "mask", "IDS", 1, any_number},
	Usage{DeviceVerb::unmask, "unmask", "IDS", 1, any_number},
	Usage{DeviceVerb::raise, "raise", "IDS", 1, any_number},
	Usage{DeviceVerb::read, "read", "[IDS]", 0, any_number},
	Usage{DeviceVerb::ledger, "ledger", "[IDS]", 0, any_number},
	Usage{DeviceVerb::reset, "reset", "", 0, 0},
	Usage{DeviceVerb::save, "save", "FILE", 1, 1},
	Usage{DeviceVerb::load, "load", "FILE", 1, 1},
	Usage{DeviceVerb::quit, "quit", "", 0, 0},
};

std::vector<std::string_view> words_of(std::string_view line)
{
	std::vector<std::string_view> words;

	line = line.substr(0, line.find('#'));
	for (;;) {
		line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
		if (line.empty())
			return words;
		auto end = std::min(line.find_first_of(blanks), line.size());
		words.push_back(line.substr(0, end));
		line.remove_prefix(end);
	}
}

/* Decimal, or hexadecimal after 0x; @what names it. */
Result<std::uint32_t> number_of(std::string_view word, const char *what, std::uint32_t least,
				std::uint32_t most)
{
	const bool hexadecimal = word.starts_with("0x") || word.starts_with("0X");
	auto digits = word.substr(hexadecimal ? 2 : 0);
	std::uint32_t number = 0;
	auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number,
					    hexadecimal ? 16 : 10);

	if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
	    number < least || number > most)
		return failure(EINVAL,
			       fmt::format("'{}' is no {}: {} to {}.", word, what, least, most));
	return number;
}

Result<IdRange> range_of(std::string_view word, std::uint32_t ids)
{
	const auto dash = word.find('-');

	if (word == "all")
		return IdRange{0, ids};
	const auto first = CORBEL_EXPECT(number_of(word.substr(0, dash), "id", 0, ids - 1));
	if (dash == word.npos)
		return IdRange{first, 1};
	const auto last = CORBEL_EXPECT(number_of(word.substr(dash + 1), "id", 0, ids - 1));
	if (last < first)
		return failure(EINVAL, fmt::format("'{}' is no range of ids: it ends before it "
						   "begins.",
						   word));
	return IdRange{first, last - first + 1};
}

Result<corbel_dist_entry> entry_of(Words words, std::uint32_t ids)
{
	corbel_dist_entry entry{};

	entry.id = CORBEL_EXPECT(number_of(words[0], "id", 0, ids - 1));
	entry.vcpu = CORBEL_EXPECT(number_of(words[1], "vCPU", 0, CORBEL_MAX_VCPUS - 1));
	entry.vector = static_cast<__u8>(
		CORBEL_EXPECT(number_of(words[2], "vector", CORBEL_DIST_MIN_VECTOR, 255)));
	if (words.size() > 3)
		entry.priority =
			static_cast<__u8>(CORBEL_EXPECT(number_of(words[3], "priority", 0, 255)));
	entry.state = CORBEL_DIST_MAPPED;
	return entry;
}

} /* namespace */

const char *name_of(DeviceVerb verb)
{
	for (const auto &usage : usages)
		if (usage.verb == verb)
			return usage.name;
	return "unknown";
}

Result<std::optional<DeviceCommand>> parse_device_command(std::string_view line, std::uint32_t ids)
{
	const auto words = words_of(line);
	DeviceCommand command;

	if (words.empty())
		return std::nullopt;
	const auto usage = std::ranges::find(usages, words[0], &Usage::name);
	const auto rest = Words(words).subspan(1);
	if (usage == usages.end())
		return failure(EINVAL, fmt::format("There is no command '{}': map, unmap, mask, "
						   "unmask, raise, read, ledger, reset, save, "
						   "load, quit.",
						   words[0]));
	if (rest.size() < usage->least || rest.size() > usage->most)
		return failure(EINVAL, fmt::format("It is `{}{}{}`.", usage->name,
						   *usage->arguments ? " " : "", usage->arguments));
	command.verb = usage->verb;
	switch (usage->verb) {
	case DeviceVerb::map:
		command.entry = CORBEL_EXPECT(entry_of(rest, ids));
		break;
	case DeviceVerb::save:
	case DeviceVerb::load:
		command.file = rest[0];
		break;
	default:
		for (auto word : rest)
			command.ids.push_back(CORBEL_EXPECT(range_of(word, ids)));
	}
	return command;
}

std::vector<std::string> split_commands(std::string_view text)
{
	std::vector<std::string> commands;

	for (;;) {
		auto end = text.find(';');

		auto command = text.substr(0, end);
		command.remove_prefix(std::min(command.find_first_not_of(blanks), command.size()));
		commands.emplace_back(command);
		if (end == text.npos)
			return commands;
		text.remove_prefix(end + 1);
	}
}

} /* namespace corbel::cli */
