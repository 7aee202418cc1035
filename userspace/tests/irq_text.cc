// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/irq_text.hh"

#include "observation.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace {

using namespace corbel::cli;
using corbel::test::Observation;
using testing::HasSubstr;
using namespace std::chrono_literals;

Activity busy_activity(std::uint32_t vcpus, unsigned vectors)
{
	Observation vm(vcpus);
	auto before = vm.sample;

	for (std::uint32_t vcpu = 0; vcpu < vcpus; vcpu++)
		for (unsigned i = 0; i < vectors; i++)
			vm.deliver(vcpu, 0x20 + i, CORBEL_IRQ_PATH_DEVICE, 10 * (vcpu + 1) + i,
				   12'300);
	vm.set_pending(0, 0x31);
	vm.pass(1s);
	return between(before, vm.sample);
}

std::string text_of(const std::vector<Line> &lines)
{
	std::string text;

	for (const auto &line : lines)
		text += line.text + "\n";
	return text;
}

TEST(irq_text, says_what_there_is)
{
	auto text = text_of(show_activity(busy_activity(2, 1), "the headline"));

	EXPECT_THAT(text, testing::StartsWith("the headline\n30/s accepted (device 30/s"));
	EXPECT_THAT(text, HasSubstr("halted"));
	EXPECT_THAT(text, HasSubstr("0x31"));
	EXPECT_THAT(text, HasSubstr("12.3 us"));
	EXPECT_THAT(text, HasSubstr("COALESCED"));
}

TEST(irq_text, fits_every_size)
{
	auto activity = busy_activity(100, 20);

	for (std::size_t width : {40, 60, 80, 100, 132, 250})
		for (std::size_t height : {12, 24, 50, 300}) {
			auto lines =
				show_activity(activity, std::string(300, 'x'), {width, height});

			EXPECT_LE(lines.size(), height) << width << " x " << height;
			for (const auto &line : lines)
				EXPECT_LE(display_width(line.text), width) << line.text;
		}
}

TEST(irq_text, keeps_the_busiest_and_says_how_many_are_missing)
{
	auto activity = busy_activity(100, 20);
	auto text = text_of(show_activity(activity, "", {200, 40}));

	EXPECT_THAT(text, HasSubstr("\n  99  ")) << "the busiest vCPU";
	EXPECT_THAT(text, testing::ContainsRegex("\\.\\.\\. [0-9]+ vCPUs quieter not shown"));
	EXPECT_THAT(text, testing::ContainsRegex("\\.\\.\\. [0-9]+ vectors quieter not shown"));
	EXPECT_THAT(text, HasSubstr("0x33    99 ")) << "the busiest vector of it";
}

TEST(irq_text, uses_the_room_there_is)
{
	auto lines = show_activity(busy_activity(2, 100), "", {200, 40});

	EXPECT_GE(lines.size(), 38U);
}

TEST(table, leaves_out_the_columns_of_the_greatest_rank)
{
	Table table(
		{{"A"}, {"BBBB", Table::Align::left, 1}, {"CCCC", Table::Align::left, 2}, {"D"}});

	table.add({"1", "2", "3", "4"});
	EXPECT_EQ(table.lines()[0], "A  BBBB  CCCC  D");
	EXPECT_EQ(table.lines()[1], "1  2     3     4");
	EXPECT_EQ(table.lines(15)[0], "A  BBBB  D");
	EXPECT_EQ(table.lines(9)[0], "A  D");
	EXPECT_EQ(table.lines(2)[0], "A ") << "rank 0 stays and is cut";
}

TEST(table, counts_characters_and_not_bytes)
{
	EXPECT_EQ(display_width("Zürich"), 6U);
	EXPECT_EQ(fit("Zürich", 2), "Zü");
	EXPECT_EQ(fit("ab", 5), "ab");
	EXPECT_EQ(printable("a\x1b[2Jb\n"), "a?[2Jb?") << "a name cannot steer the terminal";
}

} /* namespace */
