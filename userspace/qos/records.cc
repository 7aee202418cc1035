// SPDX-License-Identifier: GPL-2.0-or-later
#include "records.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

constexpr std::string_view lun_prefix = "qos/lun/", policy_prefix = "qos/policy/",
			   object_prefix = "qos/object/";

std::string key_of(const LunRecord &lun)
{
	return fmt::format("{}{}", lun_prefix, lun.name);
}

std::string key_of(const PolicyRecord &policy)
{
	return fmt::format("{}{}", policy_prefix, policy.name);
}

/* Names have no slashes. */
std::string key_of(const ObjectRecord &object)
{
	return fmt::format("{}{}/{}", object_prefix, object.lun, object.name);
}

template <typename Read>
auto read(const state::Entry &entry, Read &&read_json) -> Result<decltype(read_json(Json()))>
{
	try {
		return read_json(Json::parse(entry.value));
	} catch (const Json::exception &) {
		return failure(EUCLEAN,
			       fmt::format("What is remembered as {} cannot be read.", entry.key));
	}
}

Json json_of(const LunRecord &lun)
{
	return {{"uuid", lun.uuid},
		{"device", lun.device},
		{"sectors", lun.sectors},
		{"depth", lun.depth},
		{"io_bytes", lun.io_bytes},
		{"next", lun.next},
		{"heat_shift", lun.heat_shift},
		{"settled", lun.settled}};
}

Result<LunRecord> lun_of(const state::Entry &entry)
{
	return read(entry, [&](const Json &json) {
		LunRecord lun;

		lun.name = entry.key.substr(lun_prefix.size());
		lun.uuid = json.at("uuid");
		lun.device = json.at("device");
		lun.sectors = json.at("sectors");
		lun.depth = json.at("depth");
		lun.io_bytes = json.at("io_bytes");
		lun.next = json.at("next");
		lun.heat_shift = json.at("heat_shift");
		lun.settled = json.at("settled");
		return lun;
	});
}

Result<PolicyRecord> policy_in(const state::Entry &entry)
{
	return read(entry, [&](const Json &json) {
		return policy_of(entry.key.substr(policy_prefix.size()), json);
	});
}

Json json_of(const ObjectRecord &object)
{
	Json json{{"number", object.number},
		  {"budget", object.budget},
		  {"policy", object.policy},
		  {"shared", object.shared},
		  {"histograms", object.histograms},
		  {"path", object.path},
		  {"format", object.format},
		  {"vm", object.vm},
		  {"disk", object.disk},
		  {"ranges", object.ranges},
		  {"partition", object.partition},
		  {"leaving", object.leaving}};

	if (object.part)
		json["part"] = *object.part;
	return json;
}

Result<ObjectRecord> object_of(const state::Entry &entry)
{
	return read(entry, [&](const Json &json) {
		const auto names = entry.key.substr(object_prefix.size());
		ObjectRecord object;

		object.lun = names.substr(0, names.find('/'));
		object.name = names.substr(std::min(names.size(), object.lun.size() + 1));
		object.number = json.at("number");
		object.budget = json.at("budget");
		object.policy = json.at("policy");
		object.shared = json.at("shared");
		object.histograms = json.at("histograms");
		object.path = json.at("path");
		object.format = json.at("format");
		object.vm = json.at("vm");
		object.disk = json.at("disk");
		object.ranges = json.at("ranges").get<std::vector<ByteRange>>();
		object.partition = json.at("partition");
		if (json.contains("part"))
			object.part = json.at("part").get<ByteRange>();
		object.leaving = json.at("leaving");
		return object;
	});
}

template <typename Record>
Result<std::vector<Record>> all_of(state::Store &store, std::string_view prefix,
				   Result<Record> (*read_entry)(const state::Entry &))
{
	std::vector<Record> all;

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store, prefix)))
		all.push_back(CORBEL_EXPECT(read_entry(entry)));
	return all;
}

} /* namespace */

Result<LunRecord> Records::lun(const std::string &name)
{
	const auto entry = CORBEL_EXPECT(
		store_.get(key_of(LunRecord{.name = name, .uuid = {}, .device = {}})));

	if (!entry)
		return failure(
			ENOENT,
			fmt::format("No device is under QoS as '{}': `corbel qos list` shows "
				    "those that are, `corbel qos add` puts one there.",
				    name));
	return lun_of(*entry);
}

Result<std::vector<LunRecord>> Records::luns()
{
	return all_of(store_, lun_prefix, lun_of);
}

Result<void> Records::put(const LunRecord &lun, bool is_new)
{
	state::Transaction change{.conditions = {},
				  .changes = {state::Put{key_of(lun), json_of(lun).dump()}}};

	if (is_new)
		change.conditions.push_back({key_of(lun), 0});
	if (!CORBEL_EXPECT(store_.commit(change)).committed)
		return failure(EEXIST, fmt::format("There is a device under QoS as '{}' already.",
						   lun.name));
	return {};
}

Result<void> Records::erase(const LunRecord &lun)
{
	state::Transaction change{.conditions = {}, .changes = {state::Erase{key_of(lun)}}};

	for (const auto &object : CORBEL_EXPECT(objects(lun.name)))
		change.changes.emplace_back(state::Erase{key_of(object)});
	(void)CORBEL_EXPECT(store_.commit(change));
	return {};
}

Result<PolicyRecord> Records::policy(const std::string &name)
{
	PolicyRecord wanted;

	wanted.name = name;
	const auto entry = CORBEL_EXPECT(store_.get(key_of(wanted)));
	if (!entry)
		return failure(
			ENOENT,
			fmt::format("There is no policy '{}': `corbel qos policy` shows those "
				    "there are, and makes one if it is told what it is.",
				    name));
	return policy_in(*entry);
}

Result<std::vector<PolicyRecord>> Records::policies()
{
	return all_of(store_, policy_prefix, policy_in);
}

Result<void> Records::put(const PolicyRecord &policy)
{
	(void)CORBEL_EXPECT(store_.commit(
		{.conditions = {},
		 .changes = {state::Put{key_of(policy), workloads::json_of(policy).dump()}}}));
	return {};
}

Result<void> Records::erase(const PolicyRecord &policy)
{
	(void)CORBEL_EXPECT(
		store_.commit({.conditions = {}, .changes = {state::Erase{key_of(policy)}}}));
	return {};
}

Result<std::vector<ObjectRecord>> Records::objects(const std::string &lun)
{
	return all_of(store_, fmt::format("{}{}/", object_prefix, lun), object_of);
}

Result<std::vector<ObjectRecord>> Records::objects()
{
	return all_of(store_, object_prefix, object_of);
}

Result<void> Records::put(const LunRecord &lun, const ObjectRecord &object)
{
	(void)CORBEL_EXPECT(
		store_.commit({.conditions = {},
			       .changes = {state::Put{key_of(lun), json_of(lun).dump()},
					   state::Put{key_of(object), json_of(object).dump()}}}));
	return {};
}

Result<void> Records::erase(const LunRecord &lun, const ObjectRecord &object)
{
	(void)CORBEL_EXPECT(store_.commit({.conditions = {},
					   .changes = {state::Put{key_of(lun), json_of(lun).dump()},
						       state::Erase{key_of(object)}}}));
	return {};
}

} /* namespace corbel::workloads */
