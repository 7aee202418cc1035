// SPDX-License-Identifier: GPL-2.0-or-later
/* Two hosts meet over TCP: the right ones, and all kinds of wrong ones on either side. */
#include "raw_tls.hh"
#include "trust_hosts.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using namespace std::chrono_literals;
using std::chrono::days;
using testing::AllOf;
using testing::HasSubstr;

/* Hosts a, b and c; a is the one that has to tell who the others are. */
class TrustTls : public testing::Test {
protected:
	/* b connects to a. */
	[[nodiscard]] Meeting b_connects(const PeerTrust &known) const
	{
		return meet(a.identity, {.lookup = knowing({known})}, b.identity, a.trust());
	}
	/* a connects to b. */
	[[nodiscard]] Meeting a_connects(const PeerTrust &expected) const
	{
		return meet(b.identity, {.lookup = knowing({a.trust()})}, a.identity, expected);
	}

	TestClock clock;
	TestHost a{clock, "host-a"}, b{clock, "host-b"}, c{clock, "host-c"};
};

TEST_F(TrustTls, lets_in_the_host_it_is_paired_with)
{
	const auto met = b_connects(b.trust());

	ASSERT_TRUE(met.server) << sentence_of(met.server);
	ASSERT_TRUE(met.client) << sentence_of(met.client);
	EXPECT_EQ(met.server->peer().host.id, b.identity.id());
	EXPECT_EQ(met.server->peer().host.name, "host-b");
	EXPECT_TRUE(met.server->peer().known);
	EXPECT_EQ(met.server->peer().remote, "127.0.0.1");
	EXPECT_EQ(met.client->peer().host.fingerprint, a.identity.fingerprint());
	EXPECT_TRUE(met.client->peer().known);
	EXPECT_TRUE(met.client->peer().knows_us);
}

/* ---- expired ----------------------------------------------------------------------- */

TEST_F(TrustTls, refuses_an_expired_certificate)
{
	clock.pass(days(91));
	a.identity = must(a.identity.rotate());
	for (const auto &[judge, other] : {std::pair(&Meeting::server, &Meeting::client),
					   std::pair(&Meeting::client, &Meeting::server)}) {
		const auto met =
			judge == &Meeting::server ? b_connects(b.trust()) : a_connects(b.trust());

		EXPECT_EQ(reason_of(met.*judge), "expired");
		EXPECT_THAT(sentence_of(met.*judge),
			    AllOf(HasSubstr("Host 'host-b'"),
				  HasSubstr("that expired on 2027-04-15"),
				  HasSubstr("run `corbel host rotate` there")));
		EXPECT_EQ(reason_of(met.*other), "refused_there");
		EXPECT_THAT(sentence_of(met.*other),
			    HasSubstr("refuses this host's certificate: it has expired there"));
	}
}

TEST_F(TrustTls, refuses_a_certificate_that_is_not_valid_yet)
{
	clock.pass(days(10));
	b.identity = must(b.identity.rotate());
	clock.pass(-days(10));
	for (const auto &met : {b_connects(b.trust()), a_connects(b.trust())}) {
		const bool served = reason_of(met.server) == "not_yet_valid";
		const auto &judge = served ? met.server : met.client;
		const auto &other = served ? met.client : met.server;

		EXPECT_EQ(reason_of(judge), "not_yet_valid");
		EXPECT_THAT(sentence_of(judge), HasSubstr("that is valid only from 2027-01-25"));
		EXPECT_THAT(sentence_of(other), HasSubstr("damaged, or not yet valid there"));
	}
}

/* ---- foreign authority ------------------------------------------------------------- */

TEST_F(TrustTls, refuses_a_foreign_authority)
{
	auto paired = b.trust();
	const auto fingerprints = AllOf(HasSubstr(text_of(b.identity.fingerprint())),
					HasSubstr(text_of(c.identity.fingerprint())),
					HasSubstr("somebody else uses its name"));

	/* As if b had got a new identity, or somebody pretended to be b. */
	paired.authority = c.identity.authority();
	paired.crl = "";
	auto met = b_connects(paired);
	EXPECT_EQ(reason_of(met.server), "foreign_authority");
	EXPECT_THAT(sentence_of(met.server), fingerprints);
	EXPECT_EQ(reason_of(met.client), "refused_there");
	EXPECT_THAT(sentence_of(met.client), HasSubstr("is not paired with this host's authority"));
	met = a_connects(paired);
	EXPECT_EQ(reason_of(met.client), "foreign_authority");
	EXPECT_THAT(sentence_of(met.client), fingerprints);
	EXPECT_THAT(sentence_of(met.server), HasSubstr("is not paired with this host's authority"));
}

