// SPDX-License-Identifier: GPL-2.0-or-later
/* Disks that move along, at the destination. */
#include "../migrate/storage.hh"

#include "temporary_folder.hh"

#include <libcorbel/text_file.hh>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace corbel::test {

namespace {

using namespace migrate;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t size = 1 << 20;

Wish wish_for(const std::string &path)
{
	Wish wish;

	wish.vm.name = "v";
	wish.vm.uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	wish.vm.memory = std::uint64_t{32} << 20;
	wish.vm.accelerator = "tcg";
	wish.vm.disks.push_back({.path = path});
	wish.disks.push_back({path, size, "file 7"});
	wish.plain = wish.storage = true;
	return wish;
}

/* Two sockets, of which one is given away. */
std::array<ScopedFd, 2> pair()
{
	std::array<int, 2> fds{};

	EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
	return {ScopedFd(fds[0]), ScopedFd(fds[1])};
}

std::string take(int fd, std::size_t length)
{
	std::string text(length, '\0');
	std::size_t done = 0;

	while (done < length) {
		const auto count = ::read(fd, text.data() + done, length - done);
		if (count <= 0)
			break;
		done += static_cast<std::size_t>(count);
	}
	text.resize(done);
	return text;
}

} /* namespace */

TEST(migrate_storage, what_is_not_there_comes_if_it_shall)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "disk").string();
	auto wish = wish_for(path);

	EXPECT_THAT(disks_to_come(wish), ElementsAre(0));
	EXPECT_THAT(obstacles(wish), IsEmpty());
	EXPECT_TRUE(wish_of(json_of(wish).dump()).value().storage);
	wish.storage = false;
	EXPECT_THAT(disks_to_come(wish), IsEmpty());
	EXPECT_THAT(obstacles(wish), ElementsAre(HasSubstr("--storage")));
	/* What is there is never written over. */
	wish.storage = true;
	std::ofstream(path) << "somebody's";
	EXPECT_THAT(disks_to_come(wish), IsEmpty());
	EXPECT_THAT(obstacles(wish), ElementsAre(HasSubstr("is another disk")));
	/* Not even a name that leads nowhere. */
	std::filesystem::remove(path);
	std::filesystem::create_symlink("/no/such/disk", path);
	EXPECT_THAT(disks_to_come(wish), IsEmpty());
	EXPECT_THAT(obstacles(wish), ElementsAre(HasSubstr("is not there")));
}

TEST(migrate_storage, says_what_cannot_come)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "disk").string();
	const auto changed = [&](auto change) {
		auto wish = wish_for(path);

		change(wish);
		return obstacles(wish);
	};

	EXPECT_THAT(changed([](Wish &w) { w.vm.disks[0].read_only = true; }),
		    ElementsAre(HasSubstr("copy it there")));
	EXPECT_THAT(changed([](Wish &w) { w.vm.disks[0].format = "qcow2"; }),
		    ElementsAre(AllOf(HasSubstr("format is qcow2"), HasSubstr("convert -O raw"))));
	EXPECT_THAT(changed([](Wish &w) { w.disks[0].identity = "device"; }),
		    ElementsAre(HasSubstr("is a device")));
	/* A LUN under QoS, and a volume where nobody has pools. */
	EXPECT_THAT(changed([](Wish &w) {
			    w.disks[0].path = w.vm.disks[0].path = "/dev/mapper/corbel-qos-lun";
			    w.disks[0].identity = "CORBEL-QOS-6ba7b810";
		    }),
		    Contains(HasSubstr("is a device")));
	EXPECT_THAT(changed([](Wish &w) {
			    w.disks[0].path = w.vm.disks[0].path = "/dev/mapper/corbel-vms-web";
			    w.disks[0].identity = "CORBEL-6ba7b810-1";
		    }),
		    ElementsAre(HasSubstr("no pools there")));
	EXPECT_THAT(changed([](Wish &w) { w.disks[0].size = std::uint64_t{1} << 60; }),
		    ElementsAre(HasSubstr("are free")));
	EXPECT_THAT(changed([](Wish &w) {
			    w.disks[0].path = w.vm.disks[0].path = "/no/such/folder/disk";
		    }),
		    ElementsAre(HasSubstr("no folder /no/such/folder")));
	/* A source that says one thing here and another one there. */
	EXPECT_THAT(changed([](Wish &w) { w.vm.disks[0].path = "/etc/passwd"; }),
		    ElementsAre(HasSubstr("no disk of the VM")));
	EXPECT_THAT(changed([](Wish &w) { w.vm.disks.clear(); }),
		    ElementsAre(HasSubstr("no disk of the VM")));
}

