/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pools.hh - pools of this host: made, started, given devices and rid of them, brought here from
 * another host and taken apart.
 *
 * A pool's metadata says what is in it; what is kept here is its name, and where its devices
 * were last seen. They are looked for by label if they are not there.
 *
 * Answers are what the verbs of the same names print. Called from any thread.
 */
#pragma once

#include "data_device.hh"
#include "mapper.hh"
#include "records.hh"
#include "target.hh"

#include "../pool/survey.hh"

#include <nlohmann/json.hpp>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace corbel::volumes {

using Json = nlohmann::ordered_json;

struct DeviceWish {
	std::string path, tier;
};
/* "DEV" or "DEV:TIER". EINVAL. */
[[nodiscard]] Result<DeviceWish> parse_device(const std::string &text);

struct PoolWish {
	std::string name, meta;
	std::vector<DeviceWish> data;
	std::uint64_t block_bytes;
	bool force;
};

struct ImportWish {
	std::string name; /* empty: as it is remembered, or after its UUID */
	std::vector<std::string> meta; /* paths; none: those of pools that are not known here */
	std::vector<std::string> places; /* where devices are looked for */
};

struct DeleteWish {
	std::string pool;
	std::string confirm; /* its name again */
	bool force; /* whatever it holds, and of which devices are not there */
};

/* What an error of a device is for who waits for a warning. */
using Warn = std::function<void(const std::string &sentence)>;

class Pools {
public:
	Pools(state::Store &store, Mapper &mapper) : records_(store), mapper_(mapper) {}

	/* ---- what verbs do; with @dry_run they check all of it ---- */

	[[nodiscard]] Result<Json> create(const PoolWish &wish, bool dry_run);
	[[nodiscard]] Result<Json> list();
	[[nodiscard]] Result<Json> show(const std::string &pool);
	[[nodiscard]] Result<Json> start(const std::string &pool, bool dry_run);
	[[nodiscard]] Result<Json> stop(const std::string &pool, bool dry_run);
	[[nodiscard]] Result<Json> add_device(const std::string &pool, const DeviceWish &wish,
					      bool force, bool dry_run);
	/* It has grown: all of it is used. */
	[[nodiscard]] Result<Json> resize_device(const std::string &pool, const std::string &device,
						 bool dry_run);
	/* Pools that another host made, or this one when it had another state; none is started. */
	[[nodiscard]] Result<Json> import(const ImportWish &wish, bool dry_run);
	/* What it holds is lost; its devices are nobody's. */
	[[nodiscard]] Result<Json> erase(const DeleteWish &wish, bool dry_run);

	/* Those that are to be there, after a start of the daemon. */
	void start_all(const Warn &warn);

	/* ---- what volumes and jobs build on ---- */

	[[nodiscard]] Records &records() { return records_; }
	[[nodiscard]] Mapper &mapper() { return mapper_; }
	/* For as long as something is decided and done about names and devices. */
	[[nodiscard]] std::unique_lock<std::mutex> changing() { return std::unique_lock(lock_); }

	/* ENODEV, in words, if it is not started. */
	[[nodiscard]] Result<Mapped> started(const PoolRecord &pool);
	[[nodiscard]] Result<PoolStatus> status(const PoolRecord &pool);
	[[nodiscard]] Result<std::string> message(const PoolRecord &pool, const std::string &text);
	/* By number, path or UUID: its number. ENOENT. */
	[[nodiscard]] Result<std::uint32_t>
	device_number(const PoolRecord &pool, const PoolStatus &status, const std::string &named);
	/* Its record, or nullptr. */
	[[nodiscard]] static DeviceRecord *record_of(PoolRecord &pool, const PoolStatus &status,
						     std::uint32_t number);
	/* Nothing lies on it. From now on the pool does not have it, and it no label. */
	[[nodiscard]] Result<void> drop_device(const std::string &pool, std::uint32_t number,
					       const std::string &uuid);

private:
	[[nodiscard]] Result<std::optional<Mapped>> find(const PoolRecord &pool);
	[[nodiscard]] Result<Table> table_of(PoolRecord &pool);
	[[nodiscard]] Result<void> check_meta(const PoolRecord &pool);
	[[nodiscard]] Result<void> start(PoolRecord &pool, const Warn &warn);
	[[nodiscard]] Result<void> forget_left(PoolRecord &pool);
	[[nodiscard]] Result<Json> import_one(const std::string &meta, const ImportWish &wish,
					      bool dry_run);
	[[nodiscard]] Result<std::string> name_for(const std::string &uuid,
						   const std::string &wanted);

	std::mutex lock_;
	Records records_;
	Mapper &mapper_;
};

/* What metadata that nobody uses says of itself, as a pool that is started would. */
[[nodiscard]] PoolStatus status_of(const pool::Survey &survey);
/* "corbel-POOL", "corbel-POOL-VOLUME". */
[[nodiscard]] std::string mapped_name(const std::string &pool);
[[nodiscard]] std::string mapped_name(const std::string &pool, const std::string &volume);
/* UUIDs of device-mapper's devices. */
[[nodiscard]] std::string mapped_uuid(const PoolRecord &pool);
[[nodiscard]] std::string mapped_uuid(const PoolRecord &pool, std::uint64_t volume);
/* The device of a volume of a pool that is started. */
[[nodiscard]] Result<void> map_volume(Mapper &mapper, const PoolRecord &pool,
				      const Mapped &pool_device, const std::string &name,
				      const VolumeStatus &volume, std::uint64_t block_sectors);
/* All that it has, page by page. */
[[nodiscard]] Result<std::vector<VolumeStatus>> volumes_of(Pools &pools, const PoolRecord &pool);

} /* namespace corbel::volumes */
