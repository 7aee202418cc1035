// SPDX-License-Identifier: GPL-2.0-or-later
/* What is true of every verb, because it is in the table. */
#include "../corbel/command_line.hh"
#include "../corbel/completion.hh"
#include "../corbel/manual.hh"

#include "schema_check.hh"

#include <libcorbel/text_file.hh>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace corbel::cli;
using corbel::test::find_fault;
using corbel::test::find_fault_in_lines;
using testing::HasSubstr;

class EveryVerb : public testing::TestWithParam<const Verb *> {
protected:
	const Verb &verb = *GetParam();

	[[nodiscard]] bool has(std::string_view option) const
	{
		const auto arguments = arguments_of(verb);

		return std::ranges::any_of(arguments, [&](const Argument &argument) {
			return argument.long_name() == option;
		});
	}
};

/* What a shell makes of @command, up to a pipe. */
std::vector<std::string> words_of(std::string_view command)
{
	std::vector<std::string> words(1);
	bool quoted = false;

	for (char c : command.substr(0, command.find(" | "))) {
		if (c == '\'')
			quoted = !quoted;
		else if (c == ' ' && !quoted)
			words.emplace_back();
		else
			words.back() += c;
	}
	std::erase(words, "");
	return words;
}

TEST_P(EveryVerb, is_described)
{
	EXPECT_FALSE(verb.summary.empty());
	EXPECT_FALSE(verb.summary.ends_with('.'));
	EXPECT_FALSE(verb.group.empty() ? false : group_summary(verb.group).empty());
	EXPECT_FALSE(examples_of(verb).empty());
	for (const auto &argument : arguments_of(verb)) {
		EXPECT_FALSE(argument.help.empty()) << argument.name;
		EXPECT_EQ(argument.type.empty(), argument.is_flag()) << argument.name;
		/* A time or a size without a unit is a riddle. */
		for (const char *unit : {"-us", "-ms", "-s", "interval", "duration"})
			if (argument.name.ends_with(unit)) {
				EXPECT_FALSE(argument.unit.empty()) << argument.name;
			}
	}
}

TEST_P(EveryVerb, has_the_options_of_its_class)
{
	EXPECT_EQ(has("--dry-run"), verb.effect != Effect::read);
	EXPECT_EQ(has("--key"), verb.repeat == Repeat::keyed);
	EXPECT_EQ(has("--json"), verb.output != Output::none);
	EXPECT_EQ(verb.schema != nullptr, verb.output != Output::none);
}

TEST_P(EveryVerb, has_examples_that_can_be_typed)
{
	for (const auto &[command, meaning] : examples_of(verb)) {
		if (command.empty())
			continue;
		const auto words = words_of(command);
		std::vector<const char *> argv(words.size());

		std::ranges::transform(words, argv.begin(), &std::string::c_str);
		EXPECT_EQ(words.front(), "corbel");
		EXPECT_TRUE(parse(static_cast<int>(argv.size()), argv.data())) << command;
	}
}

TEST_P(EveryVerb, has_all_in_its_pages)
{
	const auto man = man_page(verb), markdown = markdown_page(verb);

	for (const auto &argument : arguments_of(verb)) {
		if (!argument.is_option())
			continue;
		std::string in_man;

		for (char c : argument.long_name())
			in_man += c == '-' ? std::string("\\-") : std::string(1, c);
		EXPECT_THAT(man, HasSubstr(in_man));
		EXPECT_THAT(markdown, HasSubstr(argument.long_name()));
	}
}

/* A schema that everything fits would be of no use. */
TEST_P(EveryVerb, has_a_schema_that_can_refuse)
{
	if (!verb.schema)
		return;
	const auto schema = dump(verb.schema());

	for (const char *wrong : {"[]", "1", "null", "{}", R"({"surprise":1})"})
		EXPECT_NE(find_fault(schema, wrong), "") << wrong;
}

INSTANTIATE_TEST_SUITE_P(verbs, EveryVerb,
			 testing::ValuesIn(all_verbs().begin(), all_verbs().end()),
			 [](const auto &info) {
				 auto name = info.param->words();

				 std::ranges::replace_if(
					 name, [](char c) { return c == ' ' || c == '-'; }, '_');
				 return name;
			 });

TEST(verb_table, is_found_by_its_words)
{
	const std::vector<std::string> words{"irq", "show"};

	EXPECT_EQ(find_verb(words), &irq_show_verb);
	EXPECT_EQ(find_verb(std::span(words).first(1)), nullptr);
	EXPECT_EQ(find_verb({}), nullptr);
}

/* Those that need neither a guest nor the modules. */
TEST(verb_table, prints_what_the_schema_says)
{
	for (const auto &words : std::vector<std::vector<std::string>>{{"version"}, {"doctor"}}) {
		const Verb *verb = find_verb(words);
		std::vector<const char *> argv{"corbel", words[0].c_str(), "--json"};

		testing::internal::CaptureStdout();
		(void)run(static_cast<int>(argv.size()), argv.data());
		const auto out = testing::internal::GetCapturedStdout();
		EXPECT_EQ(find_fault(dump(verb->schema()), out), "") << out;
	}
}

TEST(verb_table, documentation_is_up_to_date)
{
	const auto written = corbel::text_of_file("Documentation/verbs.md");

	ASSERT_TRUE(written) << "run this in the root of the sources";
	EXPECT_TRUE(*written == markdown_page()) << "run `make docs`";
}

TEST(verb_table, lines_are_checked_one_by_one)
{
	const auto schema = dump(irq_record_verb.schema());
	const std::string good = R"({"type":"resync","seq":0,"time_ns":0,"tsc_ticks":5,"vcpu":1})"
				 "\n";

	EXPECT_EQ(find_fault_in_lines(schema, good + good), "");
	EXPECT_THAT(find_fault_in_lines(schema, good + "{}\n"), HasSubstr("line 2"));
	EXPECT_NE(find_fault_in_lines(schema, ""), "");
}

} /* namespace */
