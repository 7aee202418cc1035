// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

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
	.schema = [] { return changed_schema("pool"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, pool_stop_verb,
					      {declare_pool, "Pool", "pool", "stopped"});
		},
};

} /* namespace corbel::cli */
