// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb snapshot_list_verb{
	.group = "snapshot",
	.name = "list",
	.summary = "Snapshots of the pools that are started",
	.examples = "corbel snapshot list       of all of them\n"
		    "corbel snapshot list vms   of one\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return volumes_schema("snapshots"); },
	.declare =
		[](OptionSet &set) {
			return declare_volumes(set, snapshot_list_verb, "snapshots",
					       "There is no snapshot.");
		},
};

} /* namespace corbel::cli */
