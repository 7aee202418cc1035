// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string a, b;
	bool json = false;
};

void print(const Json &range, bool json)
{
	if (json)
		fmt::print("{}\n", dump(range));
	else
		fmt::print("{} {} {}\n", range.at("offset").get<std::uint64_t>(),
			   range.at("bytes").get<std::uint64_t>(),
			   range.at("in").get<std::string>());
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"offset", s::count("bytes")},
		 {"bytes", s::count()},
		 {"in", s::one_of_words({"a", "b", "both"}, "which of them has contents")}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text("a", options->a, "A", "POOL/VOLUME, or POOL/VOLUME@SNAPSHOT", check_volume);
	set.last_is_required();
	set.text("b", options->b, "B", "Another one of the same pool", check_volume);
	set.last_is_required();
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return exit_code_of(
			follow_daemon(volume_diff_verb, arguments, [&](const Json &range) {
				print(range, options->json);
				return std::fflush(stdout) == 0;
			}));
	};
}

} /* namespace */

const Verb volume_diff_verb{
	.group = "volume",
	.name = "diff",
	.summary = "Where two volumes or snapshots differ, in time that depends on how much does",
	.examples =
		"corbel volume diff vms/web@monday vms/web@tuesday              what a backup has to copy\n"
		"corbel volume diff vms/web@monday vms/web --json | jq .bytes   for scripts\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
