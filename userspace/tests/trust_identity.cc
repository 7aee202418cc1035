// SPDX-License-Identifier: GPL-2.0-or-later
/* Who a host is: made and renewed whole or not at all, whoever is killed when. */
#include "../trust/authority.hh"
#include "trust_hosts.hh"

#include <libcorbel/text_file.hh>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/stat.h>
#include <sys/wait.h>

#include <random>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using testing::AllOf;
using testing::HasSubstr;
using std::chrono::days;

namespace fs = std::filesystem;

/* Calls @what in a child that is killed before its change number @at; whether it was. */
template <typename What>
bool is_killed(unsigned at, What what)
{
	const auto child = ::fork();

	if (child == 0) {
		unsigned step = 0;
		const auto done = what([&] {
			if (step++ == at)
				::raise(SIGKILL);
		});
		::_exit(done ? 0 : 1);
	}
	int status = 0;
	::waitpid(child, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "at " << at;
	return WIFSIGNALED(status);
}

TEST(trust_identity, is_made_once_for_its_owner_alone)
{
	const TestClock clock;
	const TestHost host(clock, "host-a");
	const auto &identity = host.identity;

	EXPECT_EQ(identity.name(), "host-a");
	EXPECT_TRUE(host_id_of(identity.id().uuid));
	EXPECT_EQ(identity.not_after(), clock.now() + days(90));
	for (const char *file : {"", "authority.pem", "host.pem"}) {
		struct stat status{};

		ASSERT_EQ(::stat((host.path() / file).c_str(), &status), 0);
		EXPECT_EQ(status.st_mode & 0777, *file ? 0600U : 0700U) << file;
	}
	const auto again = Identity::create(host.path(), "other");
	EXPECT_EQ(error_of(again), EEXIST);
	EXPECT_THAT(again.error().sentence, HasSubstr("There is an identity of this host in"));
	const auto loaded = must(Identity::load(host.path()));
	EXPECT_EQ(loaded.id(), identity.id());
	EXPECT_EQ(loaded.serial(), identity.serial());
	EXPECT_EQ(loaded.fingerprint(), identity.fingerprint());
	EXPECT_EQ(error_of(Identity::load(host.path() / "none")), ENOENT);
	for (const char *name : {"", "a b", "a\n", "\xc3\xa4"})
		EXPECT_EQ(error_of(Identity::create(host.path() / "b", name)), EINVAL);
}

TEST(trust_identity, is_renewed_in_time)
{
	TestClock clock;
	const TestHost host(clock, "host-a");
	auto identity = host.identity;

	EXPECT_FALSE(identity.needs_rotation());
	clock.pass(days(59));
	EXPECT_FALSE(identity.needs_rotation());
	clock.pass(days(2));
	EXPECT_TRUE(identity.needs_rotation());
	const auto renewed = must(identity.rotate());
	EXPECT_FALSE(renewed.needs_rotation());
	clock.pass(-days(30));
	EXPECT_TRUE(renewed.needs_rotation()) << "the clock was ahead";
	clock.pass(days(30));
	EXPECT_EQ(renewed.id(), identity.id());
	EXPECT_EQ(renewed.fingerprint(), identity.fingerprint());
	EXPECT_NE(renewed.key(), identity.key());
	auto list = must(RevocationList::of_pem(renewed.crl()));
	EXPECT_EQ(list.when(identity.serial()), clock.now());
	EXPECT_FALSE(list.when(renewed.serial()));
	/* By one who read it before the other did so. */
	const auto twice = must(identity.rotate());
	list = must(RevocationList::of_pem(twice.crl()));
	EXPECT_EQ(list.number(), 3U);
	EXPECT_TRUE(list.when(renewed.serial()));
	EXPECT_TRUE(list.when(identity.serial()));
}

TEST(trust_identity, is_made_whole_or_not_at_all)
{
	const TemporaryFolder folder;
	const auto place = folder.path() / "trust";
	unsigned at = 0, none = 0, whole = 0;

	for (bool killed = true; killed; at++) {
		killed = is_killed(at, [&](std::function<void()> step) {
			return Identity::create(place, "host-a", {.step = std::move(step)});
		});
		const auto left = Identity::load(place);
		none += !left;
		whole += left.has_value();
		if (!left) {
			EXPECT_EQ(error_of(left), ENOENT) << "at " << at;
			continue; /* what was left is in the way of nobody */
		}
		EXPECT_EQ(left->name(), "host-a");
		fs::remove_all(place);
	}
	EXPECT_GT(none, 10U);
	EXPECT_GE(whole, 2U);
	EXPECT_FALSE(fs::exists(folder.path() / "trust.new"));
}

TEST(trust_identity, is_renewed_whole_or_not_at_all)
{
	const TestClock clock;
	const TestHost host(clock, "host-a");
	unsigned old = 0, renewed = 0;

	for (unsigned at = 0;; at++) {
		const auto before = must(Identity::load(host.path()));
		const bool killed = is_killed(at, [&](std::function<void()> step) {
			return must(Identity::load(host.path(), {.step = std::move(step)}))
				.rotate();
		});
		const auto after = must(Identity::load(host.path()));
		const auto list = must(RevocationList::of_pem(after.crl()));

		EXPECT_FALSE(list.when(after.serial())) << "at " << at;
		EXPECT_EQ(list.when(before.serial()).has_value(),
			  after.serial() != before.serial());
		(after.serial() == before.serial() ? old : renewed)++;
		if (!killed)
			break;
	}
	EXPECT_GT(old, 3U);
	EXPECT_GE(renewed, 2U);
}

TEST(trust_identity, is_refused_if_others_could_read_it)
{
	const TestClock clock;
	const TestHost host(clock, "host-a");

	for (const char *file : {"authority.pem", "host.pem", ""}) {
		const auto path = *file ? host.path() / file : host.path();
		const auto right = fs::status(path).permissions();

		fs::permissions(path, fs::perms::group_read, fs::perm_options::add);
		const auto loaded = Identity::load(host.path());
		ASSERT_EQ(error_of(loaded), EACCES) << file;
		EXPECT_THAT(loaded.error().sentence, AllOf(HasSubstr(path), HasSubstr("has mode")));
		EXPECT_EQ(error_of(host.identity.rotate()), EACCES);
		fs::permissions(path, right);
	}
	EXPECT_TRUE(Identity::load(host.path()));
}

TEST(trust_identity, is_refused_if_its_parts_do_not_belong_together)
{
	const TestClock clock;
	const TestHost host(clock, "host-a"), other(clock, "host-b");

	for (const char *file : {"authority.pem", "host.pem"}) {
		const auto path = host.path() / file;
		const auto right = *text_of_file(path);

		std::ofstream(path) << *text_of_file(other.path() / file);
		auto loaded = Identity::load(host.path());
		EXPECT_EQ(error_of(loaded), EUCLEAN) << file;
		EXPECT_THAT(loaded.error().sentence, HasSubstr("host.pem"));
		for (const auto &text : {std::string(), right.substr(0, right.size() / 2)}) {
			std::ofstream(path) << text;
			loaded = Identity::load(host.path());
			EXPECT_EQ(error_of(loaded), EUCLEAN) << file;
			EXPECT_THAT(loaded.error().sentence, HasSubstr(path));
		}
		std::ofstream(path) << right;
	}
	const auto path = host.path() / "host.pem";
	std::ofstream(path) << host.identity.certificate() << other.identity.key()
			    << host.identity.crl();
	const auto loaded = Identity::load(host.path());
	EXPECT_EQ(error_of(loaded), EUCLEAN);
	EXPECT_THAT(loaded.error().sentence, HasSubstr("the key in it is not that of"));
}

/* Any byte may be wrong: an error, or what is as good as before; never a crash. */
TEST(trust_identity, survives_wrong_bytes)
{
	const TestClock clock;
	const TestHost host(clock, "host-a");
	std::mt19937 random(5);
	unsigned refused = 0;

	for (const char *file : {"authority.pem", "host.pem"}) {
		const auto path = host.path() / file;
		const auto right = *text_of_file(path);

		for (int turn = 0; turn < 150; turn++) {
			auto wrong = right;
			wrong[random() % wrong.size()] = static_cast<char>(random());
			if (turn % 5 == 0)
				wrong.resize(random() % wrong.size());
			std::ofstream(path, std::ios::binary) << wrong;
			const auto loaded = Identity::load(host.path());
			refused += !loaded;
			EXPECT_TRUE(!loaded || loaded->id() == host.identity.id());
		}
		std::ofstream(path) << right;
	}
	EXPECT_GT(refused, 250U);
}

} /* namespace */

} /* namespace corbel::test */
