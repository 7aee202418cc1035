// SPDX-License-Identifier: GPL-2.0-or-later
/* All guests at once: a thousand of them, of which some hang, come and go. */
#include "../qemu/inventory.hh"
#include "../qemu/unix_socket.hh"
#include "fake_qemus.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::qemu;
using namespace std::chrono_literals;
using testing::HasSubstr;

/* Guests that a test makes up. */
class MadeUpGuests final : public GuestSource {
public:
	Result<std::vector<FoundGuest>> find() override
	{
		const std::lock_guard guard(lock);

		searches++;
		if (!error.empty())
			return failure(EIO, error);
		return guests;
	}
	void add(pid_t pid, const std::string &arguments)
	{
		const std::lock_guard guard(lock);

		guests.push_back({.pid = pid,
				  .started = 1,
				  .process = "qemu",
				  .name = fmt::format("vm{}", pid),
				  .vcpus = 2,
				  .command_line = "qemu" + std::string(1, '\0') + arguments,
				  .peer = ::getpid()});
	}

	std::mutex lock;
	std::vector<FoundGuest> guests;
	std::string error;
	unsigned searches = 0;
};

std::string qmp_at(const std::filesystem::path &path)
{
	return "-qmp" + std::string(1, '\0') +
	       fmt::format("unix:{},server=on,wait=off", path.string());
}

class InventoryTest : public testing::Test {
protected:
	void listen(pid_t pid, FakeQemus::Talk talk)
	{
		const auto path = folder.path() / fmt::format("{}", pid);

		qemus.listen(path, std::move(talk));
		source.add(pid, qmp_at(path));
	}
	static std::size_t count_seen(const Snapshot &snapshot)
	{
		return static_cast<std::size_t>(
			std::ranges::count_if(snapshot.guests, [&](const auto &guest) {
				return !guest->monitor.stale(snapshot.taken, 1h);
			}));
	}
	static std::size_t count_refused(const Snapshot &snapshot)
	{
		return static_cast<std::size_t>(
			std::ranges::count_if(snapshot.guests, [&](const auto &guest) {
				return !guest->monitor.error.empty();
			}));
	}
	/* Until @condition holds. */
	template <typename Condition>
	static Snapshot await(const Inventory &inventory, Condition condition)
	{
		for (const auto end = std::chrono::steady_clock::now() + 240s;;) {
			auto snapshot = inventory.snapshot();

			if (condition(snapshot))
				return snapshot;
			if (std::chrono::steady_clock::now() > end)
				throw std::runtime_error(
					fmt::format("waited in vain: {} of {} seen",
						    count_seen(snapshot), snapshot.guests.size()));
			std::this_thread::sleep_for(5ms);
		}
	}

	TemporaryFolder folder;
	MadeUpGuests source;
	FakeQemus qemus;
};

TEST_F(InventoryTest, of_a_thousand_is_complete_but_for_those_that_hang)
{
	constexpr int all = 1000, each_that_hangs = 100, hanging = all / each_that_hangs;
	std::vector<std::chrono::nanoseconds> times;

	for (int i = 1; i <= all; i++)
		listen(i, i % each_that_hangs ? FakeQemus::answer : FakeQemus::hang);
	qemus.start();
	const auto begin = std::chrono::steady_clock::now();
	Inventory inventory(source, {.period = 500ms});
	const auto snapshot = await(inventory, [&](const Snapshot &at) {
		const auto before = std::chrono::steady_clock::now();
		(void)inventory.snapshot();
		times.push_back(std::chrono::steady_clock::now() - before);
		return count_seen(at) == all - hanging && count_refused(at) == hanging;
	});
	const auto took = std::chrono::steady_clock::now() - begin;

	ASSERT_EQ(snapshot.guests.size(), 1000U);
	for (const auto &guest : snapshot.guests) {
		const bool hangs = guest->pid % each_that_hangs == 0;

		EXPECT_FALSE(guest->arguments.stale(snapshot.taken, 1h)) << guest->pid;
		EXPECT_EQ(guest->monitor.seen.has_value(), !hangs) << guest->pid;
		EXPECT_EQ(guest->monitor.facts.status, hangs ? "" : "running");
	}
	const auto json = json_of(snapshot);
	EXPECT_EQ(json["guests"].size(), 1000U);
	EXPECT_EQ(json["guests"][99]["monitor"]["stale"], true);
	EXPECT_EQ(json["guests"][99]["arguments"]["stale"], false);

	while (times.size() < 2000) {
		const auto before = std::chrono::steady_clock::now();
		(void)inventory.snapshot();
		times.push_back(std::chrono::steady_clock::now() - before);
		std::this_thread::sleep_for(200us);
	}
	std::ranges::sort(times);
	fmt::print("# 1000 guests, 10 hang: 990 known after {} ms; a snapshot takes {} us "
		   "(median), {} us (99 of 100), {} us (longest of {})\n",
		   took / 1ms, times[times.size() / 2] / 1us, times[times.size() * 99 / 100] / 1us,
		   times.back() / 1us, times.size());
}

