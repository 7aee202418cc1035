// SPDX-License-Identifier: GPL-2.0-or-later
#include "qos_handlers.hh"

#include "arguments.hh"

#include "../pool/names.hh"
#include "../qos/guest_disk.hh"

#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using workloads::Luns;
using workloads::ObjectRecord;
using workloads::Objects;
using workloads::Policies;

std::uint64_t number(const Json &arguments, std::string_view key, std::uint64_t usual = 0)
{
	return arguments.value(std::string(key), usual);
}

Result<Json> add(Luns &luns, const Json &arguments)
{
	workloads::LunWish wish{.name = text(arguments, "lun"),
				.device = text(arguments, "device"),
				.depth = number(arguments, "depth"),
				.io_bytes = workloads::usual_io_bytes,
				.force = arguments.value("force", false)};
	struct stat status{};

	if (::stat(wish.device.c_str(), &status) == 0 && !S_ISBLK(status.st_mode))
		return failure(ENOTBLK, fmt::format("{} is no block device.", wish.device));
	if (arguments.contains("io-bytes"))
		wish.io_bytes = CORBEL_EXPECT(pool::parse_size(text(arguments, "io-bytes")));
	return luns.add(wish, is_dry(arguments));
}

/* A rate of bytes is a size, any other a number. */
Result<std::uint64_t> rate(const Json &arguments, const std::string &key, bool is_bytes)
{
	if (!arguments.contains(key))
		return 0;
	return is_bytes ? pool::parse_size(text(arguments, key.c_str())) : number(arguments, key);
}

/* What it is to be, without its name. */
Json settings_in(Json arguments)
{
	for (const char *key : {"name", "dry-run"})
		arguments.erase(key);
	return arguments;
}

Result<Json> policy(Policies &policies, const Json &arguments)
{
	workloads::PolicyRecord wish;
	const bool deletes = arguments.value("delete", false);
	auto settings = settings_in(arguments);

	settings.erase("delete");
	wish.name = text(arguments, "name");
	if (wish.name.empty() && (deletes || !settings.empty()))
		return failure(EINVAL, "No policy is named.");
	if (deletes && !settings.empty())
		return failure(EINVAL, "A policy is either deleted or made.");
	if (deletes)
		return policies.erase(wish.name, is_dry(arguments));
	if (settings.empty())
		return policies.show(wish.name);
	for (std::size_t i = 0; i < workloads::limit_names.size(); i++) {
		const auto &[option, key, setting, is_bytes] = workloads::limit_names[i];
		const std::string name(option);

		wish.limits[i] = {CORBEL_EXPECT(rate(arguments, name, is_bytes)),
				  CORBEL_EXPECT(rate(arguments, name + "-burst", is_bytes))};
	}
	wish.floor = number(arguments, "floor");
	wish.weight = number(arguments, "weight", workloads::usual_weight);
	wish.priority = arguments.value("class", wish.priority);
	if (arguments.contains("latency"))
		wish.latency_us =
			CORBEL_EXPECT(workloads::parse_latency(text(arguments, "latency")));
	return policies.put(wish, is_dry(arguments));
}

Result<Json> attach(Objects &objects, const qemu::Inventory &inventory, const Json &arguments)
{
	ObjectRecord wish;
	const bool has_ranges = arguments.contains("range");

	wish.lun = text(arguments, "lun");
	wish.name = text(arguments, "object");
	wish.policy = text(arguments, "policy");
	wish.shared = arguments.value("shared", false);
	wish.histograms = arguments.value("histograms", false);
	wish.path = text(arguments, "disk");
	wish.format = text(arguments, "format");
	wish.partition = number(arguments, "partition");
	if (has_ranges)
		for (const auto &range : arguments.at("range"))
			wish.ranges.push_back(CORBEL_EXPECT(workloads::parse_range(range)));
	if (arguments.contains("part"))
		wish.part = CORBEL_EXPECT(workloads::parse_range(text(arguments, "part")));
	if (wish.part && wish.partition)
		return failure(EINVAL, "A part of a disk is told by --partition or by --part.");
	if (has_ranges && (wish.part || wish.partition || !wish.format.empty()))
		return failure(EINVAL, "--range says itself which part of the LUN is meant: "
				       "--partition, --part and --format are of a disk.");
	if (arguments.contains("vm")) {
		const auto disk = CORBEL_EXPECT(
			workloads::find_guest_disk(inventory.snapshot(), text(arguments, "vm")));

		if (!wish.format.empty() && wish.format != disk.format)
			return failure(EINVAL,
				       fmt::format("The VM has that disk as {}.", disk.format));
		wish.path = disk.path;
		wish.format = disk.format;
		wish.vm = disk.vm;
		wish.disk = disk.disk;
	}
	return objects.attach(std::move(wish), is_dry(arguments));
}

Result<Json> heatmap(Objects &objects, const Json &arguments)
{
	workloads::HeatWish wish{.lun = text(arguments, "lun"),
				 .object = text(arguments, "object"),
				 .cell_bytes = 0,
				 .on = arguments.value("on", false),
				 .off = arguments.value("off", false)};

	if (wish.on && wish.off)
		return failure(EINVAL, "A heat map is either switched on or off.");
	if ((wish.on || wish.off) && !wish.object.empty())
		return failure(EINVAL, "A heat map is switched on and off for all of a LUN.");
	if (arguments.contains("cell") && !wish.on)
		return failure(EINVAL, "--cell is for --on: a heat map has the cells that it was "
				       "begun with.");
	if (arguments.contains("cell"))
		wish.cell_bytes = CORBEL_EXPECT(pool::parse_size(text(arguments, "cell")));
	return objects.heatmap(wish, is_dry(arguments));
}

} /* namespace */

void add_qos_handlers(Dispatcher &dispatcher, Luns &luns, Objects &objects,
		      qemu::Inventory &inventory)
{
	dispatcher.add_object(cli::qos_add_verb,
			      [&](const Json &arguments) { return add(luns, arguments); });
	dispatcher.add_object(cli::qos_remove_verb, [&](const Json &arguments) {
		return luns.remove(text(arguments, "lun"), arguments.value("yes", false),
				   is_dry(arguments));
	});
	dispatcher.add_object(cli::qos_list_verb, [&](const Json &) { return luns.list(); });
	dispatcher.add_object(cli::qos_policy_verb, [&](const Json &arguments) {
		Policies policies(luns);

		return policy(policies, arguments);
	});
	dispatcher.let_look(cli::qos_policy_verb,
			    [](const Json &arguments) { return settings_in(arguments).empty(); });
	dispatcher.let_look(cli::qos_heatmap_verb, [](const Json &arguments) {
		return !arguments.value("on", false) && !arguments.value("off", false);
	});
	dispatcher.add_object(cli::qos_attach_verb, [&](const Json &arguments) {
		return attach(objects, inventory, arguments);
	});
	dispatcher.add_object(cli::qos_detach_verb, [&](const Json &arguments) {
		return objects.detach(text(arguments, "lun"), text(arguments, "object"),
				      is_dry(arguments));
	});
	dispatcher.add(
		cli::qos_show_verb, [&](const Json &arguments, Reply &reply) -> Result<void> {
			send_in_pieces(CORBEL_EXPECT(objects.show(
					       text(arguments, "lun"), text(arguments, "object"),
					       arguments.value("histograms", false))),
				       "objects", reply);
			return {};
		});
	dispatcher.add_object(cli::qos_heatmap_verb,
			      [&](const Json &arguments) { return heatmap(objects, arguments); });
}

} /* namespace corbel::daemon */
