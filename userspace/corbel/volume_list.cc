// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_list_verb{
	.group = "volume",
	.name = "list",
	.summary = "Volumes of the pools that are started",
	.examples = "corbel volume list       of all of them\n"
		    "corbel volume list vms   of one\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return volumes_schema("volumes"); },
	.declare =
		[](OptionSet &set) {
			return declare_volumes(set, volume_list_verb, "volumes",
					       "There is no volume.");
		},
};

} /* namespace corbel::cli */
