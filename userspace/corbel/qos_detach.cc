// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "qos_text.hh"
#include "schema.hh"
#include "verb.hh"

#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string lun, object;
	bool dry_run = false;
	bool json = false;
};

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_lun(set, options->lun);
	declare_object(set, options->object);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(
			qos_detach_verb, arguments, options->json, [](const Json &answer) {
				return show_changed(answer, "Object", "object", "detached");
			});
	};
}

} /* namespace */

const Verb qos_detach_verb{
	.group = "qos",
	.name = "detach",
	.summary = "Take the policy from an object; what it had of the LUN is rest again",
	.examples = "corbel qos detach lun0 web   nothing that waits is lost\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema =
		[] {
			return schema::joined(schema::object({{"lun", schema::string()}}),
					      changed_schema("object"));
		},
	.declare = declare,
};

} /* namespace corbel::cli */
