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
	std::string volume, size;
	bool dry_run = false;
	bool json = false;
};

ExitCode show(const Json &answer)
{
	return show_changed(answer, "Volume", "volume", "of that size");
}

Json describe()
{
	return changed_schema("volume", {"bytes"});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_volume(set, options->volume);
	declare_size(set, options->size, "All of it, such as 40G");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(volume_resize_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb volume_resize_verb{
	.group = "volume",
	.name = "resize",
	.summary = "Make a volume larger, or smaller if nothing lies behind its new end",
	.examples = "corbel volume resize vms/web 40G             also of one that is in use\n"
		    "corbel volume resize vms/web 10G --dry-run   is it active?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
