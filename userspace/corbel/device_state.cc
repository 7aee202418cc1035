// SPDX-License-Identifier: GPL-2.0-or-later
#include "device_state.hh"

#include <cerrno>
#include <optional>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr unsigned version = 1;

std::unexpected<Error> malformed(const std::string &what)
{
	return failure(EINVAL, fmt::format("This is no saved distributor state: {}.", what));
}

std::optional<std::uint32_t> number_in(const Json &json, const char *key, std::uint32_t most)
{
	auto at = json.find(key);

	if (at == json.end() || !at->is_number_unsigned() || at->get<std::uint64_t>() > most)
		return std::nullopt;
	return at->get<std::uint32_t>();
}

std::optional<bool> flag_in(const Json &json, const char *key)
{
	auto at = json.find(key);

	if (at == json.end() || !at->is_boolean())
		return std::nullopt;
	return at->get<bool>();
}

std::optional<corbel_dist_entry> entry_in(const Json &json, std::uint32_t ids)
{
	corbel_dist_entry entry{};

	if (!json.is_object())
		return std::nullopt;
	const auto id = number_in(json, "id", ids - 1);
	const auto vcpu = number_in(json, "vcpu", CORBEL_MAX_VCPUS - 1);
	const auto vector = number_in(json, "vector", 255);
	const auto priority = number_in(json, "priority", 255);
	const auto masked = flag_in(json, "masked");
	const auto pending = flag_in(json, "pending");
	if (!id || !vcpu || !vector || *vector < CORBEL_DIST_MIN_VECTOR || !priority || !masked ||
	    !pending)
		return std::nullopt;
	entry.id = *id;
	entry.vcpu = *vcpu;
	entry.vector = static_cast<__u8>(*vector);
	entry.priority = static_cast<__u8>(*priority);
	entry.state = CORBEL_DIST_MAPPED | (*masked ? CORBEL_DIST_MASKED : 0) |
		      (*pending ? CORBEL_DIST_PENDING : 0);
	return entry;
}

} /* namespace */

Json json_of(const corbel_dist_entry &entry)
{
	return {{"id", entry.id},
		{"vcpu", entry.vcpu},
		{"vector", entry.vector},
		{"priority", entry.priority},
		{"masked", (entry.state & CORBEL_DIST_MASKED) != 0},
		{"pending", (entry.state & CORBEL_DIST_PENDING) != 0}};
}

Json state_of(std::span<const corbel_dist_entry> entries)
{
	Json json{{"distributor_state", version},
		  {"ids", entries.size()},
		  {"entries", Json::array()}};

	for (const auto &entry : entries)
		if (entry.state & CORBEL_DIST_MAPPED)
			json["entries"].push_back(json_of(entry));
	return json;
}

Result<std::vector<corbel_dist_entry>> parse_state(const std::string &text, std::uint32_t ids)
{
	const auto json = Json::parse(text, nullptr, false);
	std::vector<corbel_dist_entry> entries(ids);
	std::size_t number = 0;

	for (std::uint32_t id = 0; id < ids; id++)
		entries[id].id = id;
	if (!json.is_object())
		return malformed("it is not a JSON object");
	if (number_in(json, "distributor_state", version) != version)
		return malformed(fmt::format("it is not of version {}", version));
	const auto list = json.find("entries");
	if (list == json.end() || !list->is_array())
		return malformed("it has no list of entries");
	for (const auto &item : *list) {
		const auto entry = entry_in(item, ids);

		number++;
		if (!entry)
			return malformed(fmt::format("entry {} is not one of a device with {} ids",
						     number, ids));
		if (entries[entry->id].state)
			return malformed(fmt::format("id {} is there twice", entry->id));
		entries[entry->id] = *entry;
	}
	return entries;
}

} /* namespace corbel::cli */
