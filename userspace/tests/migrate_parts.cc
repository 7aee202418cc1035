// SPDX-License-Identifier: GPL-2.0-or-later
/* What a migration is made of, part by part. */
#include "../corbel/migrate_report.hh"
#include "../corbeld/vm_owner.hh"
#include "../migrate/data_socket.hh"
#include "../migrate/lease.hh"
#include "../migrate/wish.hh"
#include "../qemu/process.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"
#include "wait_until.hh"

#include <libcorbel/text_file.hh>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <future>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace migrate;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char *uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

TEST(migrate_parts, a_session_is_a_uuid)
{
	EXPECT_EQ(must(session_of(uuid))[0], 0x6b);
	EXPECT_EQ(must(session_of(uuid))[15], 0xc8);
	for (const char *wrong : {"", "6ba7b810", "6ba7b810-9dad-41d1-80b4-00c04fd430c8a",
				  "6BA7B810-9dad-41d1-80b4-00c04fd430c8"})
		EXPECT_EQ(error_of(session_of(wrong)), EINVAL) << wrong;
}

TEST(migrate_parts, keys_are_all_different_and_arrive)
{
	const auto keys = must(DataKeys::make());
	const auto there = must(DataKeys::of(keys.bytes()));
	std::set<std::string> seen;

	EXPECT_EQ(keys.bytes(), there.bytes());
	for (unsigned stream = 0; stream < 2; stream++)
		for (const auto &key : {there.to_destination(stream), there.to_source(stream)})
			EXPECT_TRUE(seen.emplace(key.begin(), key.end()).second);
	EXPECT_EQ(error_of(DataKeys::of("")), EINVAL);
	EXPECT_NE(must(DataKeys::make()).bytes(), keys.bytes());
}

TEST(migrate_parts, connections_are_told_apart_and_strangers_sent_away)
{
	const auto listener = must(trust::listen_at({"127.0.0.1", 0}));
	const auto here = must(trust::address_here(listener.get()));
	const auto session = must(session_of(uuid));
	const auto other = must(session_of("00000000-9dad-41d1-80b4-00c04fd430c8"));
	auto accepted = std::async(std::launch::async,
				   [&] { return accept_data(listener, session, 2, nullptr, 20s); });

	const auto stranger = must(connect_data(here, other, 1, nullptr, 5s));
	const auto mine = must(connect_data(here, session, 2, nullptr, 5s));
	const auto theirs = must(accepted.get());
	char byte = 0;
	EXPECT_EQ(::send(mine.demand.get(), "d", 1, 0), 1);
	EXPECT_EQ(::send(mine.push.get(), "p", 1, 0), 1);
	EXPECT_EQ(::recv(theirs.demand.get(), &byte, 1, 0), 1);
	EXPECT_EQ(byte, 'd');
	EXPECT_EQ(::recv(theirs.push.get(), &byte, 1, 0), 1);
	EXPECT_EQ(byte, 'p');
	EXPECT_EQ(::recv(stranger.demand.get(), &byte, 1, 0), 0);
}

TEST(migrate_parts, nobody_is_waited_for_without_end)
{
	const auto listener = must(trust::listen_at({"127.0.0.1", 0}));

	EXPECT_EQ(error_of(accept_data(listener, must(session_of(uuid)), 1, nullptr, 50ms)),
		  ETIMEDOUT);
}

TEST(migrate_parts, a_disk_must_be_the_same)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "disk").string();
	std::ofstream(path) << "twelve bytes";
	const auto vm = must(qemu::description_of(
		fmt::format("name = 'v'\nuuid = '{}'\nmemory = '32M'\naccelerator = 'tcg'\n"
			    "[[disks]]\npath = '{}'\n",
			    uuid, path),
		"test", qemu::FileCheck::no));
	auto wish = must(wish_here(vm, Mode::hybrid, {.rollback = true}));
	wish.plain = true;

	const auto there = must(wish_of(json_of(wish).dump()));
	EXPECT_EQ(there.vm, vm);
	EXPECT_EQ(there.mode, Mode::hybrid);
	EXPECT_TRUE(there.terms.rollback && !there.terms.spill && there.plain);
	EXPECT_EQ(there.disks, wish.disks);
	EXPECT_THAT(obstacles(there), IsEmpty());

	std::filesystem::rename(path, path + ".old");
	EXPECT_THAT(obstacles(there), ElementsAre(HasSubstr("is not there")));
	std::ofstream(path) << "other bytes!";
	EXPECT_THAT(obstacles(there), ElementsAre(HasSubstr("is another disk")));
	wish.disks.clear();
	wish.cpu = {"fpu", "no-such-feature"};
	EXPECT_THAT(obstacles(wish), ElementsAre(HasSubstr("no-such-feature")));
	EXPECT_FALSE(wish_of("{}"));
	EXPECT_FALSE(wish_of(R"({"vm":{"name":"v","memory":"1M"},"mode":"teleport"})"));
}

