// SPDX-License-Identifier: GPL-2.0-or-later
/* Tokens that are pasted wrong, and invitations that are used too late, twice or by guess. */
#include "../state/sqlite_store.hh"
#include "../trust/invitations.hh"
#include "trust_hosts.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using namespace std::chrono_literals;
using testing::HasSubstr;

Token some_token(const std::string &host = "10.0.0.1")
{
	Token token{.inviter = {.host = host, .port = 7464},
		    .authority = sha256("authority"),
		    .invitation = 0x1234567890abcdef,
		    .expires = Time(1'800'000'000s)};

	for (std::size_t i = 0; i < token.secret.size(); i++)
		token.secret[i] = static_cast<std::uint8_t>(i * 17);
	return token;
}

TEST(trust_address, is_written_as_people_do)
{
	for (const char *text : {"10.0.0.1:7464", "[fe80::1]:1", "[::1]:65535", "host-b.example:80",
				 "[fe80::1%eth0]:7464"}) {
		const auto address = address_of(text);
		ASSERT_TRUE(address) << text;
		EXPECT_EQ(text_of(*address), text);
	}
	for (const char *text :
	     {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "a b:1", "fe80::1:7464", "[a]:1",
	      "[]:1", "[fe80::1:1", "-a:1", "a/b:1", "[fe80::1%]:1", "[fe80::1%a b]:1"})
		EXPECT_EQ(error_of(address_of(text)), EINVAL) << text;
}

TEST(trust_token, is_one_word_that_means_all_of_it)
{
	for (const char *host : {"10.0.0.1", "fe80::1", "host-b.example", "b"}) {
		const auto token = some_token(host);
		const auto text = text_of(token);

		EXPECT_TRUE(text.starts_with("corbel1-"));
		EXPECT_EQ(text.find_first_of(" \t\n"), std::string::npos);
		EXPECT_EQ(must(token_of(text)), token);
		EXPECT_EQ(must(token_of(" \t" + text + "\r\n")), token);
	}
}

TEST(trust_token, is_refused_if_a_part_is_missing)
{
	const auto text = text_of(some_token());

	for (std::size_t size = 0; size < text.size(); size++) {
		EXPECT_EQ(error_of(token_of(text.substr(0, size))), EINVAL) << size;
		EXPECT_TRUE(size == 0 || !token_of(text.substr(size))) << size;
	}
	EXPECT_THAT(token_of(text.substr(0, 50)).error().sentence, HasSubstr("is not whole"));
	EXPECT_THAT(token_of("hello").error().sentence, HasSubstr("That is no token"));
}

TEST(trust_token, is_refused_if_one_character_is_wrong)
{
	const auto text = text_of(some_token("host-b.example"));
	unsigned tried = 0;

	for (std::size_t at = 0; at < text.size(); at++)
		for (int c = 0; c < 256; c++) {
			auto wrong = text;
			wrong[at] = static_cast<char>(c);
			if (wrong == text)
				continue;
			ASSERT_FALSE(token_of(wrong)) << at << " " << c;
			tried++;
		}
	EXPECT_GT(tried, 20000U);
	for (std::size_t at = 0; at + 1 < text.size(); at++) {
		auto wrong = text;
		std::swap(wrong[at], wrong[at + 1]);
		EXPECT_TRUE(wrong == text || !token_of(wrong)) << at;
	}
}

TEST(trust_token, of_another_version_is_named_so)
{
	const auto text = "corbel2-" + text_of(some_token()).substr(8);
	const auto token = token_of(text);

	EXPECT_EQ(error_of(token), EPROTO);
	EXPECT_THAT(token.error().sentence, HasSubstr("is of version 2, and this Corbel knows"));
}

TEST(trust_token, survives_wrong_bytes)
{
	std::mt19937 random(6);
	const auto right = text_of(some_token());

	for (int turn = 0; turn < 5000; turn++) {
		std::string wrong = right;
		for (unsigned i = 0; i <= random() % 8; i++)
			wrong[random() % wrong.size()] = static_cast<char>(random());
		if (turn % 3 == 0)
			wrong.insert(random() % wrong.size(), wrong.substr(0, random() % 600));
		EXPECT_TRUE(wrong == right || !token_of(wrong));
	}
}

/* A store, a clock, and what can happen to an invitation. */
class TrustInvitations : public testing::Test {
protected:
	[[nodiscard]] Token make(std::chrono::seconds length = 1h)
	{
		return must(invitations.make({.host = "10.0.0.1", .port = 7464},
					     sha256("authority"), length));
	}

	TemporaryFolder folder;
	TestClock clock;
	std::unique_ptr<state::Store> store = must(
		state::open_sqlite_store(must(state::options_for(folder.path() / "state.sqlite"))));
	Invitations invitations{*store, {.now = [this] { return clock.now(); }, .tries = 3}};
	HostId guest = must(random_host_id());
};

TEST_F(TrustInvitations, let_in_one_host_once)
{
	const auto token = make();

	EXPECT_TRUE(must(invitations.any_open()));
	must(invitations.use(token, guest, {state::Put{"peer", "b"}}));
	EXPECT_EQ(must(store->get("peer"))->value, "b");
	const auto again = invitations.use(token, guest, {state::Put{"peer", "c"}});
	EXPECT_EQ(error_of(again), EALREADY);
	EXPECT_THAT(again.error().sentence, HasSubstr(guest.uuid));
	EXPECT_EQ(must(store->get("peer"))->value, "b");
	EXPECT_FALSE(must(invitations.any_open()));
}

TEST_F(TrustInvitations, keep_no_secret)
{
	const auto token = make();
	const std::string_view secret(reinterpret_cast<const char *>(token.secret.data()),
				      token.secret.size());

	for (const auto &entry : must(store->list("")))
		for (const auto &needle : {std::string(secret), hex_of(secret)})
			EXPECT_EQ((entry.key + entry.value).find(needle), std::string::npos);
}

TEST_F(TrustInvitations, expire_and_are_forgotten)
{
	const auto token = make(10min);

	clock.pass(10min);
	const auto late = invitations.use(token, guest);
	EXPECT_EQ(error_of(late), ETIMEDOUT);
	EXPECT_THAT(late.error().sentence, HasSubstr("The token expired on"));
	EXPECT_FALSE(must(invitations.any_open()));
	clock.pass(25h);
	(void)make();
	EXPECT_EQ(error_of(invitations.use(token, guest)), ENOENT);
	EXPECT_EQ(error_of(invitations.use(some_token(), guest)), ENOENT);
}

TEST_F(TrustInvitations, are_void_after_wrong_tries)
{
	const auto token = make();
	auto wrong = token;

	wrong.secret[3] ^= 1;
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(error_of(invitations.use(wrong, guest)), EACCES);
	EXPECT_EQ(error_of(invitations.use(wrong, guest)), EPERM);
	EXPECT_EQ(error_of(invitations.use(token, guest)), EPERM);
	EXPECT_FALSE(must(invitations.any_open()));
	const auto other = make();
	must(invitations.revoke(other.invitation));
	EXPECT_EQ(error_of(invitations.use(other, guest)), EPERM);
	EXPECT_EQ(error_of(invitations.revoke(some_token().invitation)), ENOENT);
}

/* Only one of those who try at once gets in, and only what it wanted is written. */
TEST_F(TrustInvitations, let_in_one_of_those_who_race)
{
	for (int round = 0; round < 10; round++) {
		const auto token = make();
		const auto key = fmt::format("peer/{}/", round);
		std::atomic<unsigned> ready = 0, used = 0, told = 0;
		std::vector<std::thread> racers;

		for (int i = 0; i < 4; i++)
			racers.emplace_back([&, i] {
				const auto own = must(state::open_sqlite_store(
					must(state::options_for(folder.path() / "state.sqlite"))));
				Invitations mine(*own, {.now = [this] { return clock.now(); }});

				for (ready++; ready < 4;)
					std::this_thread::yield();
				const auto done = mine.use(
					token, guest, {state::Put{key + std::to_string(i), ""}});
				used += done.has_value();
				told += error_of(done) == EALREADY;
			});
		for (auto &racer : racers)
			racer.join();
		EXPECT_EQ(used, 1U);
		EXPECT_EQ(told, 3U);
		EXPECT_EQ(must(store->list(key)).size(), 1U);
	}
}

} /* namespace */

} /* namespace corbel::test */
