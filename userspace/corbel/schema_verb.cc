// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "manual.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr const char *draft = "http://json-schema.org/draft-07/schema#";

const char *name_of(Output output)
{
	switch (output) {
	case Output::none:
		return "text";
	case Output::object:
		return "object";
	case Output::lines:
		return "lines";
	}
	return "unknown";
}

Json json_of(const Argument &argument)
{
	Json json{{"name", argument.long_name()}};

	if (const auto name = argument.short_name(); !name.empty())
		json["short"] = name;
	if (!argument.is_flag())
		json["type"] = argument.type;
	json["help"] = argument.help;
	json["required"] = argument.required;
	json["repeats"] = argument.repeats();
	if (!argument.words.empty())
		json["values"] = argument.words;
	if (argument.least != argument.most) {
		json["minimum"] = argument.least;
		json["maximum"] = argument.most;
	}
	if (!argument.unit.empty())
		json["unit"] = argument.unit;
	return json;
}

Json schema_of(const Verb &verb)
{
	Json schema{{"$schema", draft}, {"title", fmt::format("corbel {}", verb.words())}};

	schema.update(verb.schema());
	return schema;
}

Json json_of(const Verb &verb)
{
	Json json{{"verb", verb.words()},
		  {"summary", verb.summary},
		  {"done_by", verb.home == Home::daemon ? "corbeld" : "corbel"},
		  {"effect", name_of(verb.effect)},
		  {"repeat", sentence_of(verb.repeat)},
		  {"exit_status", in_one_line(exit_status_of(verb))},
		  {"arguments", Json::array()},
		  {"output", name_of(verb.output)},
		  {"schema", verb.schema ? schema_of(verb) : Json(nullptr)}};

	for (const auto &argument : arguments_of(verb))
		json["arguments"].push_back(json_of(argument));
	return json;
}

Result<void> print(std::span<const std::string> words)
{
	if (words.empty()) {
		Json all = Json::array();

		for (const Verb *verb : all_verbs())
			all.push_back(json_of(*verb));
		fmt::print("{}\n", dump(all, 2));
		return {};
	}
	const Verb &verb = *CORBEL_EXPECT(verb_of(words));
	if (!verb.schema)
		return failure(ENOENT,
			       fmt::format("`corbel {}` has no --json, and so no schema: those "
					   "that have are in `corbel schema`.",
					   verb.words()));
	fmt::print("{}\n", dump(schema_of(verb), 2));
	return {};
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto words = std::make_shared<std::vector<std::string>>();

	set.verb(*words);
	return [words] { return exit_code_of(print(*words)); };
}

} /* namespace */

const Verb schema_verb{
	.group = "",
	.name = "schema",
	.summary = "The verbs as data: arguments, effects, and the JSON Schema of what they print",
	.examples = "corbel schema             all verbs, in one JSON array\n"
		    "corbel schema irq show    the JSON Schema of `corbel irq show --json`",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.declare = declare,
};

} /* namespace corbel::cli */