TEST_F(TrustTls, refuses_a_stranger_unless_pairing_is_open)
{
	const auto come = [&](bool open) {
		return meet(a.identity, {.lookup = knowing({}), .pairing_open = open}, b.identity,
			    a.trust());
	};
	auto met = come(false);

	EXPECT_EQ(reason_of(met.server), "foreign_authority");
	EXPECT_THAT(sentence_of(met.server), HasSubstr("with which no host is paired"));
	met = come(true);
	ASSERT_TRUE(met.server && met.client) << sentence_of(met.server);
	EXPECT_FALSE(met.server->peer().known);
	EXPECT_FALSE(met.client->peer().knows_us);
	EXPECT_EQ(met.server->peer().host.id, b.identity.id());
	EXPECT_EQ(met.server->peer().host.authority, b.identity.authority());
}

TEST_F(TrustTls, pairs_with_the_inviter_and_nobody_else)
{
	const auto join = [&](const Fingerprint &authority) {
		return meet(
			[&](ScopedFd fd) {
				return accept_host(std::move(fd), a.identity,
						   {.lookup = knowing({}), .pairing_open = true});
			},
			[&](ScopedFd fd) {
				return connect_inviter(std::move(fd), b.identity, authority);
			});
	};
	auto met = join(a.identity.fingerprint());

	ASSERT_TRUE(met.server && met.client) << sentence_of(met.client);
	EXPECT_EQ(met.client->peer().host.authority, a.identity.authority());
	EXPECT_FALSE(met.client->peer().known);
	met = join(c.identity.fingerprint());
	EXPECT_EQ(reason_of(met.client), "foreign_authority");
	EXPECT_THAT(sentence_of(met.client), HasSubstr("the token is of authority"));
	EXPECT_EQ(reason_of(met.server), "refused_there");
}

/* ---- revoked ----------------------------------------------------------------------- */

TEST_F(TrustTls, refuses_a_revoked_certificate)
{
	const auto serial = b.identity.serial();
	auto known = b.trust();

	clock.pass(days(1));
	EXPECT_TRUE(must(adopt_crl(known, must(b.identity.rotate()).crl())));
	/* b goes on with its old one. */
	for (const bool served : {true, false}) {
		const auto met = served ? b_connects(known) : a_connects(known);
		const auto &judge = served ? met.server : met.client;
		const auto &other = served ? met.client : met.server;

		EXPECT_EQ(reason_of(judge), "revoked");
		EXPECT_THAT(sentence_of(judge),
			    AllOf(HasSubstr(serial), HasSubstr("was revoked on 2027-01-16")));
		EXPECT_EQ(reason_of(other), "refused_there");
		EXPECT_THAT(sentence_of(other), HasSubstr("it was revoked"));
	}
	b.identity = must(Identity::load(b.path(), {.now = [this] { return clock.now(); }}));
	EXPECT_TRUE(b_connects(known).server);
	EXPECT_TRUE(a_connects(known).client);
}

/* ---- wrong host -------------------------------------------------------------------- */

TEST_F(TrustTls, refuses_another_host_than_the_one_it_expected)
{
	const auto met = a_connects(c.trust());

	EXPECT_EQ(reason_of(met.client), "wrong_host");
	EXPECT_THAT(
		sentence_of(met.client),
		AllOf(HasSubstr(fmt::format("Host 'host-c' ({})", c.identity.id().uuid)),
		      HasSubstr(fmt::format("host 'host-b' ({}) answered", b.identity.id().uuid))));
	EXPECT_EQ(reason_of(met.server), "refused_there");
	EXPECT_THAT(sentence_of(met.server), HasSubstr("it expected another host"));
}

/* b's authority signs that it is c. */
TEST_F(TrustTls, refuses_an_authority_that_signs_for_another_host)
{
	const RawIdentity forged = forged_identity(b, c);
	const auto expect_refused = [&](const Handshake &judge) {
		EXPECT_EQ(reason_of(judge), "wrong_host");
		EXPECT_THAT(sentence_of(judge),
			    HasSubstr(fmt::format("the authority of host {} signed for host {}",
						  b.identity.id().uuid, c.identity.id().uuid)));
	};

	for (const auto &lookup : {knowing({b.trust(), c.trust()}), knowing({})})
		expect_refused(
			accept_raw(a.identity, {.lookup = lookup, .pairing_open = true}, &forged)
				.judge);
	for (const auto &expected : {b.trust(), c.trust()})
		expect_refused(connect_raw(a.identity, expected, &forged).judge);
}

/* ---- without TLS, without a certificate --------------------------------------------- */

