// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/event_text.hh"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace {

using namespace corbel::cli;

constexpr std::uint32_t tsc_khz = 2'000'000; /* two ticks are a nanosecond */

corbel_event event(unsigned type, std::uint64_t tsc, std::uint64_t arg, unsigned flags = 0)
{
	corbel_event made{};

	made.seq = 7;
	made.tsc = tsc;
	made.vcpu = 3;
	made.type = static_cast<__u8>(type);
	made.vector = 0x31;
	made.path = CORBEL_IRQ_PATH_IPI;
	made.flags = static_cast<__u8>(flags);
	made.arg = arg;
	return made;
}

std::string line(EventWriter &writer, const corbel_event &event)
{
	std::string text;

	writer.append(text, event);
	return text;
}

TEST(event_text, json_is_json)
{
	EventWriter writer(EventFormat::json, tsc_khz);

	auto accept = nlohmann::json::parse(line(writer, event(CORBEL_EVENT_ACCEPT, 1000, 1)));
	EXPECT_EQ(accept["type"], "accept");
	EXPECT_EQ(accept["time_ns"], 0) << "from the first record on";
	EXPECT_EQ(accept["tsc_ticks"], 1000);
	EXPECT_EQ(accept["vcpu"], 3);
	EXPECT_EQ(accept["vector"], 0x31);
	EXPECT_EQ(accept["path"], "ipi");
	EXPECT_EQ(accept["coalesced"], true);
	EXPECT_FALSE(accept.contains("loss_before"));

	auto inject = nlohmann::json::parse(line(writer, event(CORBEL_EVENT_INJECT, 1500, 300)));
	EXPECT_EQ(inject["time_ns"], 250);
	EXPECT_EQ(inject["latency_ns"], 150);

	auto unknown = nlohmann::json::parse(line(writer, event(CORBEL_EVENT_INJECT, 900, 0)));
	EXPECT_TRUE(unknown["latency_ns"].is_null());
	EXPECT_EQ(unknown["time_ns"], 0) << "a little out of order";

	auto vcpu = nlohmann::json::parse(
		line(writer, event(CORBEL_EVENT_VCPU, 2000, 5, CORBEL_EVENT_F_LOSS)));
	EXPECT_EQ(vcpu["vcpu_id"], 5);
	EXPECT_EQ(vcpu["loss_before"], true);
	EXPECT_FALSE(vcpu.contains("vector"));
}

TEST(event_text, every_byte_of_the_ring_makes_valid_json)
{
	EventWriter writer(EventFormat::json, tsc_khz);

	for (unsigned byte = 0; byte < 256; byte++) {
		corbel_event odd = event(byte, 1, byte);

		odd.path = static_cast<__u8>(byte);
		EXPECT_TRUE(nlohmann::json::accept(line(writer, odd))) << byte;
	}
}

TEST(event_text, csv_has_as_many_fields_as_its_header)
{
	EventWriter writer(EventFormat::csv, tsc_khz);
	std::string header;

	writer.begin(header);
	auto commas = std::ranges::count(header, ',');
	for (unsigned type = 0; type <= CORBEL_EVENT_MAX + 1; type++)
		EXPECT_EQ(std::ranges::count(line(writer, event(type, 1, 1)), ','), commas) << type;
	EXPECT_EQ(line(writer, event(CORBEL_EVENT_ACCEPT, 2001, 0)),
		  "7,1000,2001,3,accept,49,ipi,0,,,0\n");
}

TEST(event_text, masks)
{
	EXPECT_EQ(parse_events("accept").value(), 1U << CORBEL_EVENT_ACCEPT);
	EXPECT_EQ(parse_events("inject,accept,inject").value(),
		  1U << CORBEL_EVENT_ACCEPT | 1U << CORBEL_EVENT_INJECT);
	EXPECT_EQ(parse_events(all_events).value(), (2U << CORBEL_EVENT_MAX) - 2);
	for (const char *wrong : {"", ",", "accept,", "Accept", "accept inject", "all"})
		EXPECT_FALSE(parse_events(wrong)) << wrong;
}

} /* namespace */
