// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_rename_verb{
	.group = "volume",
	.name = "rename",
	.summary = "Call a volume, and its snapshots with it, by another name",
	.examples = "corbel volume rename vms/web old-web        it is deactivated before\n"
		    "corbel volume rename vms/#7 found           one that has lost its name\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, volume_rename_verb,
					      {declare_volume, "Volume", "volume", "called so",
					       "Its new one, in the same pool"});
		},
};

} /* namespace corbel::cli */
