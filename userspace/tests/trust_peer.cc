// SPDX-License-Identifier: GPL-2.0-or-later
/* What is kept of a paired host: damaged, forged, and made to forget. */
#include "trust_hosts.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using testing::HasSubstr;

TEST(trust_peer, is_kept_as_json)
{
	const TestClock clock;
	const TestHost host(clock, "host-b");
	auto peer = host.trust();

	EXPECT_EQ(must(peer_of(json_of(peer).dump())), peer);
	peer.crl = "";
	EXPECT_EQ(must(peer_of(json_of(peer).dump())), peer);
}

TEST(trust_peer, is_refused_if_its_parts_do_not_belong_together)
{
	const TestClock clock;
	const TestHost host(clock, "host-b"), other(clock, "host-c");
	const auto refused = [&](auto change) {
		auto peer = host.trust();

		change(peer);
		const auto read = peer_of(json_of(peer).dump());
		EXPECT_EQ(error_of(read), EUCLEAN);
		return read ? "" : read.error().sentence;
	};

	EXPECT_THAT(refused([&](auto &peer) { peer.authority = other.identity.authority(); }),
		    HasSubstr("its authority is that of another host"));
	EXPECT_THAT(refused([&](auto &peer) { peer.authority = peer.crl; }),
		    HasSubstr("no certificate that can be read"));
	EXPECT_THAT(refused([&](auto &peer) { peer.authority = host.identity.certificate(); }),
		    HasSubstr("not that of an authority"));
	EXPECT_THAT(refused([&](auto &peer) { peer.crl = other.identity.crl(); }),
		    HasSubstr("is not by its authority"));
	EXPECT_THAT(refused([&](auto &peer) { peer.id.uuid = "x"; }), HasSubstr("its id is none"));
	EXPECT_THAT(refused([&](auto &peer) { peer.name = "\x1b[2J"; }),
		    HasSubstr("its name is none"));
	EXPECT_THAT(refused([&](auto &peer) { peer.address = "nowhere"; }),
		    HasSubstr("An address is written"));
	EXPECT_EQ(error_of(peer_of("")), EUCLEAN);
	EXPECT_EQ(error_of(peer_of(R"({"id": 5})")), EUCLEAN);
}

TEST(trust_peer, takes_newer_revocation_lists_only)
{
	const TestClock clock;
	const TestHost host(clock, "host-b"), other(clock, "host-c");
	const auto second = must(host.identity.rotate()).crl();
	const auto third = must(host.identity.rotate()).crl();
	auto peer = host.trust();

	EXPECT_FALSE(must(adopt_crl(peer, peer.crl)));
	EXPECT_TRUE(must(adopt_crl(peer, third)));
	EXPECT_EQ(peer.crl, third);
	const auto older = adopt_crl(peer, second);
	EXPECT_EQ(error_of(older), ESTALE);
	EXPECT_THAT(older.error().sentence, HasSubstr("it is number 2, and number 3 is held"));
	EXPECT_EQ(error_of(adopt_crl(peer, other.identity.crl())), EKEYREJECTED);
	EXPECT_EQ(error_of(adopt_crl(peer, "-----BEGIN X509 CRL-----\n")), EINVAL);
	EXPECT_EQ(peer.crl, third);
	peer.crl = "";
	EXPECT_TRUE(must(adopt_crl(peer, second)));
}

/* Any byte may be wrong: an error, or a peer that passes its check; never a crash. */
TEST(trust_peer, survives_wrong_bytes)
{
	const TestClock clock;
	const TestHost host(clock, "host-b");
	const auto right = json_of(host.trust()).dump();
	std::mt19937 random(7);
	unsigned refused = 0;

	for (int turn = 0; turn < 600; turn++) {
		auto wrong = right;
		for (unsigned i = 0; i <= random() % 3; i++)
			wrong[random() % wrong.size()] = static_cast<char>(random());
		if (turn % 5 == 0)
			wrong.resize(random() % wrong.size());
		const auto read = peer_of(wrong);
		refused += !read;
		EXPECT_TRUE(!read || check(*read));
		for (const auto &pem :
		     {host.identity.certificate(), host.identity.crl(), host.identity.key()}) {
			auto bad = pem;
			bad[random() % bad.size()] = static_cast<char>(random());
			if (const auto certificate = Certificate::of_pem(bad)) {
				(void)certificate->check_leaf();
				(void)certificate->check_authority();
				(void)certificate->serial();
			}
			(void)RevocationList::of_pem(bad);
			(void)key_of_pem(bad);
		}
	}
	EXPECT_GT(refused, 400U);
}

} /* namespace */

} /* namespace corbel::test */
