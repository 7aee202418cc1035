// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "verb.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

const Verb snapshot_rollback_verb{
	.group = "snapshot",
	.name = "rollback",
	.summary = "Let a volume hold again what its snapshot does; what came since is lost",
	.examples =
		"corbel snapshot rollback vms/web@monday --yes       vms/web must not be active\n"
		"corbel snapshot rollback vms/web@monday --dry-run   is it?\n",
	.effect = Effect::destroy,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = [] { return changed_schema("volume"); },
	.declare =
		[](OptionSet &set) {
			return declare_change(
				set, snapshot_rollback_verb,
				{declare_snapshot, "Volume", "volume", "rolled back"});
		},
};

} /* namespace corbel::cli */
