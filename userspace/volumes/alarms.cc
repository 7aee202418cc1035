// SPDX-License-Identifier: GPL-2.0-or-later
#include "alarms.hh"

#include "../../kmod/block/store.hh"
#include "../pool/names.hh"

#include <algorithm>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

/* Blocks in which something can be placed. */
std::uint64_t free_data(const PoolStatus &status)
{
	std::uint64_t free = 0;

	for (const auto &device : status.devices) {
		const auto end = std::min(device.limit, device.blocks);
		free += end - std::min(device.used, end);
	}
	return free;
}

/* Without what is kept so that deleting and committing go on. */
std::uint64_t free_meta(const PoolStatus &status)
{
	const auto free = status.meta_total - std::min(status.meta_used, status.meta_total);

	return free - std::min(block::Store::reserved, free);
}

} /* namespace */

std::string_view name_of(Alarm alarm)
{
	switch (alarm) {
	case Alarm::failed:
		return "failed";
	case Alarm::data_full:
		return "data_full";
	case Alarm::data_low:
		return "data_low";
	case Alarm::meta_full:
		return "meta_full";
	case Alarm::meta_low:
		return "meta_low";
	}
	return "";
}

std::vector<Alarm> alarms_of(const PoolStatus &status)
{
	std::vector<Alarm> alarms;
	const auto look = [&](std::uint64_t free, std::uint64_t total, Alarm full, Alarm low) {
		if (!free)
			alarms.push_back(full);
		else if (free < total / low_share)
			alarms.push_back(low);
	};

	if (status.mode == "failed")
		alarms.push_back(Alarm::failed);
	look(free_data(status), status.total, Alarm::data_full, Alarm::data_low);
	look(free_meta(status), status.meta_total, Alarm::meta_full, Alarm::meta_low);
	return alarms;
}

std::string sentence_of(Alarm alarm, const std::string &pool, const PoolStatus &status)
{
	const auto data = pool::size_text(status.total * status.block_bytes());
	const auto meta = pool::size_text(status.meta_total * block::meta_bytes);

	switch (alarm) {
	case Alarm::failed:
		return fmt::format("Pool '{0}' has failed: its metadata cannot be read or written. "
				   "When the device is well again, stop the pool, `corbel pool "
				   "check` it, and start it.",
				   pool);
	case Alarm::data_full:
		return fmt::format("Pool '{0}' is full: what is written to new places {1}. `corbel "
				   "pool add-device {0}`, deleting and discarding make room.",
				   pool,
				   status.policy == "error" ? "fails"
							    : "waits for a minute and then fails");
	case Alarm::data_low:
		return fmt::format(
			"Pool '{0}' is nearly full: less than 1/16 of its {1} is free. `corbel "
			"pool add-device {0}` makes more room.",
			pool, data);
	case Alarm::meta_full:
		return fmt::format(
			"Pool '{0}' has no room for metadata, of which it has {1}: what changes "
			"maps fails. Delete snapshots or volumes.",
			pool, meta);
	case Alarm::meta_low:
		return fmt::format(
			"Pool '{0}' has less than 1/16 of its {1} for metadata left. Delete "
			"snapshots that are not needed.",
			pool, meta);
	}
	return {};
}

} /* namespace corbel::volumes */
