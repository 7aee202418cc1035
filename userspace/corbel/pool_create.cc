// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string name, meta;
	std::vector<std::string> data;
	std::string block_size = "64K";
	bool force = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Pool", "pool", "made and started");
}

Json describe()
{
	return changed_schema("pool", {"uuid"});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("name", options->name, "NAME", "Of the pool", check_pool_name);
	set.last_is_required();
	set.text("--meta", options->meta, "DEV", "Absolute path of the device for its metadata",
		 check_path);
	set.last_is_required();
	set.texts("--data", options->data, "DEV[:TIER]",
		  "One for its data, with a label that says what it is good for", check_path);
	set.last_is_required();
	set.text("--block-size", options->block_size, "SIZE",
		 "A power of two, 4K to 1M; what is mapped, shared and moved as one", check_size);
	set.flag("--force", options->force, "Take devices that hold something, which is lost");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_create_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_create_verb{
	.group = "pool",
	.name = "create",
	.summary = "Make a pool of a device for metadata and others for data, and start it",
	.examples =
		"corbel pool create vms --meta /dev/nvme0n1p4 --data /dev/sdb                            one device\n"
		"corbel pool create vms --meta /dev/vg/m --data /dev/nvme1n1:fast --data /dev/sdb:slow   two tiers\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
