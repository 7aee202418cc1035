// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.hh"

#include <libcorbel/text_file.hh>

#include <volumes/data_device.hh>

#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t sector = 512;
/* Nothing is so deep; whoever changes tables while we look shall not lead us in a circle. */
constexpr int deepest = 32;

std::optional<std::uint64_t> number_in(const fs::path &path)
{
	const auto line = first_line_of(path);
	std::uint64_t number = 0;

	if (!line ||
	    std::from_chars(line->data(), line->data() + line->size(), number).ec != std::errc())
		return std::nullopt;
	return number;
}

class KernelDevices final : public Devices {
public:
	Result<Device> look(dev_t number) override
	{
		std::error_code error;
		const auto folder = fs::canonical(
			fmt::format("/sys/dev/block/{}:{}", major(number), minor(number)), error);
		const auto sectors = number_in(folder / "size");

		if (error || !sectors)
			return failure(ENODEV, fmt::format("There is no block device {}:{}.",
							   major(number), minor(number)));
		Device found{folder.filename(), *sectors * sector, {}, 0, false, {}};
		found.mapped = fs::exists(folder / "dm", error);
		if (fs::exists(folder / "partition", error)) {
			found.whole = parse_device(
				first_line_of(folder.parent_path() / "dev").value_or(""));
			found.start = number_in(folder / "start").value_or(0) * sector;
		}
		for (const auto &entry : fs::directory_iterator(folder / "slaves", error))
			if (const auto below =
				    parse_device(first_line_of(entry.path() / "dev").value_or("")))
				found.below.push_back(*below);
		std::ranges::sort(found.below);
		return found;
	}
	Result<std::vector<volumes::Row>> table(dev_t number) override
	{
		return volumes::table_of(major(number), minor(number));
	}
	PoolAsker pool(dev_t number) override
	{
		return {[=](const std::string &message) {
				return volumes::ask(major(number), minor(number), message);
			},
			[=] { return volumes::status_of(major(number), minor(number)); },
			[this](dev_t device) { return data_start(device); }};
	}

private:
	/* By the name that the kernel has for it: links are udev's, where there is one. */
	Result<std::uint64_t> data_start(dev_t device)
	{
		auto name = CORBEL_EXPECT(look(device)).name;

		std::ranges::replace(name, '!', '/');
		return CORBEL_EXPECT(volumes::read_label("/dev/" + name)).data_start;
	}
};

/* "8:16 2048 ...": targets that put one thing behind the other. */
std::optional<std::pair<dev_t, std::uint64_t>> parse_linear(const volumes::Row &row)
{
	std::istringstream in(row.parameters);
	std::string device;
	std::uint64_t start = 0;

	if (row.target != "linear" && row.target != "corbel-qos")
		return std::nullopt;
	if (!(in >> device >> start) || start > UINT64_MAX / sector)
		return std::nullopt;
	if (const auto number = parse_device(device))
		return std::pair{*number, start * sector};
	return std::nullopt;
}

/* "254:3 5": a volume of the pool whose device that is. */
std::optional<std::pair<dev_t, std::uint64_t>> parse_volume(const volumes::Row &row)
{
	std::istringstream in(row.parameters);
	std::string pool;
	std::uint64_t volume = 0;

	if (row.target != "corbel-volume" || !(in >> pool >> volume))
		return std::nullopt;
	if (const auto number = parse_device(pool))
		return std::pair{*number, volume};
	return std::nullopt;
}

Result<bool> lies_on(Devices &devices, dev_t device, dev_t lun, int depth)
{
	if (device == lun)
		return true;
	if (depth == deepest)
		return false;
	const auto found = CORBEL_EXPECT(devices.look(device));
	if (found.whole)
		return lies_on(devices, *found.whole, lun, depth + 1);
	for (const auto below : found.below)
		if (CORBEL_EXPECT(lies_on(devices, below, lun, depth + 1)))
			return true;
	return false;
}

Result<std::vector<Extent>> place(Devices &devices, dev_t device, dev_t lun, int depth);

/* A volume of a pool, which lies on data devices block by block. */
Result<std::vector<Extent>> place_volume(Devices &devices, const volumes::Row &row, dev_t pool,
					 std::uint64_t volume, dev_t lun, int depth)
{
	std::vector<Extent> extents;

	for (const auto &part : CORBEL_EXPECT(read_volume_map(devices.pool(pool), volume))) {
		const auto map = CORBEL_EXPECT(place(devices, part.device, lun, depth + 1));
		const auto there = CORBEL_EXPECT(
			through({{row.first * sector, 0, row.sectors * sector}}, part.map));
		const auto here = CORBEL_EXPECT(through(there, map));

		extents.insert(extents.end(), here.begin(), here.end());
	}
	return extents;
}

