// SPDX-License-Identifier: GPL-2.0-or-later
#include "pools.hh"

#include "alarms.hh"

#include "../../kmod/block/pool.hh"
#include "../pool/names.hh"
#include "../pool/survey.hh"

#include <libcorbel/uuid.hh>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

using pool::MetaDevice;
using pool::told;

constexpr std::uint32_t cache_nodes = 64;
constexpr const char *usual_tier = "data";

Json change_of(const std::string &pool, bool dry_run, bool changed)
{
	return {{"pool", pool}, {"dry_run", dry_run}, {"changed", changed}};
}

Result<std::uint64_t> block_size_of(std::uint64_t bytes)
{
	if (bytes < 4096 || bytes > 1 << 20 || (bytes & (bytes - 1)))
		return failure(EINVAL, "The block size of a pool is a power of two, 4K to 1M.");
	return bytes;
}

/* One more device of a pool, whose label is written when all else has been checked. */
struct Newcomer {
	std::unique_ptr<MetaDevice> device;
	DeviceRecord record;
	block::Uuid uuid;
};

Result<Newcomer> take_data(const DeviceWish &wish, std::uint64_t block_bytes, bool force)
{
	Newcomer taken;

	taken.device = CORBEL_EXPECT(take_device(wish.path, force));
	if (!data_blocks(taken.device->blocks() * block::meta_bytes, block_bytes))
		return failure(ENOSPC, fmt::format("{} has no room for a block of {} behind the 1M "
						   "that its label takes.",
						   wish.path, pool::size_text(block_bytes)));
	taken.uuid = CORBEL_EXPECT(make_uuid());
	taken.record = {wish.path, uuid_text(taken.uuid.bytes), wish.tier, false};
	return taken;
}

/* An empty pool that has the devices already. */
Result<void> format(MetaDevice &meta, const block::Uuid &uuid, std::uint64_t block_bytes,
		    const std::vector<Newcomer> &data)
{
	const auto blocks = std::min(meta.blocks(), block::max_meta_blocks);
	const auto pool = std::make_unique<block::Pool>(meta);

	CORBEL_EXPECT(told(
		block::Store::format(meta, blocks, static_cast<std::uint32_t>(block_bytes), uuid),
		meta.path()));
	CORBEL_EXPECT(
		told(pool->open(blocks, cache_nodes, block::Access::read_write), meta.path()));
	for (const auto &[device, record, device_uuid] : data) {
		const auto room = data_blocks(device->blocks() * block::meta_bytes, block_bytes);

		(void)CORBEL_EXPECT(
			told(pool->add_device(device_uuid, {record.tier.data(), record.tier.size()},
					      room),
			     meta.path()));
	}
	return told(pool->commit(), meta.path());
}

Json device_json(const DeviceRecord &record, std::uint64_t block_bytes, const DeviceStatus &status)
{
	return {{"number", status.number},
		{"path", record.path},
		{"uuid", record.uuid},
		{"tier", status.tier},
		{"bytes", status.blocks * block_bytes},
		{"used_bytes", status.used * block_bytes},
		{"limit_bytes", status.limit * block_bytes}};
}

Json alarms_json(const PoolStatus &status)
{
	auto alarms = Json::array();

	for (const auto alarm : alarms_of(status))
		alarms.push_back(name_of(alarm));
	return alarms;
}

Json mover_json(const MoverStatus &mover)
{
	return {{"state", mover.state},
		{"device", mover.device},
		{"done", mover.next - std::min(mover.next, mover.first)},
		{"total", mover.last + 1 - std::min(mover.last + 1, mover.first)},
		{"moved", mover.moved},
		{"middle_entries", mover.middle_entries},
		{"meta_bytes", mover.meta_bytes},
		{"skipped", mover.skipped},
		{"target_us", mover.target_us},
		{"seen_us", mover.seen_us},
		{"paused_ms", mover.paused_ms}};
}

} /* namespace */

