// SPDX-License-Identifier: GPL-2.0-or-later
/* The lines that `corbel irq device` is told, and the state that it saves. */
#include "../corbel/device_command.hh"
#include "../corbel/device_state.hh"
#include "../corbel/dist_text.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace corbel::cli;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t ids = 100;

DeviceCommand parse(std::string_view line)
{
	auto command = parse_device_command(line, ids);

	EXPECT_TRUE(command) << line << ": " << command.error().sentence;
	EXPECT_TRUE(*command) << line;
	return command && *command ? **command : DeviceCommand();
}

TEST(device_command, map)
{
	auto command = parse("map 5 1 0x50");

	EXPECT_EQ(command.verb, DeviceVerb::map);
	EXPECT_EQ(command.entry.id, 5U);
	EXPECT_EQ(command.entry.vcpu, 1U);
	EXPECT_EQ(command.entry.vector, 0x50);
	EXPECT_EQ(command.entry.priority, 0);
	EXPECT_EQ(command.entry.state, CORBEL_DIST_MAPPED);
	EXPECT_EQ(parse("\tmap  99 0 255 7  # the last one\r").entry.priority, 7);
}

TEST(device_command, ids)
{
	EXPECT_THAT(parse("raise 3").ids, ElementsAre(IdRange{3, 1}));
	EXPECT_THAT(parse("raise 3 5-9 0x10").ids,
		    ElementsAre(IdRange{3, 1}, IdRange{5, 5}, IdRange{16, 1}));
	EXPECT_THAT(parse("mask all").ids, ElementsAre(IdRange{0, ids}));
	EXPECT_TRUE(parse("read").ids.empty());
	EXPECT_EQ(parse("save /tmp/a").file, "/tmp/a");
}

TEST(device_command, lines_without_a_command)
{
	for (const auto *line : {"", "   ", "# nothing", "\r"}) {
		auto command = parse_device_command(line, ids);

		ASSERT_TRUE(command) << line;
		EXPECT_FALSE(*command) << line;
	}
}

TEST(device_command, what_is_wrong_is_named)
{
	struct {
		const char *line, *named;
	} const wrong[] = {
		{"frob 1", "'frob'"},
		{"map", "`map ID VCPU VECTOR [PRIO]`"},
		{"map 1 2", "`map"},
		{"map 1 2 3 4 5", "`map"},
		{"map 100 0 0x50", "'100'"},
		{"map -1 0 0x50", "'-1'"},
		{"map 1 1024 0x50", "'1024'"},
		{"map 1 0 15", "16 to 255"},
		{"map 1 0 0x100", "'0x100'"},
		{"map 1 0 0x50 256", "'256'"},
		{"map 1 0 0x", "'0x'"},
		{"map 1x 0 0x50", "'1x'"},
		{"raise", "`raise IDS`"},
		{"raise 1 100", "'100'"},
		{"raise 9-5", "'9-5'"},
		{"raise 5-", "''"},
		{"raise 99999999999", "99999999999"},
		{"reset 1", "`reset`"},
		{"save", "`save FILE`"},
		{"load a b", "`load FILE`"},
	};

	for (const auto &[line, named] : wrong) {
		auto command = parse_device_command(line, ids);

		ASSERT_FALSE(command) << line;
		EXPECT_THAT(command.error().sentence, HasSubstr(named)) << line;
	}
}

TEST(device_command, several_in_one_text)
{
	EXPECT_THAT(split_commands("map 0 0 80; raise 0;"),
		    ElementsAre("map 0 0 80", "raise 0", ""));
}

TEST(device_command, every_verb_has_a_name)
{
	for (auto verb = DeviceVerb::map; verb <= DeviceVerb::quit;
	     verb = static_cast<DeviceVerb>(static_cast<int>(verb) + 1))
		EXPECT_STRNE(name_of(verb), "unknown");
}

corbel_dist_entry make_entry(std::uint32_t id, unsigned state)
{
	corbel_dist_entry entry{};

	entry.id = id;
	entry.vcpu = 3;
	entry.vector = 0x50;
	entry.priority = 200;
	entry.state = static_cast<__u8>(CORBEL_DIST_MAPPED | state);
	return entry;
}