Result<std::vector<Extent>> place(Devices &devices, dev_t device, dev_t lun, int depth)
{
	const auto found = CORBEL_EXPECT(devices.look(device));
	std::vector<Extent> extents;

	if (device == lun)
		return std::vector{Extent{0, 0, found.bytes}};
	if (depth == deepest)
		return failure(ELOOP, fmt::format("{} lies on more than {} devices, one on the "
						  "other.",
						  found.name, deepest));
	if (found.whole)
		return through({{0, found.start, found.bytes}},
			       CORBEL_EXPECT(place(devices, *found.whole, lun, depth + 1)));
	if (!found.mapped)
		return CORBEL_EXPECT(lies_on(devices, device, lun, depth))
			       ? Result<std::vector<Extent>>(failure(
					 EOPNOTSUPP,
					 fmt::format("{} is made of other devices in a way that "
						     "does not tell where things lie: partitions, "
						     "linear volumes and those of a pool do.",
						     found.name)))
			       : extents;
	for (const auto &row : CORBEL_EXPECT(devices.table(device))) {
		const auto below = parse_linear(row);

		if (const auto volume = parse_volume(row)) {
			/* All of the map is not read for nothing. */
			if (!CORBEL_EXPECT(lies_on(devices, volume->first, lun, depth)))
				continue;
			const auto here = CORBEL_EXPECT(place_volume(devices, row, volume->first,
								     volume->second, lun, depth));
			extents.insert(extents.end(), here.begin(), here.end());
			continue;
		}
		if (!below && CORBEL_EXPECT(lies_on(devices, device, lun, depth)))
			return failure(EOPNOTSUPP,
				       fmt::format("{} has a target '{}' of device-mapper, which "
						   "does not tell where things lie: partitions, "
						   "linear volumes and those of a pool do.",
						   found.name, row.target));
		if (!below)
			continue;
		const auto map = CORBEL_EXPECT(place(devices, below->first, lun, depth + 1));
		const auto here = CORBEL_EXPECT(
			through({{row.first * sector, below->second, row.sectors * sector}}, map));
		extents.insert(extents.end(), here.begin(), here.end());
	}
	return extents;
}

void describe(Devices &devices, dev_t device, int depth, Chain &chain)
{
	const auto found = devices.look(device);
	auto &text = chain.text;

	text += fmt::format("{}:{}", major(device), minor(device));
	if (!found || depth == deepest)
		return;
	text += fmt::format(" {}\n", found->bytes);
	if (found->whole) {
		text += fmt::format("from {} of ", found->start);
		describe(devices, *found->whole, depth + 1, chain);
	}
	if (found->mapped)
		if (const auto rows = devices.table(device))
			for (const auto &row : *rows) {
				text += fmt::format("{} {} {} {}\n", row.first, row.sectors,
						    row.target, row.parameters);
				if (const auto volume = parse_volume(row)) {
					chain.on_pool = true;
					text += fmt::format(
						"layout {}\n",
						read_volume_layout(devices.pool(volume->first),
								   volume->second)
							.value_or(0));
				}
			}
	for (const auto below : found->below)
		describe(devices, below, depth + 1, chain);
}

} /* namespace */

Devices &kernel_devices()
{
	static KernelDevices devices;

	return devices;
}

Result<std::vector<Extent>> place_device(Devices &devices, dev_t device, dev_t lun)
{
	return joined(CORBEL_EXPECT(place(devices, device, lun, 0)));
}

Chain describe_chain(Devices &devices, dev_t device)
{
	Chain chain;

	describe(devices, device, 0, chain);
	return chain;
}

Result<std::string> kind_of_device(Devices &devices, dev_t number)
{
	const auto device = CORBEL_EXPECT(devices.look(number));

	if (device.whole)
		return "partition";
	if (!device.mapped)
		return "whole device";
	const auto rows = CORBEL_EXPECT(devices.table(number));
	return std::ranges::any_of(rows,
				   [](const auto &row) { return row.target == "corbel-volume"; })
		       ? "volume of a pool"
		       : "linear volume";
}

} /* namespace corbel::extents */
