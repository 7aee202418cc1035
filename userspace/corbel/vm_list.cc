// SPDX-License-Identifier: GPL-2.0-or-later
#include "inventory.hh"
#include "quantity.hh"
#include "schema.hh"
#include "verb.hh"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

ExitCode list(bool as_json)
{
	auto inventory = take_inventory();

	if (!inventory)
		return report(inventory.error());
	fmt::print("{}",
		   as_json ? dump(json_of(*inventory), 2) + "\n" : show_inventory(*inventory));
	if (inventory->unreadable)
		fmt::print(stderr,
			   "corbel: {} did not show their descriptors and may run guests "
			   "too: run this as root.\n",
			   inventory->unreadable == 1
				   ? "1 process"
				   : fmt::format("{} processes", inventory->unreadable));
	if (inventory->no_module)
		fmt::print(stderr, "corbel: It is not known which guests are attached. {}\n",
			   inventory->no_module->sentence);
	return inventory->complete() ? ExitCode::ok : ExitCode::partial;
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"guests",
		  s::array(s::object(
			  {{"pid", s::count()},
			   {"name", s::string()},
			   {"process", s::string()},
			   {"vcpus", s::count()},
			   {"vms",
			    s::array(s::object({{"fd", s::count("its descriptor in the process")},
						{"attached", s::boolean()},
						{"vm_id", s::nullable(s::count())}}))}}))},
		 {"attachments", s::nullable(s::array(s::vm()))},
		 {"unreadable_processes", s::count()},
		 {"error", s::string("why the attachments are not known"), true}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto json = std::make_shared<bool>(false);

	set.json(*json);
	return [json] { return list(*json); };
}

} /* namespace */

const Verb vm_list_verb{
	.group = "vm",
	.name = "list",
	.summary = "KVM guests that run here, and which of them are attached",
	.examples = "corbel vm list          a table\n"
		    "corbel vm list --json   guests and attachments for scripts",
	.exit_codes = "3: the list is not complete, stderr says why.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
