/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * records.hh - what is remembered of pools and volumes beyond what the pools say themselves:
 * how they are called, where they lie, which are to be there.
 */
#pragma once

#include "../state/store.hh"

#include <string>
#include <vector>

namespace corbel::volumes {

struct DeviceRecord {
	std::string path, uuid, tier;
	bool leaving = false; /* it is being removed: the pool may know it no more */
};

struct PoolRecord {
	std::string name, uuid;
	std::string meta; /* path */
	std::vector<DeviceRecord> data;
	bool started = false; /* it is to be there, also when the daemon begins anew */
};

struct VolumeRecord {
	std::string name; /* in its pool: "web" or "web@monday" */
	std::uint64_t id = 0;
	bool active = false;
};

class Records {
public:
	explicit Records(state::Store &store) : store_(store) {}

	/* ENOENT, in words. */
	[[nodiscard]] Result<PoolRecord> pool(const std::string &name);
	[[nodiscard]] Result<std::vector<PoolRecord>> pools();
	/* EEXIST: @is_new, and there is one. */
	[[nodiscard]] Result<void> put(const PoolRecord &pool, bool is_new = false);
	/* Its volumes, too. */
	[[nodiscard]] Result<void> erase(const PoolRecord &pool);

	/* By name. */
	[[nodiscard]] Result<std::vector<VolumeRecord>> volumes(const std::string &pool);
	[[nodiscard]] Result<void> put(const std::string &pool,
				       const std::vector<VolumeRecord> &volumes);
	/* The one that was called @old; empty: that had no name. */
	[[nodiscard]] Result<void> rename(const std::string &pool, const std::string &old,
					  const VolumeRecord &volume);
	[[nodiscard]] Result<void> erase(const std::string &pool, const std::string &volume);

private:
	state::Store &store_;
};

} /* namespace corbel::volumes */