PoolStatus status_of(const pool::Survey &survey)
{
	const auto &super = survey.super;
	PoolStatus status{};

	status.generation = super.header.generation;
	status.meta_total = super.meta_blocks;
	for (const auto nodes : super.nodes)
		status.meta_used += nodes;
	status.block_sectors = super.data_block_bytes / 512;
	status.volumes = super.volumes;
	status.mode = "stopped";
	for (std::uint32_t i = 0; i < block::max_devices; i++) {
		const auto &device = super.devices[i];
		if (!device.blocks)
			continue;
		status.devices.push_back(
			{i, uuid_text(device.uuid),
			 std::string(device.tier, ::strnlen(device.tier, sizeof(device.tier))),
			 device.used, device.blocks, device.limit});
		status.used += device.used;
		status.total += device.blocks;
	}
	return status;
}

Result<DeviceWish> parse_device(const std::string &text)
{
	DeviceWish wish{text, usual_tier};
	std::error_code error;

	/* Names in /dev/disk/by-path have colons too. */
	if (const auto colon = text.rfind(':'); colon != text.npos &&
						text.find('/', colon) == text.npos &&
						!std::filesystem::exists(text, error)) {
		wish.path = text.substr(0, colon);
		wish.tier = text.substr(colon + 1);
	}
	if (!wish.path.starts_with('/') || wish.tier.empty() ||
	    wish.tier.size() > block::tier_bytes || !pool::is_pool_name(wish.tier))
		return failure(EINVAL, fmt::format("'{}' is not the absolute path of a device, nor "
						   "one with a tier of at most 16 letters and "
						   "digits behind it, such as /dev/vdb:fast.",
						   text));
	return wish;
}

std::string mapped_name(const std::string &pool)
{
	return "corbel-" + pool;
}

std::string mapped_name(const std::string &pool, const std::string &volume)
{
	return fmt::format("corbel-{}-{}", pool, volume);
}

std::string mapped_uuid(const PoolRecord &pool)
{
	return fmt::format("{}{}", uuid_prefix, pool.uuid);
}

std::string mapped_uuid(const PoolRecord &pool, std::uint64_t volume)
{
	return fmt::format("{}{}-{}", uuid_prefix, pool.uuid, volume);
}

Result<void> map_volume(Mapper &mapper, const PoolRecord &pool, const Mapped &pool_device,
			const std::string &name, const VolumeStatus &volume,
			std::uint64_t block_sectors)
{
	return mapper.create(mapped_name(pool.name, name), mapped_uuid(pool, volume.id),
			     {.sectors = volume.blocks * block_sectors,
			      .target = "corbel-volume",
			      .parameters = fmt::format("{} {}", pool_device.number, volume.id),
			      .read_only = volume.mode == "ro"});
}

Result<std::vector<VolumeStatus>> volumes_of(Pools &pools, const PoolRecord &pool)
{
	std::vector<VolumeStatus> volumes;

	for (;;) {
		const auto text = CORBEL_EXPECT(pools.message(
			pool, volumes.empty() ? "volumes"
					      : fmt::format("volumes {}", volumes.back().id)));
		const auto page = CORBEL_EXPECT(parse_volumes(text));

		if (page.empty())
			return volumes;
		/* Who told the same ones again would never end. */
		if (!volumes.empty() && page.front().id <= volumes.back().id)
			return failure(EPROTO, "The kernel lists volumes in no order: dm-corbel.ko "
					       "is of another version.");
		volumes.insert(volumes.end(), page.begin(), page.end());
	}
}

/* ---- what is there ------------------------------------------------------------------ */

Result<std::optional<Mapped>> Pools::find(const PoolRecord &pool)
{
	const auto all = CORBEL_EXPECT(mapper_.list());
	const auto found = std::ranges::find(all, mapped_uuid(pool), &Mapped::uuid);

	return found == all.end() ? std::nullopt : std::optional(*found);
}

Result<Mapped> Pools::started(const PoolRecord &pool)
{
	if (auto found = CORBEL_EXPECT(find(pool)))
		return *found;
	return failure(ENODEV,
		       fmt::format("Pool '{0}' is not started: `corbel pool start {0}` does "
				   "that.",
				   pool.name));
}

Result<PoolStatus> Pools::status(const PoolRecord &pool)
{
	const auto device = CORBEL_EXPECT(started(pool));

	return parse_pool_status(CORBEL_EXPECT(mapper_.status(device.name)));
}

Result<std::string> Pools::message(const PoolRecord &pool, const std::string &text)
{
	return mapper_.message(CORBEL_EXPECT(started(pool)).name, text);
}

