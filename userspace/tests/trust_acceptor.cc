// SPDX-License-Identifier: GPL-2.0-or-later
/* Who lets hosts in: not held up by those who say nothing, whoever they are. */
#include "../trust/acceptor.hh"
#include "trust_hosts.hh"
#include "wait_until.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <netinet/in.h>

#include <mutex>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

class TrustAcceptor : public testing::Test {
protected:
	void start(unsigned at_once, unsigned per_address, std::chrono::milliseconds limit = 60s)
	{
		auto listener = must(listen_at({.host = "127.0.0.1", .port = 0}));

		address = must(address_here(listener.get()));
		acceptor = must(Acceptor::start(
			std::move(listener),
			{.identity = [this] { return std::make_shared<Identity>(a.identity); },
			 .lookup = knowing({b.trust()}),
			 .accepted =
				 [this](const Connection &connection) {
					 const std::lock_guard guard(lock);
					 accepted.push_back(connection.peer().host.name);
				 },
			 .refused =
				 [this](const Refusal &refusal) {
					 const std::lock_guard guard(lock);
					 refused.push_back(refusal);
				 },
			 .at_once = at_once,
			 .per_address = per_address,
			 .limit = limit}));
	}
	[[nodiscard]] Handshake connect(const Identity &identity) const
	{
		return connect_host(must(connect_to(address, 30s)), identity, a.trust(), 30s);
	}
	[[nodiscard]] std::vector<std::string> sentences()
	{
		const std::lock_guard guard(lock);
		std::vector<std::string> all;

		for (const auto &refusal : refused)
			all.push_back(refusal.sentence);
		return all;
	}
	[[nodiscard]] std::size_t count_of(Reason reason)
	{
		const std::lock_guard guard(lock);

		return static_cast<std::size_t>(
			std::ranges::count(refused, reason, &Refusal::reason));
	}

	TestClock clock;
	TestHost a{clock, "host-a"}, b{clock, "host-b"}, c{clock, "host-c"};
	std::mutex lock;
	std::vector<std::string> accepted;
	std::vector<Refusal> refused;
	Address address;
	std::unique_ptr<Acceptor> acceptor;
};

TEST_F(TrustAcceptor, lets_in_and_says_whom_it_refused)
{
	start(4, 4);
	EXPECT_TRUE(connect(b.identity));
	EXPECT_FALSE(connect(c.identity));
	EXPECT_TRUE(wait_until([&] { return !sentences().empty(); }));
	EXPECT_THAT(sentences(), Contains(HasSubstr("Host 'host-c'")));
	const std::lock_guard guard(lock);
	EXPECT_THAT(accepted, Contains("host-b"));
	EXPECT_EQ(refused[0].remote, "127.0.0.1");
	EXPECT_EQ(refused[0].when, clock.now());
}

TEST_F(TrustAcceptor, is_not_held_up_by_one_that_says_nothing)
{
	start(4, 4);
	std::vector<ScopedFd> silent;
	for (int i = 0; i < 3; i++)
		silent.push_back(must(connect_to(address, 30s)));
	for (int i = 0; i < 10; i++)
		EXPECT_TRUE(connect(b.identity));
	EXPECT_EQ(count_of(Reason::timeout), 0U);
}

TEST_F(TrustAcceptor, gives_up_on_those_that_say_nothing)
{
	start(4, 4, 100ms);
	std::vector<ScopedFd> silent;
	for (int i = 0; i < 4; i++)
		silent.push_back(must(connect_to(address, 30s)));
	EXPECT_TRUE(wait_until([&] { return count_of(Reason::timeout) == 4; }));
}

TEST_F(TrustAcceptor, gives_an_address_some_threads_and_not_all)
{
	start(4, 2);
	std::vector<ScopedFd> silent;
	for (int i = 0; i < 10; i++)
		silent.push_back(must(connect_to(address, 30s)));
	EXPECT_TRUE(wait_until([&] { return count_of(Reason::too_many) == 8; }));
	EXPECT_THAT(sentences(), Contains(HasSubstr("127.0.0.1 has 2 connections")));
	/* From 127.0.0.2, which has none. */
	ScopedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	sockaddr_in here{}, there{};
	here.sin_family = there.sin_family = AF_INET;
	here.sin_addr.s_addr = htonl(0x7f000002);
	there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	there.sin_port = htons(address.port);
	ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr *>(&here), sizeof(here)), 0);
	ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr *>(&there), sizeof(there)), 0);
	const auto other = connect_host(std::move(fd), b.identity, a.trust(), 30s);
	EXPECT_TRUE(other) << sentence_of(other);
}

TEST_F(TrustAcceptor, ends_while_others_say_nothing)
{
	start(4, 4);
	std::vector<ScopedFd> silent;
	for (int i = 0; i < 8; i++)
		silent.push_back(must(connect_to(address, 30s)));
	acceptor.reset();
	EXPECT_EQ(count_of(Reason::timeout), 0U) << "it waited for their time limit";
}

TEST_F(TrustAcceptor, uses_the_newest_certificate)
{
	start(4, 4);
	const auto first = connect(b.identity);
	acceptor.reset();
	a.identity = must(a.identity.rotate());
	start(4, 4);
	const auto second = connect(b.identity);
	ASSERT_TRUE(first && second);
	EXPECT_NE(first->peer().host.serial, second->peer().host.serial);
}

} /* namespace */

} /* namespace corbel::test */
