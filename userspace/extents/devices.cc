// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.hh"

#include <libcorbel/text_file.hh>

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

/* "8:16" */
std::optional<dev_t> parse_device(const std::string &text)
{
	unsigned major = 0, minor = 0;
	char colon = 0;
	std::istringstream in(text);

	if (!(in >> major >> colon >> minor) || colon != ':')
		return std::nullopt;
	return makedev(major, minor);
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
						     "does not tell where things lie: partitions "
						     "and linear volumes do.",
						     found.name)))
			       : extents;
	for (const auto &row : CORBEL_EXPECT(devices.table(device))) {
		const auto below = parse_linear(row);

		if (!below && CORBEL_EXPECT(lies_on(devices, device, lun, depth)))
			return failure(EOPNOTSUPP,
				       fmt::format("{} has a target '{}' of device-mapper, which "
						   "does not tell where things lie: partitions and "
						   "linear volumes do.",
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

void describe(Devices &devices, dev_t device, int depth, std::string &text)
{
	const auto found = devices.look(device);

	text += fmt::format("{}:{}", major(device), minor(device));
	if (!found || depth == deepest)
		return;
	text += fmt::format(" {}\n", found->bytes);
	if (found->whole) {
		text += fmt::format("from {} of ", found->start);
		describe(devices, *found->whole, depth + 1, text);
	}
	if (found->mapped)
		if (const auto rows = devices.table(device))
			for (const auto &row : *rows)
				text += fmt::format("{} {} {} {}\n", row.first, row.sectors,
						    row.target, row.parameters);
	for (const auto below : found->below)
		describe(devices, below, depth + 1, text);
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

std::string describe_chain(Devices &devices, dev_t device)
{
	std::string text;

	describe(devices, device, 0, text);
	return text;
}

std::string kind_of_device(const Device &device)
{
	if (device.whole)
		return "partition";
	return device.mapped ? "linear volume" : "whole device";
}

} /* namespace corbel::extents */