DeviceRecord *Pools::record_of(PoolRecord &pool, const PoolStatus &status, std::uint32_t number)
{
	const auto *device = status.device(number);

	if (!device)
		return nullptr;
	for (auto &record : pool.data) {
		const auto place = number_of(record.path);
		if (record.uuid == device->device || (place && *place == device->device))
			return &record;
	}
	return nullptr;
}

Result<std::uint32_t> Pools::device_number(const PoolRecord &pool, const PoolStatus &status,
					   const std::string &named)
{
	auto copy = pool;
	const auto place = number_of(named);

	for (const auto &device : status.devices) {
		const auto *record = record_of(copy, status, device.number);
		if (named == fmt::format("{}", device.number) ||
		    (place && *place == device.device) ||
		    (record && (record->path == named || record->uuid == named)))
			return device.number;
	}
	return failure(ENOENT, fmt::format("Pool '{0}' has no device '{1}': `corbel pool show {0}` "
					   "shows those it has, by number, path and UUID.",
					   pool.name, named));
}

Result<Json> Pools::list()
{
	auto pools = Json::array();

	for (const auto &pool : CORBEL_EXPECT(records_.pools())) {
		const auto device = CORBEL_EXPECT(find(pool));
		Json json{{"name", pool.name},
			  {"uuid", pool.uuid},
			  {"started", device.has_value()},
			  {"mode", nullptr},
			  {"bytes", nullptr},
			  {"used_bytes", nullptr},
			  {"volumes", nullptr},
			  {"devices", pool.data.size()}};

		if (device) {
			const auto now = CORBEL_EXPECT(status(pool));
			json["mode"] = now.mode;
			json["bytes"] = now.total * now.block_bytes();
			json["used_bytes"] = now.used * now.block_bytes();
			json["volumes"] = now.volumes;
		}
		pools.push_back(std::move(json));
	}
	return Json{{"pools", std::move(pools)}};
}

Result<Json> Pools::show(const std::string &name)
{
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const auto device = CORBEL_EXPECT(find(pool));
	auto devices = Json::array();
	Json mover;
	PoolStatus now;

	if (device) {
		now = CORBEL_EXPECT(status(pool));
		const auto moving =
			CORBEL_EXPECT(parse_mover(CORBEL_EXPECT(message(pool, "mover"))));
		if (moving.state != "idle")
			mover = mover_json(moving);
	} else {
		const auto meta = CORBEL_EXPECT(MetaDevice::open(pool.meta, MetaDevice::Use::read));
		now = status_of(CORBEL_EXPECT(pool::survey(*meta, meta->blocks(), pool.meta)));
	}
	for (const auto &each : now.devices) {
		const auto *record = record_of(pool, now, each.number);
		devices.push_back(
			device_json(record ? *record : DeviceRecord{}, now.block_bytes(), each));
	}
	return Json{{"name", pool.name},
		    {"uuid", pool.uuid},
		    {"started", device.has_value()},
		    {"device", device ? Json("/dev/mapper/" + device->name) : Json()},
		    {"mode", now.mode},
		    {"policy", device ? Json(now.policy) : Json()},
		    {"alarms", alarms_json(now)},
		    {"generation", now.generation},
		    {"block_bytes", now.block_bytes()},
		    {"bytes", now.total * now.block_bytes()},
		    {"used_bytes", now.used * now.block_bytes()},
		    {"volumes", now.volumes},
		    {"meta",
		     {{"path", pool.meta},
		      {"bytes", now.meta_total * block::meta_bytes},
		      {"used_bytes", now.meta_used * block::meta_bytes}}},
		    {"devices", std::move(devices)},
		    {"mover", std::move(mover)}};
}

/* ---- beginning and end ---------------------------------------------------------------- */

