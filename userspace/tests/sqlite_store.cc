// SPDX-License-Identifier: GPL-2.0-or-later
/* The state of one host: what every store does, and that no death of it loses any. */
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "store_suite.hh"
#include "temporary_folder.hh"

#include <libcorbel/text_file.hh>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <thread>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::state;
using namespace std::chrono_literals;
using testing::HasSubstr;

class SqlitePlace final : public StorePlace {
public:
	std::unique_ptr<Store> open() override { return must(open_sqlite_store(options())); }
	void pass(std::chrono::milliseconds time) override { now_ += time.count(); }

	SqliteOptions options()
	{
		return {.path = path(),
			.kept_versions = kept,
			.now = [this] { return std::chrono::milliseconds(now_.load()); },
			.boot_id = boot};
	}
	[[nodiscard]] std::string path() const { return folder_.path() / "state.sqlite"; }
	[[nodiscard]] const TemporaryFolder &folder() const { return folder_; }

	Version kept = 10000;
	std::string boot = "first";

private:
	TemporaryFolder folder_;
	std::atomic<std::int64_t> now_ = 1000;
};

INSTANTIATE_TEST_SUITE_P(sqlite, StoreSuite,
			 testing::Values(StoreKind{"sqlite",
						   [] { return std::make_unique<SqlitePlace>(); }}),
			 [](const auto &info) { return std::string(info.param.name); });

Result<Outcome> put(Store &store, const std::string &key, const std::string &value,
		    LeaseId lease = 0)
{
	return store.commit({.conditions = {}, .changes = {Put{key, value, lease}}});
}

int error_of(SqliteOptions options, std::string &sentence)
{
	const auto opened = open_sqlite_store(std::move(options));

	sentence = opened ? "" : opened.error().sentence;
	return opened ? 0 : opened.error().number;
}

void run_sql(const std::string &path, const char *sql)
{
	sqlite3 *database = nullptr;

	ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
	EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
	sqlite3_close(database);
}

TEST(sqlite_store, is_for_its_owner_alone)
{
	SqlitePlace place;
	auto store = place.open();

	ASSERT_TRUE(put(*store, "secret", "1"));
	for (const char *end : {"", "-wal", "-shm"}) {
		struct stat status{};

		ASSERT_EQ(::stat((place.path() + end).c_str(), &status), 0) << end;
		EXPECT_EQ(status.st_mode & 0777, 0600U) << end;
	}
}

TEST(sqlite_store, leases_end_with_the_boot)
{
	SqlitePlace place;
	auto store = place.open();
	const auto lease = store->grant(1h);

	ASSERT_TRUE(lease && put(*store, "mine", "1", *lease));
	place.boot = "second";
	EXPECT_FALSE(place.open()->get("mine")->has_value());
}

TEST(sqlite_store, says_when_changes_are_no_longer_known)
{
	SqlitePlace place;

	place.kept = 10;
	auto store = place.open();
	for (int i = 0; i < 25; i++)
		ASSERT_TRUE(put(*store, "a", fmt::format("{}", i)));
	EXPECT_EQ(store->changes("", 15)->size(), 10U);
	const auto lost = store->changes("", 14);
	ASSERT_FALSE(lost);
	EXPECT_EQ(lost.error().number, ESTALE);
	EXPECT_EQ(store->changes("unchanged", 14).error().number, ESTALE);
}

