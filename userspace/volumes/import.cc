// SPDX-License-Identifier: GPL-2.0-or-later
/* import.cc - pools of other hosts come here, and pools end. */
#include "pools.hh"

#include "../pool/names.hh"

#include <libcorbel/uuid.hh>

#include <algorithm>
#include <cerrno>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::volumes {

namespace {

using pool::MetaDevice;

/* What lies on @path, which nobody uses. */
Result<pool::Survey> survey_of(const std::string &path)
{
	const auto meta = CORBEL_EXPECT(MetaDevice::open(path, MetaDevice::Use::read));

	return pool::survey(*meta, meta->blocks(), path);
}

/* Who has it now would go on with it. */
Result<void> require_unused(const std::string &path)
{
	(void)CORBEL_EXPECT(MetaDevice::open(path, MetaDevice::Use::read));
	return {};
}

Result<Json> ambiguous(const std::string &uuid, const std::vector<std::string> &paths)
{
	return failure(EBUSY,
		       fmt::format("The metadata of pool {} is on {}: name the device that "
				   "is meant.",
				   uuid,
				   paths.empty() ? std::string("devices in use")
						 : fmt::format("{}", fmt::join(paths, " and "))));
}

} /* namespace */

/* ---- from another host ------------------------------------------------------------------ */

Result<std::string> Pools::name_for(const std::string &uuid, const std::string &wanted)
{
	const auto pools = CORBEL_EXPECT(records_.pools());
	const auto known = std::ranges::find(pools, uuid, &PoolRecord::uuid);
	const auto name = !wanted.empty()	 ? wanted
			  : known != pools.end() ? known->name
						 : "pool_" + uuid.substr(0, 8);
	const auto same = std::ranges::find(pools, name, &PoolRecord::name);

	if (known != pools.end() && known->name != name)
		return failure(EEXIST,
			       fmt::format("Pool {} is '{}' here already.", uuid, known->name));
	if (same != pools.end() && same->uuid != uuid)
		return failure(EEXIST, fmt::format("There is a pool '{}' already, which is {}: "
						   "--name calls this one something else.",
						   name, same->uuid));
	return name;
}

Result<Json> Pools::import_one(const std::string &meta, const ImportWish &wish, bool dry_run)
{
	const auto there = CORBEL_EXPECT(survey_of(meta));
	const auto status = status_of(there);
	const auto uuid = uuid_text(there.super.uuid);
	PoolRecord pool{CORBEL_EXPECT(name_for(uuid, wish.name)), uuid, meta, {}, false};
	auto paths = Json::array();

	for (const auto &device : status.devices) {
		const auto path = CORBEL_EXPECT(find_device({}, uuid, device.device, wish.places));

		CORBEL_EXPECT(require_unused(path));
		pool.data.push_back({path, device.device, device.tier, false});
		paths.push_back(path);
	}
	/* One that is as it is remembered stays so: it may be one that is started at boot. */
	const auto before = records_.pool(pool.name);
	const auto place_of = [](const DeviceRecord &device) { return device.path; };
	const bool same = before && before->meta == meta &&
			  std::ranges::equal(before->data, pool.data, {}, place_of, place_of);
	if (before)
		pool.started = before->started;
	if (!same && !dry_run)
		CORBEL_EXPECT(records_.put(pool, !before));
	return Json{{"pool", pool.name},
		    {"uuid", uuid},
		    {"meta", meta},
		    {"devices", std::move(paths)},
		    {"volumes", status.volumes},
		    {"changed", !same}};
}

