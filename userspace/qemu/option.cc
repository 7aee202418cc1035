// SPDX-License-Identifier: GPL-2.0-or-later
#include "option.hh"

#include "bounded_json.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/* Sorted. Of the options of QEMU 7.2 those that have no value; -snapshot and the like. */
constexpr std::array<std::string_view, 22> without_value{
	"S",
	"daemonize",
	"enable-kvm",
	"full-screen",
	"h",
	"help",
	"mem-prealloc",
	"no-acpi",
	"no-fd-bootchk",
	"no-hpet",
	"no-quit",
	"no-reboot",
	"no-shutdown",
	"no-user-config",
	"nodefaults",
	"nographic",
	"old-param",
	"only-migratable",
	"s",
	"singlestep",
	"snapshot",
	"usb",
};

std::string_view take(std::string_view &rest)
{
	const auto end = rest.find('\0');
	const auto argument = rest.substr(0, end);

	rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
	return argument;
}

/* The next parameter with doubled commas undone, from the front of @rest. */
std::string take_parameter(std::string_view &rest)
{
	std::string parameter;
	std::size_t at = 0;

	for (; at < rest.size(); at++) {
		if (rest[at] == ',') {
			if (at + 1 == rest.size() || rest[at + 1] != ',')
				break;
			at++;
		}
		parameter += rest[at];
	}
	rest.remove_prefix(std::min(at + 1, rest.size()));
	return parameter;
}

std::string text_of(const ForeignJson &value)
{
	if (value.is_string())
		return value.get<std::string>();
	if (value.is_boolean())
		return value.get<bool>() ? "on" : "off";
	return value.dump(-1, ' ', false, ForeignJson::error_handler_t::replace);
}

void flatten(const ForeignJson &json, const std::string &prefix, Pairs &pairs)
{
	for (const auto &[key, value] : json.items()) {
		const auto name = prefix.empty() ? key : fmt::format("{}.{}", prefix, key);

		if (pairs.size() >= most_parameters)
			return;
		if (value.is_structured())
			flatten(value, name, pairs);
		else
			pairs.emplace_back(name, text_of(value));
	}
}

} /* namespace */

Result<std::vector<Option>> options_of(std::string_view command_line)
{
	std::vector<Option> options;

	take(command_line); /* the program */
	while (!command_line.empty()) {
		auto argument = take(command_line);

		if (!argument.starts_with('-') || argument.size() < 2)
			continue;
		if (options.size() >= most_options)
			return failure(E2BIG, fmt::format("The command line has more than {} "
							  "options, and is not read.",
							  most_options));
		argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
		Option option{.name = std::string(argument), .value = {}};
		if (!std::ranges::binary_search(without_value, argument) && !command_line.empty())
			option.value = take(command_line);
		options.push_back(std::move(option));
	}
	return options;
}

Parameters::Parameters(std::string_view value, std::string_view first)
{
	if (value.starts_with('{')) {
		if (const auto json = parse_bounded_json(value); json && json->is_object())
			flatten(*json, "", all_);
		return;
	}
	for (bool is_first = true; !value.empty() && all_.size() < most_parameters;
	     is_first = false) {
		auto parameter = take_parameter(value);
		const auto equals = parameter.find('=');

		if (equals != parameter.npos)
			all_.emplace_back(parameter.substr(0, equals),
					  parameter.substr(equals + 1));
		else if (is_first && !first.empty())
			all_.emplace_back(first, std::move(parameter));
		else if (parameter.starts_with("no"))
			all_.emplace_back(parameter.substr(2), "off");
		else
			all_.emplace_back(std::move(parameter), "on");
	}
}

const std::string &Parameters::operator[](std::string_view key) const
{
	static const std::string none;
	const auto found = std::ranges::find(all_.rbegin(), all_.rend(), key,
					     &std::pair<std::string, std::string>::first);

	return found == all_.rend() ? none : found->second;
}

bool Parameters::is_on(std::string_view key) const
{
	const auto &value = (*this)[key];

	return value == "on" || value == "yes" || value == "true" || value == "y";
}

std::uint64_t size_of(std::string_view text, std::uint64_t unit)
{
	constexpr std::string_view units = "BKMGT";
	std::uint64_t number = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
	const std::string_view rest(end, text.data() + text.size());

	if (error != std::errc() || rest.size() > 1)
		return 0;
	if (!rest.empty()) {
		const auto at = units.find(static_cast<char>(rest[0] & ~0x20));

		if (at == units.npos)
			return 0;
		unit = std::uint64_t{1} << (10 * at);
	}
	return number > UINT64_MAX / unit ? 0 : number * unit;
}

} /* namespace corbel::qemu */
