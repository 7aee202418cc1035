// SPDX-License-Identifier: GPL-2.0-or-later
#include "records.hh"

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::volumes {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view pool_prefix = "pool/record/";

std::string pool_key(const std::string &name)
{
	return fmt::format("{}{}", pool_prefix, name);
}

std::string volume_prefix(const std::string &pool)
{
	return fmt::format("pool/volume/{}/", pool);
}

std::unexpected<Error> damaged(const std::string &key)
{
	return failure(EUCLEAN, fmt::format("What is remembered as {} cannot be read.", key));
}

Json json_of(const PoolRecord &pool)
{
	Json data = Json::array();

	for (const auto &device : pool.data)
		data.push_back({{"path", device.path},
				{"uuid", device.uuid},
				{"tier", device.tier},
				{"leaving", device.leaving}});
	return {{"uuid", pool.uuid},
		{"meta", pool.meta},
		{"data", std::move(data)},
		{"started", pool.started}};
}

Result<PoolRecord> pool_of(const state::Entry &entry)
{
	PoolRecord pool;

	pool.name = entry.key.substr(pool_prefix.size());
	try {
		const auto json = Json::parse(entry.value);

		pool.uuid = json.at("uuid");
		pool.meta = json.at("meta");
		pool.started = json.at("started");
		for (const auto &device : json.at("data"))
			pool.data.push_back({device.at("path"), device.at("uuid"),
					     device.at("tier"), device.at("leaving")});
	} catch (const Json::exception &) {
		return damaged(entry.key);
	}
	return pool;
}

state::Put put_of(const std::string &pool, const VolumeRecord &volume)
{
	return {volume_prefix(pool) + volume.name,
		Json{{"id", volume.id}, {"active", volume.active}}.dump()};
}

} /* namespace */

Result<PoolRecord> Records::pool(const std::string &name)
{
	const auto entry = CORBEL_EXPECT(store_.get(pool_key(name)));

	if (!entry)
		return failure(ENOENT,
			       fmt::format("There is no pool '{}': `corbel pool list` shows "
					   "those there are.",
					   name));
	return pool_of(*entry);
}

Result<std::vector<PoolRecord>> Records::pools()
{
	std::vector<PoolRecord> pools;

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, pool_prefix)))
		pools.push_back(CORBEL_EXPECT(pool_of(entry)));
	return pools;
}

Result<void> Records::put(const PoolRecord &pool, bool is_new)
{
	state::Transaction change{
		.conditions = {},
		.changes = {state::Put{pool_key(pool.name), json_of(pool).dump()}}};

	if (is_new)
		change.conditions.push_back({pool_key(pool.name), 0});
	if (!CORBEL_EXPECT(store_.commit(change)).committed)
		return failure(EEXIST, fmt::format("There is a pool '{}' already.", pool.name));
	return {};
}

Result<void> Records::erase(const PoolRecord &pool)
{
	state::Transaction change{.conditions = {}, .changes = {state::Erase{pool_key(pool.name)}}};

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, volume_prefix(pool.name))))
		change.changes.emplace_back(state::Erase{entry.key});
	(void)CORBEL_EXPECT(store_.commit(change));
	return {};
}

Result<std::vector<VolumeRecord>> Records::volumes(const std::string &pool)
{
	const auto prefix = volume_prefix(pool);
	std::vector<VolumeRecord> volumes;

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, prefix))) {
		try {
			const auto json = Json::parse(entry.value);

			volumes.push_back({entry.key.substr(prefix.size()), json.at("id"),
					   json.at("active")});
		} catch (const Json::exception &) {
			return damaged(entry.key);
		}
	}
	return volumes;
}

Result<void> Records::put(const std::string &pool, const std::vector<VolumeRecord> &volumes)
{
	state::Transaction change;

	for (const auto &volume : volumes)
		change.changes.emplace_back(put_of(pool, volume));
	(void)CORBEL_EXPECT(store_.commit(change));
	return {};
}

Result<void> Records::rename(const std::string &pool, const std::string &old,
			     const VolumeRecord &volume)
{
	state::Transaction change{.conditions = {}, .changes = {put_of(pool, volume)}};

	if (!old.empty())
		change.changes.emplace_back(state::Erase{volume_prefix(pool) + old});
	(void)CORBEL_EXPECT(store_.commit(change));
	return {};
}

Result<void> Records::erase(const std::string &pool, const std::string &volume)
{
	(void)CORBEL_EXPECT(store_.commit(
		{.conditions = {}, .changes = {state::Erase{volume_prefix(pool) + volume}}}));
	return {};
}

} /* namespace corbel::volumes */
