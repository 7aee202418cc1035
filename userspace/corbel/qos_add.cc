// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "qos_text.hh"
#include "verb.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string lun, device, io_bytes;
	std::uint64_t depth = 0;
	bool force = false;
	bool dry_run = false;
	bool json = false;
};

Result<void> check_device(const std::string &text)
{
	if (text.starts_with('/'))
		return {};
	return failure(EINVAL, fmt::format("'{}' is not an absolute path; the daemon has a folder "
					   "of its own.",
					   text));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("lun", options->lun, "LUN", "How it shall be called", check_qos_name);
	set.last_is_required();
	set.text("device", options->device, "DEVICE",
		 "Absolute path; one that stays, as of /dev/disk/by-id, as it is remembered",
		 check_device);
	set.last_is_required();
	set.count("--depth", options->depth, "N",
		  "I/Os that it has at a time, which floors, weights, classes and latencies need");
	set.text("--io-bytes", options->io_bytes, "SIZE", "What counts as one I/O, 32K by default",
		 check_size);
	set.flag("--force", options->force, "Take one that holds something, which stays as it is");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(qos_add_verb, arguments, options->json, [](const Json &answer) {
			return show_changed(answer, "Device", "lun", "under QoS");
		});
	};
}

} /* namespace */

const Verb qos_add_verb{
	.group = "qos",
	.name = "add",
	.summary = "Put a device under QoS, before it is mounted or given to anybody",
	.examples =
		"corbel qos add lun0 /dev/disk/by-id/wwn-0x5000c500a1b2c3d4          limits and counters\n"
		"corbel qos add lun0 /dev/disk/by-id/wwn-0x5000c500a1b2c3d4 --depth 32   floors and weights as well\n"
		"corbel qos add lun0 /dev/sdb --force                                it holds a file system\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("lun", {"device"}); },
	.declare = declare,
};

} /* namespace corbel::cli */
