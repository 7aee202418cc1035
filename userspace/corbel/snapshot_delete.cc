// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb snapshot_delete_verb{
	.group = "snapshot",
	.name = "delete",
	.summary = "Delete a snapshot; what others have too stays",
	.examples = "corbel snapshot delete vms/web@monday --yes       which must not be active\n"
		    "corbel snapshot delete vms/web@monday --dry-run   could it be?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, snapshot_delete_verb,
					      {declare_snapshot, "Snapshot", "volume", "deleted"});
		},
};

} /* namespace corbel::cli */
