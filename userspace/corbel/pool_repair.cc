// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include "../pool/repair.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string meta;
	bool dry_run = false;
	bool json = false;
};

void show(const pool::Repair &repair, bool dry_run)
{
	if (!repair.changed) {
		fmt::print("All of it fits together; nothing was changed.\n");
		return;
	}
	for (const auto &sentence : repair.done)
		fmt::print("{}\n", sentence);
	if (dry_run)
		fmt::print("So it would be, with {} blocks written; nothing was changed.\n",
			   repair.blocks);
	else
		fmt::print("It fits together now, as generation {}. The state before is there "
			   "until the next change.\n",
			   repair.generation);
}

Result<ExitCode> repair(const Options &options)
{
	using Use = pool::MetaDevice::Use;
	const auto device = CORBEL_EXPECT(
		pool::MetaDevice::open(options.meta, options.dry_run ? Use::read : Use::write));
	const auto repair = CORBEL_EXPECT(
		pool::repair(*device, device->blocks(), options.meta, options.dry_run));

	if (options.json)
		fmt::print("{}\n", dump(Json{{"found", repair.found},
					     {"done", repair.done},
					     {"generation", repair.generation},
					     {"blocks", repair.blocks},
					     {"dry_run", options.dry_run},
					     {"changed", repair.changed}},
					2));
	else
		show(repair, options.dry_run);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(
		s::object({{"found", s::count("what the check before has found")},
			   {"done", s::array(s::string(), "what was rebuilt, or would be")},
			   {"generation", s::count("of the state that it comes to")},
			   {"blocks", s::count("of metadata that it writes")}}),
		s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_meta(set, options->meta);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(repair(*options)); };
}

} /* namespace */

const Verb pool_repair_verb{
	.group = "pool",
	.name = "repair",
	.summary = "Rebuild counts, the reverse map and totals of a pool from what is whole",
	.examples =
		"corbel pool repair /dev/vg/meta --dry-run   can it be, and what would be done?\n"
		"corbel pool repair /dev/vg/meta             do it, or change nothing",
	.exit_codes = "1 if it cannot be made whole: then nothing was changed.",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
