// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb volume_activate_verb{
	.group = "volume",
	.name = "activate",
	.summary = "Make a device of a volume or snapshot, now and whenever its pool is started",
	.examples = "corbel volume activate vms/web          says its path\n"
		    "corbel volume activate vms/web@monday   which can be read only\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume", {"device"}); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, volume_activate_verb,
					      {declare_volume, "Volume", "volume", "active"});
		},
};

} /* namespace corbel::cli */
