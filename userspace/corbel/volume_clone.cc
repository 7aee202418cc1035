// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_clone_verb{
	.group = "volume",
	.name = "clone",
	.summary = "Make a volume of what another or a snapshot holds now, in no time",
	.examples = "corbel volume clone vms/golden@v3 web7      as vms/web7\n"
		    "corbel volume clone vms/web try --dry-run   is the name free?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, volume_clone_verb,
					      {declare_volume, "Volume", "volume", "made",
					       "Of the new one, in the same pool"});
		},
};

} /* namespace corbel::cli */
