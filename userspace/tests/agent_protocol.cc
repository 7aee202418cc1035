// SPDX-License-Identifier: GPL-2.0-or-later
#include "result.hh"

#include <agent/bytes.hh>
#include <agent/protocol.hh>

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

namespace {

using namespace corbel::agent;
using corbel::test::error_of;
using corbel::test::must;

GuestIrq an_irq(std::uint32_t number)
{
	GuestIrq irq;

	irq.number = number;
	irq.movable = true;
	irq.affinity = *CpuSet::parse("0-3,70");
	irq.effective = CpuSet::of(70);
	irq.name = "virtio0-input.0";
	irq.counts = {{0, 12}, {70, std::uint64_t{1} << 40}};
	return irq;
}

/* One message of each kind, and whether anything that is decoded is that kind. */
struct Kind {
	std::string payload;
	std::function<bool(std::string_view)> decodes;
};

template <typename T>
Kind kind(const std::string &payload)
{
	return {payload, [](std::string_view bytes) { return decode<T>(bytes).has_value(); }};
}

std::vector<Kind> kinds()
{
	return {
		kind<Hello>(encode(Hello{})),
		kind<HelloReply>(encode(HelloReply{{}, "0.1", "6.1.0", {{0, 0}, {1, 4}}})),
		kind<List>(encode(List{7})),
		kind<ListReply>(encode_list(99, {encode(an_irq(5)), encode(an_irq(24))})),
		kind<MoveRequest>(encode(MoveRequest{24, CpuSet::of(1)})),
		kind<MoveReply>(encode(MoveReply{*CpuSet::parse("0-99"), CpuSet::of(3)})),
		kind<RestoreReply>(encode(RestoreReply{1, 2, 3})),
		kind<ErrorReply>(encode(ErrorReply{Refusal::pinned, "no"})),
	};
}

TEST(agent_protocol, carries_what_was_put_in)
{
	const auto hello = must(
		decode<HelloReply>(encode(HelloReply{{1, 7}, "0.1", "6.1.0", {{0, 0}, {3, 4}}})));
	const auto list =
		must(decode<ListReply>(encode_list(99, {encode(an_irq(5)), encode(an_irq(24))})));

	EXPECT_EQ(hello.version.text(), "1.7");
	EXPECT_EQ(hello.kernel, "6.1.0");
	EXPECT_EQ(hello.online.at(1).number, 3);
	EXPECT_EQ(hello.online.at(1).apic_id, 4u);
	EXPECT_EQ(list.next, 99u);
	EXPECT_EQ(list.irqs.at(1).number, 24u);
	EXPECT_EQ(list.irqs.at(1).affinity.list(), "0-3,70");
	EXPECT_EQ(list.irqs.at(1).counts.at(1).count, std::uint64_t{1} << 40);
}

TEST(agent_protocol, is_little_endian)
{
	EXPECT_EQ(message(Type::list, 0x01020304, "x"),
		  std::string("\1\0\0\0\2\0\0\0\4\3\2\1x", 13));
	EXPECT_EQ(encode(Hello{{1, 2}}), std::string("crbl\1\0\2\0", 8));
}

TEST(agent_protocol, refuses_every_truncation)
{
	for (const auto &[payload, decodes] : kinds()) {
		EXPECT_TRUE(decodes(payload));
		for (std::size_t size = 0; size < payload.size(); size++)
			EXPECT_FALSE(decodes(std::string_view(payload).substr(0, size))) << size;
		EXPECT_FALSE(decodes(payload + '\0'));
	}
}

/* Whether it is still a message or not: nothing else may happen. */
TEST(agent_protocol, bears_every_changed_byte)
{
	for (const auto &[payload, decodes] : kinds())
		for (std::size_t at = 0; at < payload.size(); at++)
			for (unsigned value = 0; value < 256; value++) {
				auto changed = payload;

				changed[at] = static_cast<char>(value);
				(void)decodes(changed);
			}
}

TEST(agent_protocol, has_limits)
{
	const auto list = [](std::uint32_t next, const std::vector<GuestIrq> &irqs) {
		std::vector<std::string> encoded;

		for (const auto &irq : irqs)
			encoded.push_back(encode(irq));
		return error_of(decode<ListReply>(encode_list(next, encoded)));
	};
	std::vector<GuestIrq> many;

	for (std::uint32_t i = 1; i <= max_irqs_in_reply; i++)
		many.push_back(an_irq(i));
	EXPECT_EQ(list(0, many), 0);
	many.push_back(an_irq(9999));
	EXPECT_EQ(list(0, many), EPROTO);
	EXPECT_EQ(list(0, {an_irq(5), an_irq(5)}), EPROTO) << "the same twice";
	EXPECT_EQ(list(5, {an_irq(5)}), EPROTO) << "no progress";
	EXPECT_EQ(list(1, {}), EPROTO) << "no progress";

	auto strange = an_irq(5);
	strange.counts.push_back({max_cpus, 1});
	EXPECT_EQ(list(0, {strange}), EPROTO);
	strange = an_irq(5);
	strange.name = std::string(1000, 'x');
	EXPECT_EQ(list(0, {strange}), 0) << "cut by the writer";
}

TEST(agent_protocol, judges_heads)
{
	const auto head = [](std::uint32_t size, std::uint16_t zero) {
		Writer writer;

		writer.number(size);
		writer.number(std::uint16_t{1});
		writer.number(zero);
		writer.number(std::uint32_t{3});
		return error_of(decode_head(writer.take()));
	};

	EXPECT_EQ(head(max_payload, 0), 0);
	EXPECT_EQ(head(max_payload + 1, 0), EMSGSIZE);
	EXPECT_EQ(head(0xffffffff, 0), EMSGSIZE);
	EXPECT_EQ(head(0, 1), EPROTO);
	EXPECT_EQ(error_of(decode_head("short")), EPROTO);
}

/* Whatever comes after it, so that two versions can name each other. */
TEST(agent_protocol, tells_the_version_of_any_hello)
{
	EXPECT_EQ(must(decode_version(encode(Hello{{9, 3}}) + "what nobody knows yet")).text(),
		  "9.3");
	EXPECT_EQ(error_of(decode_version("crbl")), EPROTO);
	EXPECT_EQ(error_of(decode_version("HTTP/1.1 400")), EPROTO);
}

TEST(agent_protocol, lists_of_cpus)
{
	EXPECT_EQ(CpuSet::parse("0-2,5,7-8\n")->list(), "0-2,5,7-8");
	EXPECT_EQ(CpuSet::parse("0-2")->count(), 3u);
	EXPECT_TRUE(CpuSet::parse("")->empty());
	EXPECT_TRUE(CpuSet::parse("1,64")->within(*CpuSet::parse("0-64")));
	EXPECT_FALSE(CpuSet::parse("1,65")->within(*CpuSet::parse("0-64")));
	for (const char *wrong : {"x", "3-", "-3", "3-1", "0-4294967295", "1024", "1;2", "1 2"})
		EXPECT_FALSE(CpuSet::parse(wrong)) << wrong;
	EXPECT_EQ(CpuSet::of_words({1, 0}), CpuSet::of(0));
}

} /* namespace */