TEST(migrate_storage, is_all_allocated_and_removed_again)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "disk").string();
	MadeDisk disk{.number = 0, .path = path};
	struct stat facts{};
	bool kept = false;

	ASSERT_TRUE(make_disk(disk, "s", size, [&]() -> Result<void> {
		/* What is written down before it has its place. */
		kept = disk.inode != 0 && !std::filesystem::exists(path);
		return {};
	}));
	EXPECT_TRUE(kept);
	ASSERT_EQ(::stat(path.c_str(), &facts), 0);
	EXPECT_EQ(static_cast<std::uint64_t>(facts.st_size), size);
	EXPECT_GE(static_cast<std::uint64_t>(facts.st_blocks) * 512, size);
	EXPECT_EQ(facts.st_ino, disk.inode);
	EXPECT_EQ(facts.st_mode & 0777, 0600U);
	ASSERT_TRUE(remove_disk(disk, "s"));
	ASSERT_TRUE(remove_disk(disk, "s"));
	EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(migrate_storage, leaves_alone_what_somebody_else_has_put_there)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "disk").string();
	MadeDisk disk{.number = 0, .path = path};
	const auto put = [&]() -> Result<void> {
		std::ofstream(path) << "somebody's";
		return {};
	};

	const auto made = make_disk(disk, "s", size, put);
	ASSERT_FALSE(made);
	EXPECT_EQ(made.error().number, EEXIST);
	ASSERT_TRUE(remove_disk(disk, "s"));
	EXPECT_EQ(text_of_file(path, 100).value(), "somebody's");
	/* Also without a word of what it was: a daemon that was killed before it could say. */
	disk.inode = 0;
	ASSERT_TRUE(remove_disk(disk, "s"));
	EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(migrate_storage, nothing_is_left_of_one_for_which_there_is_no_space)
{
	const TemporaryFolder folder;
	MadeDisk disk{.number = 0, .path = (folder.path() / "disk").string()};

	EXPECT_FALSE(make_disk(disk, "s", std::uint64_t{1} << 50, [] { return Result<void>(); }));
	ASSERT_TRUE(remove_disk(disk, "s"));
	EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(migrate_storage, a_bridge_carries_both_ways_and_ends)
{
	auto [here, one] = pair();
	auto [there, other] = pair();
	const std::string much(std::size_t{3} << 20, 'm');
	{
		const Bridge bridge(std::move(one), std::move(other));

		std::jthread writer([&] {
			EXPECT_EQ(::send(here.get(), much.data(), much.size(), 0),
				  static_cast<ssize_t>(much.size()));
			::shutdown(here.get(), SHUT_WR);
		});
		EXPECT_EQ(take(there.get(), much.size() + 1), much);
		/* The other direction goes on. */
		EXPECT_EQ(::send(there.get(), "back", 4, 0), 4);
		EXPECT_EQ(take(here.get(), 4), "back");
	}
	EXPECT_EQ(take(here.get(), 1), "");
}

TEST(migrate_storage, a_bridge_ends_when_nobody_takes_what_it_carries)
{
	auto [here, one] = pair();
	auto [there, other] = pair();
	const Bridge bridge(std::move(one), std::move(other));
	const std::string part(4096, 'p');

	there = ScopedFd();
	for (;;)
		if (::send(here.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0)
			break;
	SUCCEED();
}

TEST(migrate_storage, a_connection_is_asked_for_by_the_number_of_the_disk)
{
	EXPECT_EQ(disk_of_use(use_of_disk(12)), 12U);
	EXPECT_EQ(disk_of_use("pager"), std::nullopt);
	EXPECT_EQ(disk_of_use("disk:"), std::nullopt);
	EXPECT_EQ(disk_of_use("disk:1x"), std::nullopt);
}

} /* namespace corbel::test */