TEST(sqlite_store, refuses_what_it_does_not_know_and_leaves_it_alone)
{
	SqlitePlace place;
	std::string sentence;

	run_sql(place.path(), "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
	const auto before = text_of_file(place.path());
	EXPECT_EQ(error_of(place.options(), sentence), EINVAL);
	EXPECT_THAT(sentence, HasSubstr("not one of Corbel's"));
	EXPECT_EQ(text_of_file(place.path()), before);
}

TEST(sqlite_store, refuses_a_newer_version_and_names_both)
{
	SqlitePlace place;
	std::string sentence;

	(void)place.open();
	run_sql(place.path(), "PRAGMA user_version = 9");
	EXPECT_EQ(error_of(place.options(), sentence), EPROTO);
	EXPECT_THAT(sentence, HasSubstr("schema 9, this one knows 1"));
}

TEST(sqlite_store, refuses_a_damaged_file)
{
	SqlitePlace place;
	std::string sentence;

	place.folder().write("state.sqlite", std::string(5000, 'x'));
	EXPECT_EQ(error_of(place.options(), sentence), EUCLEAN);
	EXPECT_THAT(sentence, HasSubstr(place.path()));
	auto options = place.options();
	options.path = place.folder().path() / "no" / "folder";
	EXPECT_EQ(error_of(options, sentence), ENOENT);
}

/* Any byte of the file may be wrong: an error or an answer, never a crash. */
TEST(sqlite_store, survives_wrong_bytes)
{
	SqlitePlace place;
	std::mt19937 random(3);
	{
		auto store = place.open();
		for (int i = 0; i < 100; i++)
			ASSERT_TRUE(put(*store, fmt::format("key {}", i), std::string(50, 'v')));
	}
	run_sql(place.path(), "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
	const auto good = *text_of_file(place.path());
	unsigned refused = 0;

	for (int turn = 0; turn < 150; turn++) {
		auto bad = good;
		for (int i = 0; i < 4; i++)
			bad[random() % bad.size()] = static_cast<char>(random());
		if (turn % 5 == 0)
			bad.resize(random() % bad.size());
		for (const char *end : {"-wal", "-shm"})
			::unlink((place.path() + end).c_str());
		place.folder().write("state.sqlite", bad);
		auto store = open_sqlite_store(place.options());
		refused += !store;
		if (store) {
			(void)(*store)->list("");
			(void)put(**store, "key 5", "new");
		}
	}
	EXPECT_GT(refused, 20U);
}

/*
 * Killed at any moment: all that was said to be done is there, and nothing is there in
 * part. The child says the number of each transaction once it is committed.
 */
TEST(sqlite_store, loses_nothing_when_killed)
{
	SqlitePlace place;
	std::mt19937 random(4);
	unsigned long last = 0;

	for (int round = 0; round < 40; round++) {
		int said[2];
		ASSERT_EQ(::pipe(said), 0);
		const auto child = ::fork();
		if (child == 0) {
			auto store = open_sqlite_store(place.options());
			for (auto n = last + 1; store; n++) {
				const auto text = fmt::format("{}", n);
				const Transaction pair{
					.conditions = {},
					.changes = {Put{"left", text},
						    Put{"right", text + std::string(3000, '.')}}};
				if (!(*store)->commit(pair) ||
				    ::write(said[1], &n, sizeof(n)) != sizeof(n))
					break;
			}
			::_exit(1);
		}
		::close(said[1]);
		std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
		::kill(child, SIGKILL);
		for (unsigned long n = 0; ::read(said[0], &n, sizeof(n)) == sizeof(n);)
			last = std::max(last, n);
		::close(said[0]);
		int status = 0;
		::waitpid(child, &status, 0);
		ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
		auto store = place.open();
		const auto left = *store->get("left"), right = *store->get("right");
		ASSERT_EQ(left.has_value(), right.has_value());
		if (!left)
			continue;
		EXPECT_EQ(left->value, right->value.substr(0, right->value.find('.')));
		EXPECT_EQ(left->changed, right->changed);
		EXPECT_GE(std::stoul(left->value), last) << "what was committed is gone";
		last = std::max(last, std::stoul(left->value));
	}
	EXPECT_GT(last, 20U) << "hardly anything was done";
}

/* A full disk refuses what is new; what is there stays, and all goes on once there is room. */
TEST(sqlite_store, loses_nothing_when_there_is_no_room)
{
	SqlitePlace place;
	const auto child = ::fork();

	if (child == 0) {
		auto store = place.open();
		if (!put(*store, "kept", "1"))
			::_exit(2);
		::signal(SIGXFSZ, SIG_IGN);
		rlimit limit{};
		::getrlimit(RLIMIT_FSIZE, &limit);
		const auto room = limit.rlim_cur;
		limit.rlim_cur = 200 * 1024;
		::setrlimit(RLIMIT_FSIZE, &limit);
		int error = 0, done = 0;
		while (!error && done < 100) {
			const auto outcome =
				put(*store, fmt::format("k{}", done), std::string(20000, 'v'));
			error = outcome ? 0 : outcome.error().number;
			done += outcome.has_value();
		}
		limit.rlim_cur = room;
		::setrlimit(RLIMIT_FSIZE, &limit);
		if (error != ENOSPC && error != EIO)
			::_exit(3);
		if (store->list("k")->size() != static_cast<std::size_t>(done) + 1)
			::_exit(4);
		::_exit(put(*store, "after", "1") ? 0 : 5);
	}
	int status = 0;
	::waitpid(child, &status, 0);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(WEXITSTATUS(status), 0);
	auto store = place.open();
	EXPECT_EQ((*store->get("kept"))->value, "1");
	EXPECT_EQ((*store->get("after"))->value, "1");
}

TEST(sqlite_store, has_the_clock_of_this_host)
{
	TemporaryFolder folder;
	const auto options = options_for(folder.path() / "state.sqlite");

	ASSERT_TRUE(options);
	EXPECT_GE(options->boot_id.size(), 36U);
	const auto now = options->now();
	EXPECT_GT(now.count(), 0);
	EXPECT_LE(now, options->now());
}

} /* namespace */

} /* namespace corbel::test */
