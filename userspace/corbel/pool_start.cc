// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb pool_start_verb{
	.group = "pool",
	.name = "start",
	.summary = "Let the kernel have a pool, and its volumes that were active",
	.examples = "corbel pool start vms             now, and whenever the daemon begins\n"
		    "corbel pool start vms --dry-run   are its devices all there?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("pool", {"warnings"}); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, pool_start_verb,
					      {declare_pool, "Pool", "pool", "started"});
		},
};

} /* namespace corbel::cli */