TEST(device_state, comes_back_as_it_was_saved)
{
	std::vector<corbel_dist_entry> entries(8);

	for (std::uint32_t i = 0; i < entries.size(); i++)
		entries[i].id = i;
	entries[2] = make_entry(2, 0);
	entries[3] = make_entry(3, CORBEL_DIST_MASKED);
	entries[7] = make_entry(7, CORBEL_DIST_MASKED | CORBEL_DIST_PENDING);
	const auto text = dump(state_of(entries));
	const auto back = parse_state(text, 8);

	ASSERT_TRUE(back) << back.error().sentence;
	ASSERT_EQ(back->size(), entries.size());
	for (std::size_t i = 0; i < entries.size(); i++) {
		EXPECT_EQ((*back)[i].id, entries[i].id);
		EXPECT_EQ((*back)[i].vcpu, entries[i].vcpu);
		EXPECT_EQ((*back)[i].vector, entries[i].vector);
		EXPECT_EQ((*back)[i].priority, entries[i].priority);
		EXPECT_EQ((*back)[i].state, entries[i].state);
	}
	EXPECT_EQ(parse_state(text, 100)->size(), 100U) << "on a larger device";
	EXPECT_THAT(parse_state(text, 7).error().sentence, HasSubstr("entry 3"))
		<< "id 7 is not one of the smaller device's";
}

TEST(device_state, what_is_wrong_is_named)
{
	auto sentence = [](const std::string &text) {
		auto parsed = parse_state(text, 8);

		return parsed ? "accepted" : parsed.error().sentence;
	};
	const std::string entry =
		R"({"id":1,"vcpu":0,"vector":80,"priority":0,"masked":false,"pending":false})";
	auto with = [&](const std::string &what, const std::string &instead) {
		auto text = R"({"distributor_state":1,"entries":[)" + entry + "]}";

		return sentence(text.replace(text.find(what), what.size(), instead));
	};

	EXPECT_EQ(with("80", "81"), "accepted");
	EXPECT_THAT(sentence(""), HasSubstr("JSON object"));
	EXPECT_THAT(sentence("[]"), HasSubstr("JSON object"));
	EXPECT_THAT(sentence("{}"), HasSubstr("version"));
	EXPECT_THAT(with("_state\":1", "_state\":2"), HasSubstr("version"));
	EXPECT_THAT(with("entries", "entry"), HasSubstr("list"));
	EXPECT_THAT(with("\"id\":1", "\"id\":8"), HasSubstr("entry 1"));
	EXPECT_THAT(with("\"id\":1", "\"id\":-1"), HasSubstr("entry 1"));
	EXPECT_THAT(with("\"id\":1", "\"id\":1.5"), HasSubstr("entry 1"));
	EXPECT_THAT(with("80", "15"), HasSubstr("entry 1"));
	EXPECT_THAT(with("80", "256"), HasSubstr("entry 1"));
	EXPECT_THAT(with("\"vcpu\":0", "\"vcpu\":1024"), HasSubstr("entry 1"));
	EXPECT_THAT(with("false", "0"), HasSubstr("entry 1"));
	EXPECT_THAT(with(",\"pending\":false", ""), HasSubstr("entry 1"));
	EXPECT_THAT(with(entry, entry + "," + entry), HasSubstr("twice"));
}

TEST(dist_text, balance)
{
	corbel_dist_counts counts{.raised = 9,
				  .restored = 1,
				  .delivered = 4,
				  .coalesced = 3,
				  .refused = 1,
				  .withdrawn = 1,
				  .pending = 1};

	EXPECT_EQ(balance_of(counts), 0);
	EXPECT_EQ(json_of(counts)["balance"], 0);
	EXPECT_EQ(json_of(counts)["posted"], 9);
	EXPECT_EQ(json_of(counts)["dropped"]["withdrawn"], 1);
	counts.delivered += 2;
	EXPECT_EQ(balance_of(counts), -2);
	EXPECT_THAT(show_counts(counts), testing::EndsWith("pending 1, balance -2"));
}

} /* namespace */
