// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_folder.hh"

#include <agent/server.hh>

#include <gtest/gtest.h>

#include <optional>

namespace {

using namespace corbel::agent;
using corbel::test::GuestFolder;
using corbel::test::must;

class AgentServer : public testing::Test {
protected:
	Server::Answer ask(Type type, const std::string &payload = {})
	{
		return server->answer({static_cast<std::uint32_t>(payload.size()), type, 1},
				      payload, now);
	}
	void greet() { ASSERT_EQ(ask(Type::hello, encode(Hello{})).type, Type::hello_reply); }
	Server::Answer move(unsigned irq, const CpuSet &cpus)
	{
		return ask(Type::move, encode(MoveRequest{irq, cpus}));
	}
	static Refusal refusal_of(const Server::Answer &answer)
	{
		EXPECT_EQ(answer.type, Type::error_reply);
		return must(decode<ErrorReply>(answer.payload)).refusal;
	}

	GuestFolder folder;
	GuestIrqs irqs = folder.open();
	std::optional<Server> server{irqs};
	RequestRate::Clock::time_point now = RequestRate::Clock::now();
};

TEST_F(AgentServer, names_itself_and_the_cpus)
{
	const auto hello = must(decode<HelloReply>(ask(Type::hello, encode(Hello{})).payload));

	EXPECT_EQ(hello.version.major, version_major);
	ASSERT_EQ(hello.online.size(), 2u);
	EXPECT_EQ(hello.online[1].number, 1);
	EXPECT_EQ(hello.online[1].apic_id, 4u);
}

TEST_F(AgentServer, wants_a_hello_first)
{
	EXPECT_EQ(refusal_of(ask(Type::list, encode(List{}))), Refusal::malformed);
	EXPECT_EQ(refusal_of(move(24, CpuSet::of(1))), Refusal::malformed);
	EXPECT_EQ(folder.affinity(24), "0");
}

TEST_F(AgentServer, names_its_version_to_one_that_does_not_fit)
{
	const auto answer = ask(Type::hello, encode(Hello{{version_major + 1, 0}}));

	EXPECT_EQ(must(decode_version(answer.payload)).major, version_major);
	EXPECT_TRUE(answer.last);
	EXPECT_EQ(refusal_of(ask(Type::list, encode(List{}))), Refusal::malformed);
}

TEST_F(AgentServer, lists_what_is_handled)
{
	greet();
	const auto list = must(decode<ListReply>(ask(Type::list, encode(List{})).payload));

	EXPECT_EQ(list.next, 0u);
	ASSERT_EQ(list.irqs.size(), 2u) << "1 has no folder, 30 no handler";
	EXPECT_EQ(list.irqs[0].number, 5u);
	EXPECT_EQ(list.irqs[0].counts.size(), 1u);
	EXPECT_EQ(list.irqs[0].counts[0].cpu, 1);
	EXPECT_EQ(list.irqs[1].name, "PCI-MSI 512-edge virtio1-req.0, x");
	EXPECT_EQ(list.irqs[1].affinity.list(), "0");
	EXPECT_EQ(must(decode<ListReply>(ask(Type::list, encode(List{6})).payload)).irqs.size(),
		  1u);
}

TEST_F(AgentServer, puts_back_when_asked)
{
	greet();
	EXPECT_EQ(must(decode<MoveReply>(move(24, CpuSet::of(1)).payload)).affinity.list(), "1");
	EXPECT_EQ(folder.affinity(24), "1");
	const auto reply = must(decode<RestoreReply>(ask(Type::restore).payload));
	EXPECT_EQ(reply.restored, 1u);
	EXPECT_EQ(folder.affinity(24), "0");
	EXPECT_EQ(must(decode<RestoreReply>(ask(Type::restore).payload)).restored, 0u);
}

TEST_F(AgentServer, puts_back_what_it_was_first)
{
	greet();
	(void)move(24, CpuSet::of(1));
	(void)move(24, CpuSet::of(0));
	(void)move(24, CpuSet::of(1));
	server.reset();
	EXPECT_EQ(folder.affinity(24), "0");
}

TEST_F(AgentServer, keeps_when_asked)
{
	greet();
	(void)move(24, CpuSet::of(1));
	EXPECT_EQ(ask(Type::keep).type, Type::keep_reply);
	server.reset();
	EXPECT_EQ(folder.affinity(24), "1");
}

TEST_F(AgentServer, leaves_what_somebody_else_has_set)
{
	greet();
	(void)move(24, CpuSet::of(1));
	folder.set(24, "0-1");
	EXPECT_EQ(must(decode<RestoreReply>(ask(Type::restore).payload)).foreign, 1u);
	EXPECT_EQ(folder.affinity(24), "0-1");
}

TEST_F(AgentServer, refuses_what_cannot_be)
{
	greet();
	EXPECT_EQ(refusal_of(move(77, CpuSet::of(0))), Refusal::no_irq);
	EXPECT_EQ(refusal_of(move(24, CpuSet::of(2))), Refusal::no_cpu);
	EXPECT_EQ(refusal_of(move(24, CpuSet())), Refusal::no_cpu);
	EXPECT_EQ(folder.affinity(24), "0");
	EXPECT_EQ(refusal_of(ask(Type::list, "x")), Refusal::malformed);
	EXPECT_EQ(refusal_of(ask(Type::restore, "x")), Refusal::malformed);
	EXPECT_EQ(refusal_of(ask(static_cast<Type>(77))), Refusal::malformed);
}

TEST_F(AgentServer, cuts_off_who_asks_too_often)
{
	greet();
	for (int i = 1; i < RequestRate::burst; i++)
		ASSERT_EQ(ask(Type::restore).type, Type::restore_reply) << i;
	const auto answer = ask(Type::restore);
	EXPECT_EQ(refusal_of(answer), Refusal::too_many);
	EXPECT_TRUE(answer.last);
	now += std::chrono::seconds(1);
	EXPECT_EQ(ask(Type::restore).type, Type::restore_reply);
}

TEST(agent_proc, reads_strange_files)
{
	EXPECT_TRUE(parse_interrupts("").empty());
	EXPECT_TRUE(parse_interrupts("\n\n:\n 5\n99999999999: 1\n").empty());
	const auto lines = parse_interrupts("  CPU0 CPU3\n 7: 1\n 8: 2 3 a b c\n");
	ASSERT_EQ(lines.size(), 2u);
	EXPECT_FALSE(lines[0].handled);
	EXPECT_TRUE(lines[1].handled);
	EXPECT_EQ(lines[1].counts.at(1).cpu, 3) << "CPUs 1 and 2 are offline";
	EXPECT_TRUE(parse_cpuinfo("apicid : 3\nprocessor\nprocessor : x\n").empty());
}

} /* namespace */
