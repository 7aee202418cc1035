// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_deactivate_verb{
	.group = "volume",
	.name = "deactivate",
	.summary = "Take away the device of a volume that nobody uses",
	.examples = "corbel volume deactivate vms/web             its contents stay\n"
		    "corbel volume deactivate vms/web --dry-run   is it in use?\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, volume_deactivate_verb,
					      {declare_volume, "Volume", "volume", "not active"});
		},
};

} /* namespace corbel::cli */