Result<Json> Pools::import(const ImportWish &wish, bool dry_run)
{
	const auto guard = changing();
	auto pools = Json::array(), left_out = Json::array();
	bool changed = false;

	if (wish.meta.size() != 1 && !wish.name.empty())
		return failure(EINVAL, "--name is for one pool: name its metadata device alone.");
	for (const auto &meta : wish.meta)
		pools.push_back(CORBEL_EXPECT(import_one(meta, wish, dry_run)));
	if (wish.meta.empty()) {
		std::map<std::string, std::vector<std::string>> found;

		for (const auto &path : wish.places)
			if (const auto super = super_on(path))
				found[uuid_text(super->uuid)].push_back(path);
		for (const auto &known : CORBEL_EXPECT(records_.pools()))
			found.erase(known.uuid);
		for (auto &[uuid, paths] : found) {
			/* What lies on one that is in use is seen through it, too. */
			if (paths.size() > 1)
				std::erase_if(paths, [](const std::string &path) {
					return !require_unused(path);
				});
			auto one = paths.size() == 1 ? import_one(paths.front(), wish, dry_run)
						     : ambiguous(uuid, paths);
			if (one)
				pools.push_back(std::move(*one));
			else
				left_out.push_back(one.error().sentence);
		}
	}
	for (const auto &pool : pools)
		changed |= pool.at("changed").get<bool>();
	return Json{{"pools", std::move(pools)},
		    {"warnings", std::move(left_out)},
		    {"dry_run", dry_run},
		    {"changed", changed}};
}

/* ---- the end ------------------------------------------------------------------------------ */

Result<Json> Pools::erase(const DeleteWish &wish, bool dry_run)
{
	const auto guard = changing();
	const auto pool = CORBEL_EXPECT(records_.pool(wish.pool));
	std::vector<std::pair<std::string, std::string>> data; /* path, UUID */
	auto warnings = Json::array();
	std::optional<std::string> meta;
	/* Who forces it has lost devices, and is told which. */
	const auto take = [&](const Error &error) -> Result<void> {
		if (!wish.force || error.number == EBUSY)
			return std::unexpected(error);
		warnings.push_back(error.sentence);
		return {};
	};

	if (CORBEL_EXPECT(find(pool)))
		return failure(EBUSY, fmt::format("Pool '{0}' is started: `corbel pool stop {0}` "
						  "comes first.",
						  pool.name));
	if (!dry_run && !wish.force && wish.confirm != pool.name)
		return failure(EPERM, fmt::format("All that pool '{0}' holds will be lost: say "
						  "`--confirm {0}` if that is meant.",
						  pool.name));
	if (const auto there = survey_of(pool.meta); !there)
		CORBEL_EXPECT(take(there.error()));
	else if (const auto uuid = uuid_text(there->super.uuid); uuid != pool.uuid)
		CORBEL_EXPECT(
			take(Error{ENOENT, fmt::format("{} is the metadata of pool {}, not of "
						       "'{}', which is {}.",
						       pool.meta, uuid, pool.name, pool.uuid)}));
	else if (there->super.volumes && !wish.force)
		return failure(EEXIST,
			       fmt::format("Pool '{}' has {} volumes and snapshots: delete them, "
					   "or say --force if they are to be lost.",
					   pool.name, there->super.volumes));
	else
		meta = pool.meta;
	for (const auto &device : pool.data) {
		const auto path = find_device(device.path, pool.uuid, device.uuid);

		if (!path) {
			CORBEL_EXPECT(take(path.error()));
			continue;
		}
		CORBEL_EXPECT(require_unused(*path));
		data.emplace_back(*path, device.uuid);
	}
	if (!dry_run) {
		/* Metadata last: as long as it is there, the rest can be forced. */
		for (const auto &[path, uuid] : data)
			CORBEL_EXPECT(erase_label(path, uuid));
		if (meta)
			CORBEL_EXPECT(clear_device(
				*CORBEL_EXPECT(MetaDevice::open(*meta, MetaDevice::Use::write))));
		CORBEL_EXPECT(records_.erase(pool));
	}
	return Json{{"pool", pool.name},
		    {"warnings", std::move(warnings)},
		    {"dry_run", dry_run},
		    {"changed", true}};
}

} /* namespace corbel::volumes */
