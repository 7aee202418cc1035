// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string target;
	std::uint64_t vm_id = 0;
	bool dry_run = false;
	bool json = false;
};

Result<void> detach(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(
		open_session(device, options.target.empty() ? fmt::format("id:{}", options.vm_id)
							    : options.target));

	if (!session.info.pinned)
		return failure(ENOENT,
			       fmt::format("{} is not kept attached, so there is nothing to "
					   "undo: `corbel vm list` shows what is attached.",
					   printable(options.target.empty()
							     ? session.label()
							     : "'" + options.target + "'")));
	if (!options.dry_run)
		CORBEL_EXPECT(session.vm.unpin());

	/* Our own descriptor is one of them. */
	auto holders = CORBEL_EXPECT(session.vm.info()).nr_fds - 1;
	if (options.json) {
		Json json{{"vm_id", session.vm.id()},
			  {"remaining_fds", holders},
			  {"dry_run", options.dry_run},
			  {"changed", true}};

		fmt::print("{}\n", dump(json, 2));
	} else if (options.dry_run) {
		fmt::print("{} can be detached; nothing was changed.\n",
			   printable(session.label()));
	} else if (holders > 0) {
		fmt::print("{} is no longer kept attached; it ends when {} of other programs are "
			   "closed.\n",
			   printable(session.label()), show_number_of(holders, "descriptor"));
	} else {
		fmt::print("{} is detached.\n", printable(session.label()));
	}
	return {};
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"vm_id", s::count()},
				    {"remaining_fds", s::count("that keep the attachment")}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target_or_id(options->target, options->vm_id);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(detach(*options)); };
}

} /* namespace */

const Verb vm_detach_verb{
	.group = "vm",
	.name = "detach",
	.summary = "Undo `corbel vm attach`",
	.examples = "corbel vm detach web1     by the guest's name\n"
		    "corbel vm detach --id 3   by the number of the attachment",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