Result<Json> Pools::create(const PoolWish &wish, bool dry_run)
{
	const auto guard = changing();
	const auto block_bytes = CORBEL_EXPECT(block_size_of(wish.block_bytes));
	const auto uuid = CORBEL_EXPECT(make_uuid());
	std::vector<Newcomer> data;
	PoolRecord pool{wish.name, uuid_text(uuid.bytes), wish.meta, {}, false};

	if (records_.pool(wish.name))
		return failure(EEXIST, fmt::format("There is a pool '{}' already.", wish.name));
	if (wish.data.size() > block::max_devices)
		return failure(EINVAL, fmt::format("A pool has at most {} data devices.",
						   block::max_devices));
	auto meta = CORBEL_EXPECT(take_device(wish.meta, wish.force));
	if (meta->blocks() < block::min_meta_blocks)
		return failure(
			ENOSPC,
			fmt::format("{} is too small for metadata: {} at least.", wish.meta,
				    pool::size_text(block::min_meta_blocks * block::meta_bytes)));
	/* One that is named twice is in use the second time. */
	for (const auto &each : wish.data) {
		data.push_back(CORBEL_EXPECT(take_data(each, block_bytes, wish.force)));
		pool.data.push_back(data.back().record);
	}
	if (!dry_run) {
		CORBEL_EXPECT(clear_device(*meta));
		for (const auto &[device, record, device_uuid] : data) {
			CORBEL_EXPECT(clear_device(*device));
			CORBEL_EXPECT(write_label(*device, uuid, device_uuid, record.tier));
		}
		CORBEL_EXPECT(format(*meta, uuid, block_bytes, data));
		CORBEL_EXPECT(records_.put(pool, true));
		/* They are the kernel's from here on. */
		meta.reset();
		data.clear();
		if (const auto begun = start(pool, nullptr); !begun)
			return failure(begun.error().number,
				       fmt::format("Pool '{0}' is made, but not started (`corbel "
						   "pool start {0}` tries that again): {1}",
						   wish.name, begun.error().sentence));
	}
	auto answer = change_of(wish.name, dry_run, true);
	answer["uuid"] = dry_run ? Json() : Json(pool.uuid);
	return answer;
}

Result<void> Pools::check_meta(const PoolRecord &pool)
{
	const auto meta = CORBEL_EXPECT(MetaDevice::open(pool.meta, MetaDevice::Use::read));
	const auto survey = CORBEL_EXPECT(pool::survey(*meta, meta->blocks(), pool.meta));

	if (const auto there = uuid_text(survey.super.uuid); there != pool.uuid)
		return failure(
			ENOENT,
			fmt::format("{} is the metadata of pool {}, not of '{}', which is {}: "
				    "disks have changed their names.",
				    pool.meta, there, pool.name, pool.uuid));
	return {};
}

/* A removal that was broken off is either done by now or was not begun. */
Result<void> Pools::forget_left(PoolRecord &pool)
{
	if (std::ranges::none_of(pool.data, &DeviceRecord::leaving))
		return {};
	const auto meta = CORBEL_EXPECT(MetaDevice::open(pool.meta, MetaDevice::Use::read));
	const auto there = status_of(CORBEL_EXPECT(pool::survey(*meta, meta->blocks(), pool.meta)));
	for (auto &record : pool.data) {
		const bool known = std::ranges::find(there.devices, record.uuid,
						     &DeviceStatus::device) != there.devices.end();

		if (record.leaving && !known)
			CORBEL_EXPECT(erase_label(record.path, record.uuid));
		else
			record.leaving = false;
	}
	std::erase_if(pool.data, [](const DeviceRecord &record) { return record.leaving; });
	return records_.put(pool);
}

Result<Table> Pools::table_of(PoolRecord &pool)
{
	Table table{0, "corbel-pool", CORBEL_EXPECT(number_of(pool.meta)), false};
	std::string devices;
	std::size_t count = 0;
	std::uint64_t blocks = 0;
	const auto super = super_on(pool.meta);

	if (!super)
		return failure(ENOENT, fmt::format("{} holds no metadata of a pool.", pool.meta));
	for (auto &record : pool.data) {
		if (record.leaving)
			continue;
		record.path = CORBEL_EXPECT(find_device(record.path, pool.uuid, record.uuid));
		devices += " " + CORBEL_EXPECT(number_of(record.path));
		count++;
		const auto bytes = CORBEL_EXPECT(bytes_of(record.path));
		table.sectors += bytes / 512;
		blocks += data_blocks(bytes, super->data_block_bytes);
	}
	table.parameters += fmt::format(" {}{} 2 low_water {}", count, devices, blocks / low_share);
	return table;
}

