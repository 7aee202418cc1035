// SPDX-License-Identifier: GPL-2.0-or-later
#include "../containers/images.hh"
#include "../containers/journal.hh"
#include "../containers/leaving.hh"
#include "../containers/missing.hh"
#include "../containers/reserve.hh"
#include "../containers/wish.hh"

#include "temporary_folder.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace corbel::containers {
namespace {

using test::TemporaryFolder;

constexpr std::uint64_t in_parent = 1, lazy = 2, present = 4;

std::string little(std::uint32_t number)
{
	std::string bytes;

	for (unsigned shift = 0; shift < 32; shift += 8)
		bytes += static_cast<char>(number >> shift);
	return bytes;
}

/* Of protobuf. */
std::string field(unsigned number, std::uint64_t value)
{
	std::string bytes(1, static_cast<char>(number << 3));

	for (; value >= 0x80; value >>= 7)
		bytes += static_cast<char>(value | 0x80);
	return bytes + static_cast<char>(value);
}

std::string message(const std::string &bytes)
{
	return little(static_cast<std::uint32_t>(bytes.size())) + bytes;
}

std::string head(std::uint32_t file)
{
	return little(0x54564319) + little(0x56084025) + message(field(1, file));
}

std::string entry(std::uint64_t address, std::uint64_t pages, std::uint64_t flags)
{
	return message(field(1, address) + field(2, pages) + field(4, flags));
}

/* ---- images ------------------------------------------------------------------------ */

TEST(ContainerImages, PagesAreReadInTheirOrder)
{
	const auto map = page_map_of(head(7) + entry(0x1000, 2, present) +
					     entry(0x7f0000000000, 1024, present | lazy) +
					     entry(0x7f0000500000, 3, 0),
				     "pagemap-1.img");

	ASSERT_TRUE(map) << map.error().sentence;
	EXPECT_EQ(map->file, 7U);
	EXPECT_EQ(map->runs,
		  (std::vector<PageRun>{{0x1000, 2, false}, {0x7f0000000000, 1024, true}}));
}

TEST(ContainerImages, EntriesWithoutFlagsAreHere)
{
	const auto map = page_map_of(head(1) + message(field(1, 0x1000) + field(2, 1)), "x");

	ASSERT_TRUE(map);
	EXPECT_EQ(map->runs.size(), 1U);
	EXPECT_FALSE(
		page_map_of(head(1) + message(field(1, 0x1000) + field(2, 1) + field(3, 1)), "x"));
}

TEST(ContainerImages, FieldsOfLaterVersionsArePassedOver)
{
	const std::string later = std::string("\x2a\x03", 2) + "abc" + field(9, 5) +
				  std::string("\x51", 1) + std::string(8, 'x') +
				  std::string("\x5d", 1) + std::string(4, 'y');
	const auto map = page_map_of(
		head(1) + message(later + field(1, 0x2000) + field(2, 3) + field(4, present)), "x");

	ASSERT_TRUE(map) << map.error().sentence;
	EXPECT_EQ(map->runs, (std::vector<PageRun>{{0x2000, 3, false}}));
}

TEST(ContainerImages, WhatCannotBeIsRefused)
{
	const auto good = entry(0x4000, 2, present);

	for (const auto &bytes :
	     {std::string(), head(1).substr(0, 11), little(1) + little(2), head(1) + "\1",
	      head(1) + entry(0x4001, 1, present), head(1) + entry(0x4000, 0, present),
	      head(1) + entry(0x4000, 1, in_parent), head(1) + good + entry(0x5000, 1, present),
	      head(1) + good + good, head(1) + entry(~std::uint64_t{0xfff}, 2, present),
	      head(1) + entry(0, std::uint64_t{1} << 40, present), head(1) + message(field(2, 1)),
	      head(1) + little(5) + "abc", head(1) + message(std::string(11, '\xff'))}) {
		const auto map = page_map_of(bytes, "pagemap-3.img");

		ASSERT_FALSE(map) << bytes.size();
		EXPECT_EQ(map.error().number, EBADMSG);
		EXPECT_TRUE(map.error().sentence.contains("pagemap-3.img"));
	}
}

TEST(ContainerImages, EachPageHasOnePlace)
{
	const TemporaryFolder folder;

	folder.write("pagemap-2.img", head(5) + entry(0x1000, 4, present | lazy));
	folder.write("pagemap-11.img",
		     head(9) + entry(0x1000, 1, present) + entry(0x9000, 2, present | lazy));
	folder.write("pagemap-shmem-77.img", head(1) + entry(0, 3, present));
	folder.write("pagemap-x.img", "none");
	const auto layout = layout_of(folder.path());

	ASSERT_TRUE(layout) << layout.error().sentence;
	EXPECT_EQ(layout->pages, 10U);
	ASSERT_EQ(layout->runs.size(), 4U);
	std::uint64_t next = 0;
	for (const auto &placed : layout->runs) {
		EXPECT_EQ(placed.page, next);
		next += placed.run.pages;
	}
	EXPECT_EQ(layout->runs[1].file_page, 1U);
	EXPECT_EQ(layout->runs[3].process, 0);
	EXPECT_EQ(layout->files, (std::map<std::uint32_t, std::uint64_t>{{1, 3}, {5, 4}, {9, 3}}));
}

TEST(ContainerImages, AFolderWithoutAnyIsTold)
{
	const TemporaryFolder folder;
	const auto layout = layout_of(folder.path());

	ASSERT_FALSE(layout);
	EXPECT_EQ(layout.error().number, ENOENT);
}

TEST(ContainerImages, AllButPagesIsHandedOver)
{
	const TemporaryFolder folder, there;
	const std::string binary("a\0b", 3);

	folder.write("core-1.img", binary);
	folder.write("pages-1.img", "pages");
	folder.write("dump.log", "log");
	const auto images = read_images(folder.path());

	ASSERT_TRUE(images);
	ASSERT_EQ(images->size(), 1U);
	ASSERT_TRUE(write_images(there.path(), *images));
	const auto again = read_images(there.path());
	ASSERT_TRUE(again);
	EXPECT_EQ(again->front().data, binary);
	/* Nothing is written over. */
	EXPECT_FALSE(write_images(there.path(), *images));
}

TEST(ContainerImages, NamesThatLeadElsewhereAreRefused)
{
	const TemporaryFolder folder;

	for (const char *name :
	     {"../core.img", "a/b.img", ".img", ".x.img", "core", "pages-1.img", "a b.img", ""})
		EXPECT_FALSE(write_images(folder.path(), {{name, "x"}})) << name;
}

/* ---- what is missing --------------------------------------------------------------- */

Missing some()
{
	Missing missing;

	missing.add({0x10000, 16, 100});
	missing.add({0x40000, 4, 200});
	return missing;
}

TEST(MissingPages, AreFoundByAddress)
{
	const auto missing = some();

	EXPECT_EQ(missing.at(0x12345), (MissingRun{0x12000, 14, 102}));
	EXPECT_EQ(missing.at(0x1ffff), (MissingRun{0x1f000, 1, 115}));
	EXPECT_FALSE(missing.at(0x20000));
	EXPECT_FALSE(missing.at(0xffff));
	EXPECT_EQ(missing.first(), (MissingRun{0x10000, 16, 100}));
	EXPECT_EQ(missing.pages(), 20U);
}

TEST(MissingPages, ComeOneByOne)
{
	auto missing = some();

	missing.drop(0x12000, 0x13000);
	EXPECT_FALSE(missing.at(0x12000));
	EXPECT_EQ(missing.at(0x11000), (MissingRun{0x11000, 1, 101}));
	EXPECT_EQ(missing.at(0x13000), (MissingRun{0x13000, 13, 103}));
	missing.drop(0x12000, 0x13000);
	EXPECT_EQ(missing.pages(), 19U);
	missing.drop(0, UINT64_MAX);
	EXPECT_TRUE(missing.empty());
}

TEST(MissingPages, MoveWithTheirMemory)
{
	auto missing = some();

	/* Over what was there, and of another place but a part. */
	missing.move(0x1e000, 0x41000, 0x4000);
	EXPECT_EQ(missing.at(0x41000), (MissingRun{0x41000, 2, 114}));
	EXPECT_FALSE(missing.at(0x43000));
	EXPECT_EQ(missing.at(0x40000), (MissingRun{0x40000, 1, 200}));
	EXPECT_FALSE(missing.at(0x1e000));
	EXPECT_EQ(missing.pages(), 17U);
}

/* ---- the journal ------------------------------------------------------------------- */

TEST(ContainerJournal, IsReadByWhoeverComesAfter)
{
	auto journal = Journal::make();

	ASSERT_TRUE(journal);
	journal->next() = {.fd = 5, .process = 1, .message = {}};
	journal->keep();
	/* Read, and not kept: who did so was killed. */
	journal->next() = {.fd = 5, .process = 0, .message = {}};
	journal->next().message.event = UFFD_EVENT_REMOVE;
	const auto other = Journal::of(::dup(journal->fd()));
	ASSERT_TRUE(other);
	ASSERT_EQ(other->entries().size(), 2U);
	EXPECT_EQ(other->entries()[0].process, 1);
	EXPECT_EQ(other->entries()[1].message.event, UFFD_EVENT_REMOVE);
	EXPECT_FALSE(other->is(Journal::restored));
	journal->set(Journal::restored);
	EXPECT_TRUE(other->is(Journal::restored));
}

TEST(ContainerJournal, FaultsAreAskedForAgain)
{
	auto journal = Journal::make();

	ASSERT_TRUE(journal);
	journal->next().message.event = UFFD_EVENT_PAGEFAULT;
	EXPECT_TRUE(journal->entries().empty());
}

/* ---- what it needs ----------------------------------------------------------------- */

TEST(ContainerWish, SaysTheSameThere)
{
	const Wish wish{.name = "shop-1",
			.bytes = 64 << 20,
			.limits = {{"memory.max", "1000000"}},
			.criu = "3.17.1",
			.terms = {.rollback = false, .spill = true},
			.plain = true,
			.source = "a"};
	const auto there = wish_of(json_of(wish).dump());

	ASSERT_TRUE(there && *there);
	EXPECT_EQ((*there)->name, wish.name);
	EXPECT_EQ((*there)->bytes, wish.bytes);
	EXPECT_EQ((*there)->limits, wish.limits);
	EXPECT_EQ((*there)->criu, wish.criu);
	EXPECT_EQ((*there)->terms, wish.terms);
	EXPECT_TRUE((*there)->plain);
}

TEST(ContainerWish, AVmIsNone)
{
	const auto wish = wish_of(R"({"vm": {}})");

	ASSERT_TRUE(wish);
	EXPECT_FALSE(*wish);
}

TEST(ContainerWish, NamesAndSizesThatCannotBeAreRefused)
{
	for (const char *name : {"", "..", ".a", "a/b", "a b", "a\n"})
		EXPECT_FALSE(wish_of(json_of({.name = name, .bytes = 4096}).dump())) << name;
	for (const std::uint64_t bytes :
	     {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 60})
		EXPECT_FALSE(wish_of(json_of({.name = "a", .bytes = bytes}).dump())) << bytes;
	EXPECT_FALSE(wish_of("[[[["));
}

TEST(ContainerGroup, WhatNamesNoneIsToldSo)
{
	for (const char *id : {"", "/", ".", "..", "../x", "/etc"})
		EXPECT_FALSE(Group::find(id)) << id;
}

/* ---- what is held ------------------------------------------------------------------ */

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

std::uint64_t allocated(int fd)
{
	struct stat facts{};

	return ::fstat(fd, &facts) == 0 ? static_cast<std::uint64_t>(facts.st_blocks) * 512 : 0;
}

TEST(ContainerReserve, IsAllocatedAndGivenBackAsPagesCome)
{
	auto reserve = Reserve::make(mib);

	ASSERT_TRUE(reserve) << reserve.error().sentence;
	EXPECT_EQ(reserve->held(), mib);
	EXPECT_EQ(allocated(reserve->fd()), mib);
	/* That they are meant to come is no more than that, however often. */
	for (int i = 0; i < 5; i++)
		reserve->make_room(16);
	EXPECT_EQ(reserve->held(), mib - 17 * page_size);
	EXPECT_EQ(allocated(reserve->fd()), reserve->held());
	reserve->count(16);
	reserve->make_room(1);
	EXPECT_EQ(reserve->held(), mib - 18 * page_size);
	reserve->count(1);
	for (int i = 0; i < 300; i++) {
		reserve->make_room(1);
		reserve->count(1);
	}
	EXPECT_EQ(reserve->held(), 0U);
	EXPECT_EQ(allocated(reserve->fd()), 0U);
}

TEST(ContainerReserve, WhoTakesOverHasWhatIsLeft)
{
	auto reserve = Reserve::make(mib);

	ASSERT_TRUE(reserve);
	reserve->make_room(32);
	auto next = Reserve::of(::dup(reserve->fd()));
	ASSERT_TRUE(next) << next.error().sentence;
	EXPECT_EQ(next->held(), mib - 34 * page_size);
	next->make_room(16);
	EXPECT_EQ(next->held(), mib - 51 * page_size);
}

TEST(ContainerReserve, MoreThanThereIsIsRefused)
{
	const auto before = available_memory();
	const auto reserve = Reserve::make(before + (std::uint64_t{64} << 30));

	ASSERT_FALSE(reserve);
	EXPECT_EQ(reserve.error().number, ENOMEM);
	EXPECT_TRUE(reserve.error().sentence.contains("MiB are free"));
	EXPECT_GT(available_memory(), before / 2);
}

TEST(ContainerGroup, ALimitAboveItCounts)
{
	const TemporaryFolder folder;
	const auto above = folder.path() / "above", own = above / "own";

	std::filesystem::create_directories(own);
	for (const auto *file : {"above/cgroup.procs", "above/own/cgroup.procs"})
		folder.write(file, "");
	const Group group(own);
	EXPECT_EQ(group.limit_below(mib), "");
	folder.write("above/own/memory.max", "max\n");
	folder.write("above/memory.max", "4194304\n");
	folder.write("above/memory.current", "3145728\n");
	EXPECT_EQ(group.limit_below(mib), "");
	EXPECT_EQ(group.limit_below(mib + 1), above / "memory.max");
	/* The kernel takes the order: it has found as much to reclaim. */
	folder.write("above/memory.reclaim", "");
	EXPECT_EQ(group.limit_below(mib + 1), "");
}

TEST(ContainerGroup, MoreThanItsOwnLimitDoesNotMove)
{
	const TemporaryFolder folder;
	const Group group(folder.path());

	folder.write("cgroup.procs", fmt::format("{}\n", ::getpid()));
	EXPECT_TRUE(check_limit(group));
	folder.write("memory.max", "max\n");
	EXPECT_TRUE(check_limit(group));
	folder.write("memory.max", fmt::format("{}\n", group.memory() + 64 * mib));
	EXPECT_TRUE(check_limit(group));
	folder.write("memory.max", "4096\n");
	const auto refused = check_limit(group);
	ASSERT_FALSE(refused);
	EXPECT_EQ(refused.error().number, ENOMEM);
	EXPECT_TRUE(refused.error().sentence.contains("memory.max"));
}

} /* namespace */
} /* namespace corbel::containers */
