// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/command_line.hh"

#include <corbel/version.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace {

using namespace corbel::cli;
using testing::HasSubstr;

struct Outcome {
	ExitCode code;
	std::string out;
	std::string err;
};

Outcome run_words(const std::vector<std::string> &words)
{
	std::vector<const char *> argv{"corbel"};

	for (const auto &word : words)
		argv.push_back(word.c_str());
	testing::internal::CaptureStdout();
	testing::internal::CaptureStderr();
	auto code = run(static_cast<int>(argv.size()), argv.data());
	auto out = testing::internal::GetCapturedStdout();
	return {code, out, testing::internal::GetCapturedStderr()};
}

std::vector<std::string> words_of(const Verb &verb)
{
	if (verb.group.empty())
		return {std::string(verb.name)};
	return {std::string(verb.group), std::string(verb.name)};
}

TEST(command_line, every_verb_has_help_with_examples_and_exit_codes)
{
	for (const Verb *verb : all_verbs()) {
		auto words = words_of(*verb);

		words.push_back("--help");
		auto outcome = run_words(words);
		EXPECT_EQ(outcome.code, ExitCode::ok) << verb->name;
		EXPECT_THAT(outcome.out, HasSubstr(std::string(verb->summary)));
		EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  corbel " + words[0]));
		EXPECT_THAT(outcome.out, HasSubstr("Exit status: 0"));
		EXPECT_EQ(outcome.err, "");
	}
}

TEST(command_line, wrong_usage_is_2_and_says_so_on_stderr)
{
	for (const auto &words : std::vector<std::vector<std::string>>{
		     {},
		     {"frob"},
		     {"vm"},
		     {"vm", "frob"},
		     {"irq", "top"},
		     {"irq", "top", ""},
		     {"irq", "top", "x", "--interval", "0"},
		     {"irq", "top", "x", "--interval", "-1"},
		     {"irq", "top", "x", "--count", "0"},
		     {"irq", "record", "x", "--events", "frob"},
		     {"irq", "record", "x", "--order", "5"},
		     {"irq", "record", "x", "--order", "21"},
		     {"irq", "record", "x", "--format", "xml"},
		     {"irq", "show", "99999999999999"},
		     {"irq", "show", "a", "b"},
		     {"irq", "ledger"},
		     {"irq", "ledger", "x", "--vector", "256"},
		     {"irq", "ledger", "x", "--vector", ""},
		     {"irq", "ledger", "x", "--vcpu", "1024"},
		     {"irq", "device", "x", "--ids", "0"},
		     {"irq", "device", "x", "--ids", "65537"},
		     {"irq", "device", "x", "--vcpus", "2"},
		     {"irq", "device", "x", "-e", "reset"},
		     {"vm", "detach"},
		     {"vm", "detach", "x", "--id", "3"},
		     {"vm", "detach", "--id", "-1"},
		     {"doctor", "--frob"},
	     }) {
		auto outcome = run_words(words);
		auto line = testing::PrintToString(words);

		EXPECT_EQ(outcome.code, ExitCode::usage) << line;
		EXPECT_NE(outcome.err, "") << line;
		EXPECT_EQ(outcome.out, "") << line;
	}
}

TEST(command_line, a_misspelt_verb_is_named)
{
	EXPECT_THAT(run_words({"irq", "frob"}).err, HasSubstr("'frob'"));
}

TEST(command_line, version)
{
	EXPECT_THAT(run_words({"--version"}).out, HasSubstr(CORBEL_VERSION));
	EXPECT_THAT(run_words({"version"}).out, HasSubstr("tool " CORBEL_VERSION));
}

/* What a user meets first who has not loaded the modules. */
TEST(command_line, without_the_module_every_verb_says_how_to_load_it)
{
	if (std::filesystem::exists("/dev/corbel"))
		GTEST_SKIP() << "the module is loaded here";
	for (const auto &words : std::vector<std::vector<std::string>>{
		     {"vm", "attach", "1"},
		     {"vm", "detach", "--id", "1"},
		     {"irq", "show", "my first vm"},
		     {"irq", "top", "1:2"},
		     {"irq", "record", "id:3"},
		     {"irq", "ledger", "1", "--vcpu", "0", "--vector", "0x31", "--json"},
		     {"irq", "device", "1", "--ids", "4", "-e", "reset", "-e", "read; ledger"},
	     }) {
		auto outcome = run_words(words);

		EXPECT_EQ(outcome.code, ExitCode::failure);
		EXPECT_THAT(outcome.err, HasSubstr("modprobe -a corbel corbel_irq"));
		EXPECT_THAT(outcome.err, HasSubstr("insmod"));
		EXPECT_EQ(outcome.out, "");
	}
	EXPECT_EQ(run_words({"vm", "list"}).code, ExitCode::partial);
	EXPECT_EQ(run_words({"doctor"}).code, ExitCode::failure);
}

} /* namespace */
