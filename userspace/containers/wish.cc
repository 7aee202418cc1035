// SPDX-License-Identifier: GPL-2.0-or-later
#include "wish.hh"

#include "criu.hh"
#include "reserve.hh"

#include "../migrate/data_socket.hh"

#include <libcorbel/device.hh>
#include <libcorbel/number.hh>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

using qemu::Json;

constexpr std::size_t longest_name = 128;
/* A part more than it has, and a little; and what a fork of a process adds. */
constexpr std::uint64_t room = std::uint64_t{4} << 20;

} /* namespace */

Json json_of(const Wish &wish)
{
	return {{"container", wish.name}, {"bytes", wish.bytes},       {"limits", wish.limits},
		{"criu", wish.criu},	  {"spill", wish.terms.spill}, {"plain", wish.plain},
		{"source", wish.source}};
}

Result<std::optional<Wish>> wish_of(const std::string &text)
{
	const auto json = CORBEL_EXPECT(qemu::parse_bounded_json(text));
	Wish wish;

	if (!json.is_object() || !json.contains("container"))
		return std::nullopt;
	wish.name = qemu::string_in(json, "container");
	wish.bytes = qemu::number_in(json, "bytes");
	wish.criu = qemu::string_in(json, "criu");
	wish.terms.spill = qemu::flag_in(json, "spill");
	wish.plain = qemu::flag_in(json, "plain");
	wish.source = qemu::string_in(json, "source");
	if (!is_name(wish.name))
		return failure(EINVAL, "The source wants a container whose name cannot be one.");
	if (wish.bytes == 0 || wish.bytes % CORBEL_MEMORY_PAGE || wish.bytes > CORBEL_MEMORY_MAX)
		return failure(EINVAL, "The source wants memory of a size that cannot be.");
	if (const auto limits = json.find("limits"); limits != json.end() && limits->is_object())
		for (const auto &[file, value] : limits->items())
			if (value.is_string())
				wish.limits[file] = value.get<std::string>();
	return wish;
}

Result<Wish> wish_here(const Group &group, std::uint64_t bytes, const migrate::Terms &terms)
{
	return Wish{.name = group.last_name(),
		    .bytes = bytes,
		    .limits = group.limits(),
		    .criu = CORBEL_EXPECT(criu_version()),
		    .terms = terms};
}

std::uint64_t bytes_for(const Group &group)
{
	const auto has = group.memory();
	const auto processes = std::max<std::uint64_t>(group.processes().size(), 1);
	const auto wanted = has + has / processes + has / room_part + room;

	return (wanted + CORBEL_MEMORY_PIECE - 1) / CORBEL_MEMORY_PIECE * CORBEL_MEMORY_PIECE;
}

Result<void> check_limit(const Group &group)
{
	const auto limits = group.limits();
	const auto found = limits.find("memory.max");
	const auto most =
		found == limits.end() ? std::nullopt : number_of<std::uint64_t>(found->second);

	if (const auto has = group.memory(); most && has > *most)
		return failure(ENOMEM,
			       fmt::format("The processes of {} come to {} MiB there, as each has "
					   "for itself what they share here, and its memory.max "
					   "lets them have {} MiB: raise that first.",
					   group.name(), has >> 20, *most >> 20));
	return {};
}

bool is_name(const std::string &name)
{
	return !name.empty() && name.size() <= longest_name && name.front() != '.' &&
	       std::ranges::all_of(name, [](char c) {
		       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			      (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
			      c == '@' || c == ':';
	       });
}

std::vector<std::string> obstacles(const Wish &wish, const Group &there)
{
	std::vector<std::string> found;

	if (const auto version = criu_version(); !version)
		found.push_back(version.error().sentence);
	else if (*version != wish.criu)
		found.push_back(
			fmt::format("It has CRIU {}, and the source CRIU {}: they must be the "
				    "same.",
				    *version, wish.criu));
	if (!there.processes().empty())
		found.push_back(fmt::format("A container {} runs there.", there.name()));
	if (const auto device = Device::open(); !device)
		found.push_back(
			fmt::format("It has no memory objects: {}", device.error().sentence));
	/* What comes is reserved, and each page is there twice for a while. */
	if (const auto free = available_memory(); free / 2 < wish.bytes)
		found.push_back(
			fmt::format("It takes {} MiB of memory there while it comes, and {} "
				    "MiB are free.",
				    wish.bytes >> 19, free >> 20));
	if (!wish.plain && !migrate::kernel_has_tls())
		found.push_back(migrate::no_kernel_tls().error().sentence);
	return found;
}

} /* namespace corbel::containers */
