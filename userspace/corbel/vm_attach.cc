// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string target;
	bool dry_run = false;
	bool json = false;
};

/*
 * Pinned last: if the observer cannot be had, the attachment made here ends with
 * its only descriptor and nothing stays behind.
 */
Result<void> attach(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	bool was_pinned = session.info.pinned != 0;

	if (!options.dry_run)
		CORBEL_EXPECT(session.vm.pin());
	auto info = CORBEL_EXPECT(session.vm.info());
	if (options.json) {
		Json json{{"name", session.name.empty() ? Json(nullptr) : Json(session.name)},
			  {"pinned_before", was_pinned},
			  {"dry_run", options.dry_run},
			  {"changed", !was_pinned}};

		json["vm"] = json_of(info);
		fmt::print("{}\n", dump(json, 2));
		return {};
	}
	if (options.dry_run) {
		fmt::print("{} {}; nothing was changed.\n", printable(session.label()),
			   was_pinned ? "is attached already" : "can be attached");
		return {};
	}
	fmt::print("{} is {}attached, with {}; it stays so until `corbel vm detach --id {}` or "
		   "its end.\n",
		   printable(session.label()), was_pinned ? "already " : "",
		   show_number_of(info.nr_vcpus, "vCPU"), session.vm.id());
	return {};
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"name", s::nullable(s::string())},
				    {"pinned_before", s::boolean()},
				    {"vm", s::vm()}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(attach(*options)); };
}

} /* namespace */

const Verb vm_attach_verb{
	.group = "vm",
	.name = "attach",
	.summary = "Observe a virtual machine from now on, also when this tool has ended",
	.examples = "corbel vm attach web1      by the guest's name\n"
		    "corbel vm attach 412       by the pid of its process\n"
		    "corbel vm attach 412:11    one of several that process 412 runs",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