TEST_F(InventoryTest, keeps_what_was_seen_of_a_guest_that_hangs_later)
{
	std::atomic<bool> hangs = false;

	listen(1, [&](int client, const std::string &line) {
		if (!hangs)
			FakeQemus::answer(client, line);
	});
	listen(2, FakeQemus::answer);
	qemus.start();
	Inventory inventory(source, {.period = 20ms});
	await(inventory, [](const Snapshot &at) { return count_seen(at) == 2; });
	hangs = true;
	auto snapshot = await(inventory, [](const Snapshot &at) { return count_refused(at) == 1; });
	EXPECT_EQ(snapshot.guests[0]->monitor.facts.status, "running") << "as it was then";
	EXPECT_TRUE(snapshot.guests[0]->monitor.seen);
	hangs = false;
	await(inventory, [](const Snapshot &at) { return count_seen(at) == 2; });
}

TEST_F(InventoryTest, forgets_who_is_gone_and_says_when_it_cannot_look)
{
	listen(1, FakeQemus::answer);
	listen(2, FakeQemus::answer);
	qemus.start();
	Inventory inventory(source, {.period = 1h});
	await(inventory, [](const Snapshot &at) { return count_seen(at) == 2; });
	{
		const std::lock_guard guard(source.lock);

		source.guests.pop_back();
	}
	inventory.refresh();
	await(inventory, [](const Snapshot &at) { return at.guests.size() == 1; });
	{
		const std::lock_guard guard(source.lock);

		source.error = "There is no /proc.";
	}
	inventory.refresh();
	const auto snapshot =
		await(inventory, [](const Snapshot &at) { return !at.error.empty(); });
	EXPECT_EQ(snapshot.guests.size(), 1U) << "what was known";
	EXPECT_TRUE(snapshot.searched);
}

/* The client of somebody else is neither waited for nor pushed aside. */
TEST_F(InventoryTest, does_not_touch_a_monitor_that_is_in_use)
{
	std::atomic<unsigned> lines = 0;

	listen(1, [&](int client, const std::string &line) {
		lines++;
		FakeQemus::answer(client, line);
	});
	qemus.start();
	const auto other = must(connect_unix(folder.path() / "1", Deadline(60s)));
	Inventory inventory(source, {.period = 10ms});
	const auto snapshot =
		await(inventory, [](const Snapshot &at) { return count_refused(at) == 1; });
	EXPECT_THAT(snapshot.guests[0]->monitor.error, HasSubstr("Somebody else is connected"));
	for (unsigned more = 0; more < 20; more++) {
		const auto before = inventory.snapshot().searched;
		await(inventory, [&](const Snapshot &at) { return at.searched != before; });
	}
	EXPECT_EQ(qemus.clients(), 1U);
	EXPECT_LE(lines, 1U);
}

TEST_F(InventoryTest, never_connects_to_libvirts_monitor)
{
	const auto path = folder.path() / "monitor";

	qemus.listen(path, FakeQemus::answer);
	qemus.start();
	source.add(1, "-name" + std::string(1, '\0') + "guest=web,debug-threads=on" +
			      std::string(1, '\0') + qmp_at(path));
	source.add(2, qmp_at(path));
	source.guests[1].manager = Manager::libvirt;
	source.add(3, "-m" + std::string(1, '\0') + "1G");
	source.add(4, qmp_at(path));
	source.guests[3].same_files = false;
	source.add(5, qmp_at(path.string() + "-none"));
	Inventory inventory(source, {.period = 10ms});
	const auto snapshot =
		await(inventory, [](const Snapshot &at) { return count_refused(at) == 5; });
	EXPECT_EQ(snapshot.guests[0]->manager, Manager::libvirt);
	EXPECT_THAT(snapshot.guests[0]->monitor.error, HasSubstr("libvirt"));
	EXPECT_THAT(snapshot.guests[1]->monitor.error, HasSubstr("libvirt"));
	EXPECT_THAT(snapshot.guests[2]->monitor.error, HasSubstr("no QMP socket"));
	EXPECT_THAT(snapshot.guests[3]->monitor.error, HasSubstr("other files"));
	EXPECT_THAT(snapshot.guests[4]->monitor.error, HasSubstr("Nobody listens"));
	EXPECT_EQ(qemus.clients(), 0U);
}

TEST(SocketTableText, tells_who_is_connected)
{
	const SocketTable table(
		"Num       RefCount Protocol Flags    Type St Inode Path\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 11 /run/free\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 12 /run/a b\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 13 /run/a b\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 14\n"
		"0000000000000000: 00000002 00000000 00000000 0002 01 15 /run/datagrams\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 16 @abstract\n"
		"garbage\n");

	EXPECT_EQ(table.use_of("/run/free"), SocketUse::free);
	EXPECT_EQ(table.use_of("/run/a b"), SocketUse::taken);
	EXPECT_EQ(table.use_of("/run/datagrams"), SocketUse::absent);
	EXPECT_EQ(table.use_of("/run/none"), SocketUse::absent);
}

} /* namespace */

} /* namespace corbel::test */
