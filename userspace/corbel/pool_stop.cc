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
	std::string pool;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Pool", "pool", "stopped");
}

Json describe()
{
	return changed_schema("pool");
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_stop_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_stop_verb{
	.group = "pool",
	.name = "stop",
	.summary = "Take a pool and its volumes from the kernel, if nobody uses them",
	.examples = "corbel pool stop vms             before its devices go elsewhere\n"
		    "corbel pool stop vms --dry-run   is anything in use?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
