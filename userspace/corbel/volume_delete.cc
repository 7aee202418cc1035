// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_delete_verb{
	.group = "volume",
	.name = "delete",
	.summary = "Delete a volume, whose contents are lost unless a snapshot or clone has them",
	.examples = "corbel volume delete vms/web --yes       which must not be active\n"
		    "corbel volume delete vms/web --dry-run   could it be?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, volume_delete_verb,
					      {declare_volume, "Volume", "volume", "deleted"});
		},
};

} /* namespace corbel::cli */