/* The watcher is a process that is nobody's business. */
TEST(migrate_parts, a_lease_that_passes_stops_its_process)
{
	const TemporaryFolder folder;
	const auto file = folder.path() / "lease";
	const auto guest = ::fork();
	if (guest == 0) {
		::alarm(60);
		for (;;)
			::pause();
	}
	const auto started = qemu::start_of(guest).value();
	const Lease lease(file, guest, started);
	const auto stopped = [&] {
		const auto stat =
			text_of_file(fmt::format("/proc/{}/stat", guest), 4096).value_or("");
		return stat.find(") T ") != stat.npos;
	};

	const auto watcher = ::fork();
	if (watcher == 0)
		::_exit(watch_lease(file, guest, started));
	/* It has not begun. */
	::usleep(300000);
	EXPECT_FALSE(stopped());
	must(lease.extend(now_since_boot() + 1s));
	::usleep(300000);
	EXPECT_FALSE(stopped());
	EXPECT_TRUE(wait_until(stopped));
	EXPECT_GE(now_since_boot(), lease.end());
	must(lease.extend(now_since_boot() + 60s));
	::usleep(100000);
	::kill(guest, SIGCONT);
	EXPECT_TRUE(wait_until([&] { return !stopped(); }));
	/* Never back. */
	must(lease.extend(BootTime(1)));
	EXPECT_GT(lease.end(), now_since_boot());
	must(lease.lift());
	int status = 1;
	::waitpid(watcher, &status, 0);
	EXPECT_EQ(status, 0);
	::kill(guest, SIGKILL);
	::waitpid(guest, nullptr, 0);
}

TEST(migrate_parts, an_older_owner_changes_nothing)
{
	const TemporaryFolder folder;
	const auto store =
		must(state::open_sqlite_store(must(state::options_for(folder.path() / "state"))));

	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "")));
	must(daemon::set_owner(*store, "v", {.epoch = 3, .here = false, .host = "b"}));
	must(daemon::set_owner(*store, "v", {.epoch = 2, .here = true}));
	EXPECT_EQ(must(daemon::owner_of(*store, "v", "")).value().epoch, 3U);
	EXPECT_EQ(must(daemon::owner_of(*store, "v", "")).value().host, "b");
	must(daemon::set_owner(*store, "v", {.epoch = 4, .here = true}));
	EXPECT_TRUE(must(daemon::owner_of(*store, "v", "")).value().here);
}

TEST(migrate_parts, an_owner_is_of_one_vm)
{
	const TemporaryFolder folder;
	const auto store =
		must(state::open_sqlite_store(must(state::options_for(folder.path() / "state"))));

	must(daemon::set_owner(*store, "v",
			       {.epoch = 3, .here = false, .host = "b", .uuid = "one"}));
	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "one")).value().here);
	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "")).value().here);
	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "another")));
	must(daemon::set_owner(*store, "v", {.epoch = 1, .here = true, .uuid = "another"}));
	EXPECT_EQ(must(daemon::owner_of(*store, "v", "another")).value().epoch, 1U);
	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "one")));
}

/* Its epoch stays: it may come here yet from who has it. */
TEST(migrate_parts, an_owner_that_is_gone_is_followed_by_who_says_so)
{
	const TemporaryFolder folder;
	const auto store =
		must(state::open_sqlite_store(must(state::options_for(folder.path() / "state"))));

	must(daemon::claim(*store, "v"));
	EXPECT_FALSE(must(daemon::owner_of(*store, "v", "one")));
	must(daemon::set_owner(*store, "v",
			       {.epoch = 3, .here = false, .host = "b", .uuid = "one"}));
	for (int i = 0; i < 2; i++) {
		must(daemon::claim(*store, "v"));
		EXPECT_TRUE(must(daemon::owner_of(*store, "v", "one")).value().here);
		EXPECT_EQ(must(daemon::owner_of(*store, "v", "one")).value().epoch, 3U);
	}
}

TEST(migrate_parts, a_report_is_of_a_migration)
{
	const cli::Json job{
		{"id", 7},
		{"kind", "vm.migrate"},
		{"state", "done"},
		{"argument", {{"vm", "<v&"}, {"name", "b"}}},
		{"result",
		 {{"outcome", "moved"},
		  {"timeline",
		   {{{"at_ms", 0}, {"phase", "reserve"}, {"what", "begins"}},
		    {{"at_ms", 50}, {"phase", "run"}, {"what", "begins"}}}},
		  {"samples",
		   {{{"at_ms", 60},
		     {"bytes", 8192},
		     {"present", 4096},
		     {"waiting", 1},
		     {"waits", 3}},
		    {{"at_ms", 90}, {"bytes", 8192}, {"present", 8192}, {"waits", 5}}}}}}};
	const auto picture = must(cli::draw_migration(job));

	EXPECT_THAT(picture, testing::StartsWith("<svg"));
	EXPECT_THAT(picture, HasSubstr("&lt;v&amp;"));
	EXPECT_THAT(picture, HasSubstr("100.0 % present"));
	EXPECT_THAT(picture, testing::Not(HasSubstr("nan")));
	auto other = job;
	other["kind"] = "vm.start";
	EXPECT_EQ(error_of(cli::draw_migration(other)), EINVAL);
	other["kind"] = "vm.migrate";
	other["result"] = nullptr;
	EXPECT_EQ(error_of(cli::draw_migration(other)), EINVAL);
}

} /* namespace */

} /* namespace corbel::test */
