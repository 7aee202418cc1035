// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_name.cc - the guest's name in a QEMU command line.
 *
 * QEMU's option syntax: `-name` or `--name`, its value in the next argument;
 * parameters apart by commas, a doubled comma stands for one; the first
 * parameter without `=` is `guest`. A later one wins.
 */
#include <libcorbel/guest.hh>

#include <optional>

namespace corbel {

namespace {

/* The next argument, taken from the front of @rest. */
std::optional<std::string_view> take_argument(std::string_view &rest)
{
	if (rest.empty())
		return std::nullopt;

	auto end = rest.find('\0');
	auto argument = rest.substr(0, end);
	rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
	return argument;
}

/* The next parameter with doubled commas undone, taken from the front of @rest. */
std::optional<std::string> take_parameter(std::string_view &rest)
{
	std::string parameter;
	std::size_t at = 0;

	if (rest.empty())
		return std::nullopt;
	while (at < rest.size()) {
		if (rest[at] == ',') {
			if (at + 1 == rest.size() || rest[at + 1] != ',')
				break;
			at++;
		}
		parameter += rest[at++];
	}
	rest.remove_prefix(at < rest.size() ? at + 1 : at);
	return parameter;
}

std::string name_of(std::string_view value, std::string name)
{
	bool first = true;

	while (auto parameter = take_parameter(value)) {
		auto equals = parameter->find('=');

		if (equals == parameter->npos) {
			if (first)
				name = *parameter;
		} else if (parameter->compare(0, equals, "guest") == 0) {
			name = parameter->substr(equals + 1);
		}
		first = false;
	}
	return name;
}

} /* namespace */

std::string qemu_guest_name(std::string_view command_line)
{
	std::string name;

	take_argument(command_line); /* the program */
	while (auto argument = take_argument(command_line)) {
		if (*argument != "-name" && *argument != "--name")
			continue;
		if (auto value = take_argument(command_line))
			name = name_of(*value, std::move(name));
	}
	return name;
}

} /* namespace corbel */