Result<void> Pools::start(PoolRecord &pool, const Warn &warn)
{
	auto device = CORBEL_EXPECT(find(pool));

	if (!device) {
		CORBEL_EXPECT(forget_left(pool));
		CORBEL_EXPECT(check_meta(pool));
		CORBEL_EXPECT(mapper_.create(mapped_name(pool.name), mapped_uuid(pool),
					     CORBEL_EXPECT(table_of(pool))));
		device = CORBEL_EXPECT(started(pool));
	}
	pool.started = true;
	CORBEL_EXPECT(records_.put(pool));

	const auto volumes = CORBEL_EXPECT(records_.volumes(pool.name));
	if (std::ranges::none_of(volumes, &VolumeRecord::active))
		return {};
	const auto now = CORBEL_EXPECT(status(pool));
	const auto known = CORBEL_EXPECT(volumes_of(*this, pool));
	const auto mapped = CORBEL_EXPECT(mapper_.list());
	for (const auto &volume : volumes) {
		const auto it = std::ranges::find(known, volume.id, &VolumeStatus::id);
		const auto uuid = mapped_uuid(pool, volume.id);

		if (!volume.active || it == known.end() ||
		    std::ranges::find(mapped, uuid, &Mapped::uuid) != mapped.end())
			continue;
		const auto done =
			map_volume(mapper_, pool, *device, volume.name, *it, now.block_sectors);
		if (!done && warn)
			warn(fmt::format("Volume {}/{} is not there: {}", pool.name, volume.name,
					 done.error().sentence));
	}
	return {};
}

Result<Json> Pools::start(const std::string &name, bool dry_run)
{
	const auto guard = changing();
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const bool there = CORBEL_EXPECT(find(pool)).has_value();
	auto warnings = Json::array();

	if (dry_run && !there) {
		CORBEL_EXPECT(check_meta(pool));
		(void)CORBEL_EXPECT(table_of(pool));
	} else if (!dry_run) {
		CORBEL_EXPECT(start(
			pool, [&](const std::string &sentence) { warnings.push_back(sentence); }));
	}
	auto answer = change_of(name, dry_run, !there);
	answer["warnings"] = std::move(warnings);
	return answer;
}

void Pools::start_all(const Warn &warn)
{
	const auto guard = changing();
	auto pools = records_.pools();

	if (!pools) {
		warn(pools.error().sentence);
		return;
	}
	for (auto &pool : *pools)
		if (pool.started)
			if (const auto done = start(pool, warn); !done)
				warn(fmt::format("Pool '{}' is not started: {}", pool.name,
						 done.error().sentence));
}

Result<Json> Pools::stop(const std::string &name, bool dry_run)
{
	const auto guard = changing();
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const auto device = CORBEL_EXPECT(find(pool));
	const auto prefix = mapped_uuid(pool) + "-";

	if (device) {
		auto volumes = CORBEL_EXPECT(mapper_.list());

		std::erase_if(volumes,
			      [&](const Mapped &each) { return !each.uuid.starts_with(prefix); });
		for (const auto &volume : volumes)
			if (volume.open)
				return failure(
					EBUSY,
					fmt::format("/dev/mapper/{} is in use: unmount it, "
						    "or stop the VM whose disk it is, first.",
						    volume.name));
		if (!dry_run) {
			for (const auto &volume : volumes)
				CORBEL_EXPECT(mapper_.remove(volume.name));
			CORBEL_EXPECT(mapper_.remove(device->name));
		}
	}
	const bool changed = device || pool.started;
	pool.started = false;
	if (!dry_run)
		CORBEL_EXPECT(records_.put(pool));
	return change_of(name, dry_run, changed);
}

/* ---- devices ------------------------------------------------------------------------- */