TEST_F(TrustTls, refuses_one_that_speaks_without_tls)
{
	const auto say = [](const std::string &text) {
		return [text](ScopedFd fd) {
			(void)!::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
			char ignored[64];
			/* Until it is refused. */
			pollfd wanted{.fd = fd.get(), .events = POLLIN, .revents = 0};
			while (::poll(&wanted, 1, 30000) > 0 &&
			       ::read(fd.get(), ignored, sizeof(ignored)) > 0)
				;
			return Handshake(std::unexpected(Refusal{}));
		};
	};

	for (const char *text : {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"}) {
		const auto met = meet(
			[&](ScopedFd fd) {
				return accept_host(std::move(fd), a.identity,
						   {.lookup = knowing({b.trust()})});
			},
			say(text));
		EXPECT_EQ(reason_of(met.server), "plaintext");
		EXPECT_THAT(sentence_of(met.server), HasSubstr("127.0.0.1 speaks without TLS"));
	}
	/* The last one is what a server of HTTP/2 begins with. */
	for (const auto &text : {std::string("SSH-2.0-OpenSSH_9.2\r\n"),
				 std::string("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", 15)}) {
		const auto met = meet(say(text), [&](ScopedFd fd) {
			return connect_host(std::move(fd), a.identity, b.trust());
		});
		EXPECT_EQ(reason_of(met.client), "plaintext");
		EXPECT_THAT(sentence_of(met.client), HasSubstr("see that the address and port"));
	}
	/* Too little for OpenSSL to have an opinion. */
	const auto met = meet(
		[&](ScopedFd fd) {
			return accept_host(std::move(fd), a.identity,
					   {.lookup = knowing({}), .limit = 200ms});
		},
		say("G"));
	EXPECT_EQ(reason_of(met.server), "plaintext");
}

TEST_F(TrustTls, refuses_one_without_a_certificate)
{
	const auto met = accept_raw(
		a.identity, {.lookup = knowing({b.trust()}), .pairing_open = true}, nullptr);

	EXPECT_EQ(reason_of(met.judge), "no_certificate");
	EXPECT_THAT(sentence_of(met.judge), HasSubstr("shows no certificate"));
	EXPECT_FALSE(met.heard) << "it got a byte from the application";
	EXPECT_EQ(reason_of(connect_raw(a.identity, b.trust(), nullptr).judge), "refused_there");
}

TEST_F(TrustTls, refuses_one_with_half_a_chain_or_another_host_s_key)
{
	RawIdentity alone = raw_identity(b);

	alone.authority.clear();
	auto met = accept_raw(a.identity, {.lookup = knowing({b.trust()})}, &alone);
	EXPECT_EQ(reason_of(met.judge), "malformed");
	EXPECT_THAT(sentence_of(met.judge), HasSubstr("certificates that are none of Corbel's"));
	EXPECT_EQ(reason_of(connect_raw(a.identity, b.trust(), &alone).judge), "malformed");
	RawIdentity mixed = raw_identity(b);
	mixed.authority = c.identity.authority();
	met = accept_raw(a.identity, {.lookup = knowing({b.trust(), c.trust()})}, &mixed);
	EXPECT_EQ(reason_of(met.judge), "malformed");
	EXPECT_FALSE(met.heard);
}

TEST_F(TrustTls, takes_nothing_but_tls_1_3)
{
	RawIdentity old = raw_identity(b);

	old.most = TLS1_2_VERSION;
	EXPECT_EQ(reason_of(accept_raw(a.identity, {.lookup = knowing({b.trust()})}, &old).judge),
		  "protocol");
	EXPECT_FALSE(connect_raw(a.identity, b.trust(), &old).judge);
}

/* ---- removed, silent, gone ---------------------------------------------------------- */

TEST_F(TrustTls, refuses_a_host_that_was_removed)
{
	const Lookup removed = [this](const HostId &) -> Standing {
		return Removed{.name = "old-b", .when = clock.now()};
	};
	auto met = meet(a.identity, {.lookup = removed}, b.identity, a.trust());

	EXPECT_EQ(reason_of(met.server), "removed_host");
	EXPECT_THAT(sentence_of(met.server),
		    AllOf(HasSubstr("was paired once, as 'old-b'"), HasSubstr("on 2027-01-15")));
	EXPECT_EQ(reason_of(met.client), "refused_there");
	EXPECT_THAT(sentence_of(met.client), HasSubstr("was removed there"));
	met = meet(a.identity, {.lookup = removed, .pairing_open = true}, b.identity, a.trust());
	ASSERT_TRUE(met.server);
	EXPECT_FALSE(met.server->peer().known);
}

TEST_F(TrustTls, gives_up_on_one_that_says_nothing)
{
	auto pair = tcp_pair();
	const auto served = accept_host(std::move(pair.server), a.identity,
					{.lookup = knowing({}), .limit = 100ms});

	EXPECT_EQ(reason_of(served), "timeout");
	pair = tcp_pair();
	EXPECT_EQ(reason_of(connect_host(std::move(pair.client), a.identity, b.trust(), 100ms)),
		  "timeout");
	pair = tcp_pair();
	pair.server.reset();
	EXPECT_EQ(reason_of(connect_host(std::move(pair.client), a.identity, b.trust())), "closed");
}

TEST_F(TrustTls, refuses_if_it_cannot_be_found_out_who_it_is)
{
	const auto met = meet(a.identity, {.lookup = [](const HostId &) -> Standing {
				      throw std::runtime_error("The state is gone");
			      }},
			      b.identity, a.trust());

	EXPECT_FALSE(met.server);
	EXPECT_FALSE(met.client);
	EXPECT_THAT(sentence_of(met.server), HasSubstr("The state is gone"));
}

} /* namespace */

} /* namespace corbel::test */
