// SPDX-License-Identifier: GPL-2.0-or-later
#include "volume_map.hh"

#include <volumes/target.hh>

#include <sys/sysmacros.h>

#include <cerrno>
#include <map>
#include <sstream>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

using volumes::DeviceStatus;
using volumes::MappedRun;

constexpr int attempts = 3;

Result<std::vector<MappedRun>> read_runs(const PoolAsker &pool, std::uint64_t volume)
{
	std::vector<MappedRun> runs;

	CORBEL_EXPECT(volumes::read_pages(
		fmt::format("map {}", volume), pool.ask, volumes::parse_map,
		[&](const volumes::VolumeMap &page) -> Result<void> {
			if (runs.size() + page.runs.size() > most_extents)
				return too_many_extents();
			runs.insert(runs.end(), page.runs.begin(), page.runs.end());
			return {};
		}));
	return runs;
}

} /* namespace */

std::optional<dev_t> parse_device(const std::string &text)
{
	unsigned major = 0, minor = 0;
	char colon = 0;
	std::istringstream in(text);

	if (!(in >> major >> colon >> minor) || colon != ':')
		return std::nullopt;
	return makedev(major, minor);
}

Result<std::uint64_t> read_volume_layout(const PoolAsker &pool, std::uint64_t volume)
{
	const auto numbers = CORBEL_EXPECT(
		volumes::parse_numbers(CORBEL_EXPECT(pool.ask(fmt::format("layout {}", volume)))));

	if (numbers.size() != 1)
		return failure(EPROTO, "The kernel does not tell the layout of a volume: "
				       "dm-corbel.ko is of another version.");
	return numbers.front();
}

Result<std::vector<PartOnDevice>> read_volume_map(const PoolAsker &pool, std::uint64_t volume)
{
	std::vector<MappedRun> runs;

	for (int attempt = 0; attempt < attempts; attempt++) {
		const auto before = CORBEL_EXPECT(read_volume_layout(pool, volume));

		runs = CORBEL_EXPECT(read_runs(pool, volume));
		if (CORBEL_EXPECT(read_volume_layout(pool, volume)) == before)
			break;
	}
	/* Behind the map: devices that it names are there. */
	const auto status = CORBEL_EXPECT(volumes::parse_pool_status(CORBEL_EXPECT(pool.status())));
	const auto block = status.block_bytes();
	struct On {
		dev_t device;
		std::uint64_t start;
		std::vector<Extent> map;
	};
	std::map<std::uint32_t, On> devices;

	for (const auto &each : status.devices) {
		const auto number = parse_device(each.device);

		if (!number)
			return failure(EPROTO, fmt::format("The kernel calls a device of a pool "
							   "'{}', which is no number of one.",
							   each.device));
		devices[each.number] = {*number, CORBEL_EXPECT(pool.data_start(*number)), {}};
	}
	for (const auto &run : runs) {
		const auto on = devices.find(run.device);

		if (on == devices.end())
			return failure(EAGAIN, "A pool has lost a device while it was looked at.");
		on->second.map.push_back(
			{run.lba * block, on->second.start + run.block * block, run.count * block});
	}
	std::vector<PartOnDevice> parts;
	for (auto &[number, on] : devices)
		if (!on.map.empty())
			parts.push_back({on.device, joined(std::move(on.map))});
	return parts;
}

} /* namespace corbel::extents */