Result<Json> Pools::add_device(const std::string &name, const DeviceWish &wish, bool force,
			       bool dry_run)
{
	const auto guard = changing();
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const auto device = CORBEL_EXPECT(started(pool));
	const auto before = CORBEL_EXPECT(status(pool));
	auto newcomer = CORBEL_EXPECT(take_data(wish, before.block_bytes(), force));

	if (before.devices.size() >= block::max_devices)
		return failure(ENOSPC, fmt::format("A pool has at most {} data devices.",
						   block::max_devices));
	auto answer = change_of(name, dry_run, true);
	answer["device"] = wish.path;
	answer["uuid"] = dry_run ? Json() : Json(newcomer.record.uuid);
	if (dry_run)
		return answer;
	CORBEL_EXPECT(clear_device(*newcomer.device));
	CORBEL_EXPECT(write_label(*newcomer.device, CORBEL_EXPECT(uuid_of(pool.uuid)),
				  newcomer.uuid, wish.tier));
	newcomer.device.reset();
	/* What the kernel has taken must be remembered, so it is before it takes it. */
	pool.data.push_back(newcomer.record);
	CORBEL_EXPECT(records_.put(pool));
	const auto reloaded = mapper_.reload(device.name, CORBEL_EXPECT(table_of(pool)));
	if (!reloaded) {
		pool.data.pop_back();
		(void)records_.put(pool);
		(void)erase_label(wish.path, newcomer.record.uuid);
		return std::unexpected(reloaded.error());
	}
	return answer;
}

Result<Json> Pools::resize_device(const std::string &name, const std::string &named, bool dry_run)
{
	const auto guard = changing();
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const auto device = CORBEL_EXPECT(started(pool));
	const auto now = CORBEL_EXPECT(status(pool));
	const auto number = CORBEL_EXPECT(device_number(pool, now, named));
	const auto *record = record_of(pool, now, number);
	const auto &before = *now.device(number);

	if (!record)
		return failure(ENOENT, fmt::format("Device {} of pool '{}' is none that this host "
						   "remembers.",
						   number, name));
	const auto blocks = data_blocks(CORBEL_EXPECT(bytes_of(record->path)), now.block_bytes());
	if (blocks < before.blocks)
		return failure(
			ENOSPC,
			fmt::format("{0} has room for {1}, and pool '{2}' has {3} on it: "
				    "`corbel pool shrink {2} {4} SIZE` comes before a "
				    "device is made smaller.",
				    record->path, pool::size_text(blocks * now.block_bytes()), name,
				    pool::size_text(before.blocks * now.block_bytes()), number));
	const auto mover = CORBEL_EXPECT(parse_mover(CORBEL_EXPECT(message(pool, "mover"))));
	if (mover.state == "running")
		return failure(EBUSY, fmt::format("Blocks of pool '{}' are being moved: `corbel "
						  "job list` shows by what.",
						  name));
	const bool changed = blocks > before.blocks || before.limit < blocks;
	if (changed && !dry_run) {
		/* The kernel looks how large it is, when it has a table. */
		CORBEL_EXPECT(mapper_.reload(device.name, CORBEL_EXPECT(table_of(pool))));
		(void)CORBEL_EXPECT(mapper_.message(
			device.name, fmt::format("resize_device {} {}", number, blocks)));
		if (before.limit < before.blocks)
			(void)CORBEL_EXPECT(mapper_.message(
				device.name, fmt::format("limit {} {}", number, blocks)));
	}
	auto answer = change_of(name, dry_run, changed);
	answer["device"] = record->path;
	answer["bytes"] = blocks * now.block_bytes();
	return answer;
}

Result<void> Pools::drop_device(const std::string &name, std::uint32_t number,
				const std::string &uuid)
{
	const auto guard = changing();
	auto pool = CORBEL_EXPECT(records_.pool(name));
	const auto device = CORBEL_EXPECT(started(pool));
	const auto now = CORBEL_EXPECT(status(pool));
	auto *record = record_of(pool, now, number);
	const bool has_it = record && record->uuid == uuid;
	const auto known = std::ranges::find(pool.data, uuid, &DeviceRecord::uuid);

	/* It was done before somebody died. */
	if (known == pool.data.end())
		return {};
	if (has_it) {
		known->leaving = true;
		CORBEL_EXPECT(records_.put(pool));
		if (const auto gone =
			    mapper_.message(device.name, fmt::format("resize_device {} 0", number));
		    !gone) {
			known->leaving = false;
			CORBEL_EXPECT(records_.put(pool));
			return std::unexpected(gone.error());
		}
	}
	known->leaving = true;
	CORBEL_EXPECT(mapper_.reload(device.name, CORBEL_EXPECT(table_of(pool))));
	CORBEL_EXPECT(erase_label(known->path, uuid));
	pool.data.erase(known);
	return records_.put(pool);
}

} /* namespace corbel::volumes */
