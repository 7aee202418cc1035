// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "qos_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb qos_remove_verb{
	.group = "qos",
	.name = "remove",
	.summary = "Take a device out from under QoS; what is on it stays as it is",
	.examples = "corbel qos remove lun0         it must not be in use\n"
		    "corbel qos remove lun0 --yes   and its objects are forgotten\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("lun"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(set, qos_remove_verb,
					      {declare_lun, "Device", "lun", "out from under QoS"});
		},
};

} /* namespace corbel::cli */
