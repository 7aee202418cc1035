// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "options.hh"
#include "quantity.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string target;
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

	CORBEL_EXPECT(session.vm.pin());
	auto info = CORBEL_EXPECT(session.vm.info());
	if (options.json) {
		Json json{{"name", session.name.empty() ? Json(nullptr) : Json(session.name)},
			  {"pinned_before", was_pinned}};

		json["vm"] = json_of(info);
		fmt::print("{}\n", dump(json, 2));
		return {};
	}
	fmt::print("{} is {}attached, with {}; it stays so until `corbel vm detach --id {}` or "
		   "its end.\n",
		   printable(session.label()), was_pinned ? "already " : "",
		   show_number_of(info.nr_vcpus, "vCPU"), session.vm.id());
	return {};
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.flag("--json", options->json, "One JSON object instead of text");
	return [options] {
		auto done = attach(*options);

		return done ? ExitCode::ok : report(done.error());
	};
}

} /* namespace */

const Verb vm_attach_verb{
	.group = "vm",
	.name = "attach",
	.summary = "Observe a virtual machine from now on, also when this tool has ended",
	.examples = "corbel vm attach web1      by the guest's name\n"
		    "corbel vm attach 412       by the pid of its process\n"
		    "corbel vm attach 412:11    one of several that process 412 runs",
	.exit_codes = "",
	.declare = declare,
};

} /* namespace corbel::cli */
