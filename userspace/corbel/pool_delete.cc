// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string pool, confirm;
	bool force = false;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Pool", "pool", "deleted");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	set.text("--confirm", options->confirm, "POOL", "Its name again: that is meant",
		 check_pool_name);
	set.flag("--force", options->force,
		 "Also if it has volumes, which are lost, or devices that are not there");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_delete_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_delete_verb{
	.group = "pool",
	.name = "delete",
	.summary = "Delete a pool that is stopped: its devices are nobody's, what it holds is lost",
	.examples = "corbel pool delete vms --confirm vms   if it has no volumes\n"
		    "corbel pool delete vms --force         whatever it has\n"
		    "corbel pool delete vms --dry-run       could it be?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("pool", {"warnings"}); },
	.declare = declare,
};

} /* namespace corbel::cli */
