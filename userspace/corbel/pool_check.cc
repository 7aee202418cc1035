// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include "../pool/findings.hh"

#include <libcorbel/uuid.hh>

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string meta;
	bool json = false;
};

Json json_of(const pool::Findings &findings)
{
	const auto &super = findings.survey.super;
	Json first = Json::array();

	for (const auto &[what, sentence] : findings.first)
		first.push_back({{"what", what}, {"sentence", sentence}});
	return {{"uuid", uuid_text(super.uuid)},     {"generation", super.header.generation},
		{"volumes", super.volumes},	     {"mapped", super.mapped},
		{"complete", findings.complete},     {"total", findings.total},
		{"by_what", Json(findings.by_what)}, {"findings", first}};
}

void show(const pool::Findings &findings, const std::string &meta)
{
	const auto &super = findings.survey.super;

	fmt::print("pool {}, generation {}: {} volumes, {} blocks mapped\n", uuid_text(super.uuid),
		   super.header.generation, super.volumes, super.mapped);
	for (const auto &[what, sentence] : findings.first)
		fmt::print("{}: {}\n", what, sentence);
	if (findings.total > findings.first.size())
		fmt::print("... and {} more\n", findings.total - findings.first.size());
	if (findings.total == 0) {
		fmt::print("All of it fits together.\n");
		return;
	}
	for (const auto &[what, count] : findings.by_what)
		fmt::print("{:>8} {}\n", count, what);
	if (!findings.complete)
		fmt::print("The rest could not be looked at for that.\n");
	fmt::print("`corbel pool repair {} --dry-run` says what can be rebuilt.\n", meta);
}

Result<ExitCode> check(const Options &options)
{
	const auto device =
		CORBEL_EXPECT(pool::MetaDevice::open(options.meta, pool::MetaDevice::Use::read));
	const auto findings = CORBEL_EXPECT(pool::check(*device, device->blocks(), options.meta));

	if (options.json)
		fmt::print("{}\n", dump(json_of(findings), 2));
	else
		show(findings, options.meta);
	return findings.total ? ExitCode::partial : ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"uuid", s::string("of the pool")},
			  {"generation", s::count("of the state that was looked at")},
			  {"volumes", s::count("as the superblock says")},
			  {"mapped", s::count("blocks in use, as the superblock says")},
			  {"complete", s::boolean("all of it could be looked at")},
			  {"total", s::count("findings; 0: it fits together")},
			  {"by_what", s::dictionary(s::count(), "how many of each class")},
			  {"findings", s::array(s::object({{"what", s::string("its class")},
							   {"sentence", s::string()}}),
						"the first 200")}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_meta(set, options->meta);
	set.json(options->json);
	return [options] { return exit_code_of(check(*options)); };
}

} /* namespace */

const Verb pool_check_verb{
	.group = "pool",
	.name = "check",
	.summary = "Hold everything that a pool's metadata says against everything else",
	.examples = "corbel pool check /dev/vg/meta          of a pool that is not started\n"
		    "corbel pool check copy.img --json | jq .total   of a copy, for scripts",
	.exit_codes = "1: it could not be looked at. 3: something does not fit together.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
