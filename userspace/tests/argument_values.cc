// SPDX-License-Identifier: GPL-2.0-or-later
/* Arguments as JSON: what the command line lets through, and nothing else. */
#include "../corbel/argument_values.hh"
#include "../corbel/verb.hh"
#include "result.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace corbel::test {

namespace {

using namespace corbel::cli;
using testing::HasSubstr;

struct Everything : testing::Test {
	std::string vm, word, key;
	std::vector<std::string> texts;
	std::uint64_t count = 0;
	std::uint32_t number = 0;
	double interval = 2;
	bool dry_run = false, json = false;
	OptionSet set;

	Everything()
	{
		set.target(vm);
		set.choice("-w,--word", word, {"one", "two"}, "WORD", "a word");
		set.texts("-e,--execute", texts, "TEXT", "texts");
		set.count("--count", count, "N", "a count");
		set.number("--number", number, {1U, 9U, "us"}, "US", "a number");
		set.number("--interval", interval, {0.1, 10.0, "s"}, "S", "an interval");
		set.key(key);
		set.dry_run(dry_run);
		set.json(json);
	}
	std::string fault(const char *values)
	{
		const auto checked =
			check_values(set.arguments(), Json::parse(values, nullptr, false));

		EXPECT_TRUE(checked || checked.error().number == EINVAL);
		return checked ? "" : checked.error().sentence;
	}
};

TEST_F(Everything, is_what_was_given)
{
	EXPECT_EQ(values_of(set.arguments()).dump(), R"({"interval":2.0})");
	vm = "web1";
	word = "two";
	texts = {"a", "b"};
	count = 1ULL << 63;
	number = 3;
	key = "k";
	dry_run = json = true;
	const auto values = values_of(set.arguments());
	EXPECT_EQ(values.dump(), R"({"vm":"web1","word":"two","execute":["a","b"],)"
				 R"("count":9223372036854775808,"number":3,"interval":2.0,)"
				 R"("key":"k","dry-run":true})");
	EXPECT_TRUE(check_values(set.arguments(), values));
}

TEST_F(Everything, is_refused_as_by_the_command_line)
{
	EXPECT_EQ(fault(R"({"vm":"web1"})"), "");
	EXPECT_THAT(fault(R"({})"), HasSubstr("vm: It must be given"));
	EXPECT_THAT(fault(R"({"vm":""})"), HasSubstr("vm: "));
	EXPECT_THAT(fault(R"({"vm":"a\u0000b"})"), HasSubstr("zero byte"));
	EXPECT_THAT(fault(R"({"vm":1})"), HasSubstr("It is a text"));
	EXPECT_THAT(fault(R"({"vm":"a","word":"three"})"), HasSubstr("one, two"));
	EXPECT_THAT(fault(R"({"vm":"a","execute":"a"})"), HasSubstr("list of texts"));
	EXPECT_THAT(fault(R"({"vm":"a","execute":["a",1]})"), HasSubstr("list of texts"));
	EXPECT_THAT(fault(R"({"vm":"a","count":0})"), HasSubstr("above 0"));
	EXPECT_THAT(fault(R"({"vm":"a","count":-1})"), HasSubstr("whole number"));
	EXPECT_THAT(fault(R"({"vm":"a","count":1.5})"), HasSubstr("whole number"));
	EXPECT_THAT(fault(R"({"vm":"a","number":10})"), HasSubstr("from 1 to 9 us"));
	EXPECT_THAT(fault(R"({"vm":"a","interval":0})"), HasSubstr("from 0.1 to 10 s"));
	EXPECT_THAT(fault(R"({"vm":"a","interval":"1"})"), HasSubstr("It is a number"));
	EXPECT_THAT(fault(R"({"vm":"a","dry-run":1})"), HasSubstr("true or false"));
	EXPECT_THAT(fault(R"({"vm":"a","key":""})"), HasSubstr("1 to 200 bytes"));
	EXPECT_THAT(fault(R"({"vm":"a","json":true})"), HasSubstr("no argument 'json'"));
	EXPECT_THAT(fault(R"({"vm":"a","surprise":1})"), HasSubstr("no argument 'surprise'"));
	for (const char *bad : {"[]", "1", "null", "{", ""})
		EXPECT_THAT(fault(bad), HasSubstr("JSON object")) << bad;
}

TEST(alternatives, are_given_just_once)
{
	std::string vm;
	std::uint64_t id = 0;
	OptionSet set;

	set.target_or_id(vm, id);
	EXPECT_TRUE(check_values(set.arguments(), {{"id", 1U}}));
	EXPECT_TRUE(check_values(set.arguments(), {{"vm", "a"}}));
	EXPECT_EQ(error_of(check_values(set.arguments(), {{"vm", "a"}, {"id", 1U}})), EINVAL);
	EXPECT_EQ(error_of(check_values(set.arguments(), Json::object())), EINVAL);
}

} /* namespace */

} /* namespace corbel::test */
