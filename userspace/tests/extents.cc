// SPDX-License-Identifier: GPL-2.0-or-later
/* Where things lie that lie on things: without a kernel. */
#include "result.hh"

#include "../extents/btrfs_chunks.hh"
#include "../extents/devices.hh"
#include "../extents/file_map.hh"
#include "../extents/source.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <endian.h>
#include <linux/btrfs_tree.h>
#include <linux/fiemap.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <random>

#include <fmt/format.h>

namespace {

using namespace corbel;
using namespace corbel::extents;
using namespace corbel::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr std::uint64_t KiB = 1 << 10, MiB = 1 << 20;

TEST(Extents, lie_where_what_they_lie_on_lies)
{
	const std::vector<Extent> map = {{0, 100 * KiB, 8 * KiB}, {16 * KiB, 0, 8 * KiB}};

	EXPECT_THAT(must(through({{4 * KiB, 4 * KiB, 16 * KiB}}, map)),
		    ElementsAre(Extent{4 * KiB, 104 * KiB, 4 * KiB}, Extent{16 * KiB, 0, 4 * KiB}));
	EXPECT_THAT(must(through({{0, 8 * KiB, 8 * KiB}}, map)), IsEmpty());
	EXPECT_THAT(must(through({{0, 24 * KiB, KiB}}, map)), IsEmpty());
	EXPECT_THAT(must(through({}, map)), IsEmpty());
	EXPECT_THAT(must(through({{0, 0, KiB}}, {})), IsEmpty());
}

TEST(Extents, mirrors_have_several_places)
{
	const std::vector<Extent> map = {
		{0, 0, MiB}, {0, 10 * MiB, MiB}, {MiB, 20 * MiB, MiB}, {MiB, 5 * MiB, MiB}};

	EXPECT_THAT(joined(must(through({{0, MiB - KiB, 2 * KiB}}, map))),
		    ElementsAre(Extent{0, MiB - KiB, KiB}, Extent{0, 11 * MiB - KiB, KiB},
				Extent{KiB, 5 * MiB, KiB}, Extent{KiB, 20 * MiB, KiB}));
}

/* Byte by byte, in pieces of any size. */
TEST(Extents, through_is_what_following_each_byte_is)
{
	std::mt19937 random(7);
	const auto below = [&](std::uint64_t n) { return random() % n; };

	for (int round = 0; round < 500; round++) {
		std::vector<Extent> these, map, found;
		std::map<std::uint64_t, std::uint64_t> expected, got;

		for (std::uint64_t at = below(5); at < 200; at += below(5)) {
			map.push_back({at, below(1000), 1 + below(30)});
			at = map.back().end();
		}
		for (std::uint64_t at = 0; at < 200; at += below(9)) {
			these.push_back({at, below(220), 1 + below(30)});
			at = these.back().end();
		}
		for (const auto &each : these)
			for (std::uint64_t i = 0; i < each.bytes; i++)
				for (const auto &part : map)
					if (each.at + i >= part.offset && each.at + i < part.end())
						expected[each.offset + i] =
							part.at + each.at + i - part.offset;
		for (const auto &each : joined(must(through(these, map))))
			for (std::uint64_t i = 0; i < each.bytes; i++)
				got[each.offset + i] = each.at + i;
		ASSERT_EQ(got, expected) << "round " << round;
	}
}

TEST(Extents, a_part_is_cut_out)
{
	const Layout layout{"raw file",
			    64 * KiB,
			    {{0, 0, 8 * KiB}, {16 * KiB, 80 * KiB, 8 * KiB}},
			    {"a remark"}};
	const auto part = cut(layout, 4 * KiB, 16 * KiB);

	EXPECT_THAT(part.extents, ElementsAre(Extent{4 * KiB, 4 * KiB, 4 * KiB},
					      Extent{16 * KiB, 80 * KiB, 4 * KiB}));
	EXPECT_EQ(part.bytes, 64 * KiB);
	EXPECT_THAT(part.remarks, ElementsAre("a remark"));
	EXPECT_EQ(cut(layout, 0, UINT64_MAX).extents, layout.extents);
	EXPECT_EQ(cut(layout, 1, UINT64_MAX).extents.size(), 2);
	EXPECT_THAT(cut(layout, 8 * KiB, 8 * KiB).extents, IsEmpty());
	EXPECT_THAT(cut(layout, 0, 0).extents, IsEmpty());
}

TEST(Extents, each_place_is_told_once)
{
	const Layout layout{"raw file",
			    MiB,
			    {{0, 40 * KiB, 8 * KiB},
			     {8 * KiB, 0, 4 * KiB},
			     {12 * KiB, 44 * KiB, 8 * KiB},
			     {20 * KiB, 4 * KiB, KiB},
			     {21 * KiB, 41 * KiB, KiB}},
			    {}};

	EXPECT_THAT(places(layout), ElementsAre(Pair(0, 5 * KiB), Pair(40 * KiB, 12 * KiB)));
}

TEST(Extents, what_has_no_place_is_told)
{
	Tally tally{};
	const std::vector<Piece> pieces = {
		{{0, MiB, 4 * KiB}, 0},
		{{4 * KiB, 0, 4 * KiB}, FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC},
		{{8 * KiB, 2 * MiB, 4 * KiB}, FIEMAP_EXTENT_SHARED},
		{{12 * KiB, 3 * MiB, 4 * KiB}, FIEMAP_EXTENT_UNWRITTEN},
		{{16 * KiB, 4 * MiB, 4 * KiB}, FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_SHARED},
		{{24 * KiB, 0, 512}, FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED}};

	EXPECT_THAT(must(place_in_file({{0, 0, 2 * MiB}}, pieces, tally)),
		    ElementsAre(Extent{0, MiB, 4 * KiB}, Extent{8 * KiB, 2 * MiB, 4 * KiB},
				Extent{12 * KiB, 3 * MiB, 4 * KiB}));
	EXPECT_THAT(in_words(tally),
		    ElementsAre(HasSubstr("4096 bytes have no place yet"),
				HasSubstr("4096 bytes are compressed or encoded"),
				HasSubstr("512 bytes lie among"),
				HasSubstr("4096 bytes are shared with other files")));

	/* Of what the disk does not use nothing is told. */
	tally = {};
	(void)must(place_in_file({{0, 0, 4 * KiB}, {MiB, 10 * KiB, KiB}}, pieces, tally));
	EXPECT_THAT(in_words(tally), ElementsAre(HasSubstr("1024 bytes are shared")));
}

/* ---- btrfs ---------------------------------------------------------------------------- */

std::vector<std::byte> chunk(std::uint64_t type, std::uint64_t length,
			     const std::vector<std::pair<std::uint64_t, std::uint64_t>> &stripes)
{
	btrfs_chunk head{};
	std::vector<std::byte> item(offsetof(btrfs_chunk, stripe) +
				    std::max<std::size_t>(stripes.size(), 1) *
					    sizeof(btrfs_stripe));

	head.length = htole64(length);
	head.type = htole64(type);
	head.num_stripes = htole16(static_cast<std::uint16_t>(stripes.size()));
	std::memcpy(item.data(), &head, offsetof(btrfs_chunk, stripe));
	for (std::size_t i = 0; i < stripes.size(); i++) {
		btrfs_stripe stripe{};

		stripe.devid = htole64(stripes[i].first);
		stripe.offset = htole64(stripes[i].second);
		std::memcpy(item.data() + offsetof(btrfs_chunk, stripe) + i * sizeof(stripe),
			    &stripe, sizeof(stripe));
	}
	return item;
}

TEST(ExtentsBtrfs, copies_are_where_their_stripes_are)
{
	Chunks chunks;

	must(add_chunk(16 * MiB, chunk(BTRFS_BLOCK_GROUP_DATA, 8 * MiB, {{1, MiB}}), chunks));
	must(add_chunk(24 * MiB,
		       chunk(BTRFS_BLOCK_GROUP_DATA | BTRFS_BLOCK_GROUP_DUP, 8 * MiB,
			     {{1, 20 * MiB}, {1, 40 * MiB}}),
		       chunks));
	must(add_chunk(32 * MiB,
		       chunk(BTRFS_BLOCK_GROUP_DATA | BTRFS_BLOCK_GROUP_RAID1C3, 8 * MiB,
			     {{1, 60 * MiB}, {2, 0}, {7, 8 * MiB}}),
		       chunks));
	must(add_chunk(40 * MiB,
		       chunk(BTRFS_BLOCK_GROUP_DATA | BTRFS_BLOCK_GROUP_RAID0, 8 * MiB,
			     {{1, 80 * MiB}, {2, 80 * MiB}}),
		       chunks));
	must(add_chunk(48 * MiB, chunk(BTRFS_BLOCK_GROUP_METADATA, 8 * MiB, {{1, 90 * MiB}}),
		       chunks));
	EXPECT_THAT(chunks.copies[1],
		    ElementsAre(Extent{16 * MiB, MiB, 8 * MiB}, Extent{24 * MiB, 20 * MiB, 8 * MiB},
				Extent{24 * MiB, 40 * MiB, 8 * MiB},
				Extent{32 * MiB, 60 * MiB, 8 * MiB}));
	EXPECT_THAT(chunks.copies[7], ElementsAre(Extent{32 * MiB, 8 * MiB, 8 * MiB}));
	EXPECT_THAT(chunks.spread, ElementsAre(Extent{40 * MiB, 0, 8 * MiB}));
}

TEST(ExtentsBtrfs, what_is_no_chunk_is_refused)
{
	Chunks chunks;
	auto item = chunk(BTRFS_BLOCK_GROUP_DATA, MiB, {{1, 0}, {2, 0}});

	for (std::size_t size = 0; size < item.size(); size++)
		EXPECT_EQ(error_of(add_chunk(0, std::span(item).first(size), chunks)), EBADMSG);
	EXPECT_EQ(error_of(add_chunk(0, chunk(1, 0, {{1, 0}}), chunks)), EBADMSG);
	EXPECT_EQ(error_of(add_chunk(0, chunk(1, MiB, {}), chunks)), EBADMSG);
	EXPECT_EQ(error_of(add_chunk(0, chunk(1, MiB, {{1, UINT64_MAX}}), chunks)), EBADMSG);
	EXPECT_EQ(error_of(add_chunk(UINT64_MAX, chunk(1, MiB, {{1, 0}}), chunks)), EBADMSG);
	EXPECT_THAT(chunks.copies, IsEmpty());
}

/* ---- devices -------------------------------------------------------------------------- */

class FakeDevices final : public Devices {
public:
	Result<Device> look(dev_t number) override
	{
		const auto found = devices.find(number);

		return found != devices.end() ? Result<Device>(found->second)
					      : failure(ENODEV, "There is no such device.");
	}
	Result<std::vector<volumes::Row>> table(dev_t number) override { return tables[number]; }
	PoolAsker pool(dev_t number) override
	{
		EXPECT_EQ(number, makedev(254, 9));
		return {[this](const std::string &message) { return answer(message); },
			[this]() -> Result<std::string> { return status; },
			[](dev_t) -> Result<std::uint64_t> { return MiB; }};
	}
	/* Of the pool 254:9, which has one volume: 5. */
	Result<std::string> answer(const std::string &message)
	{
		asked.push_back(message);
		if (message == "layout 5")
			return fmt::format("{}", layout += moving);
		const auto found = pages.find(message);
		return found != pages.end() ? Result<std::string>(found->second)
					    : failure(ENOENT, "There is no such volume.");
	}

	void disk(unsigned minor)
	{
		devices[makedev(8, minor)] = {
			fmt::format("disk{}", minor), 100 * MiB, {}, 0, false, {}};
	}
	void partition(unsigned minor, dev_t whole, std::uint64_t start, std::uint64_t bytes)
	{
		devices[makedev(8, minor)] = {
			fmt::format("part{}", minor), bytes, whole, start, false, {}};
	}
	void mapped(unsigned minor, std::vector<volumes::Row> rows, std::vector<dev_t> below)
	{
		std::uint64_t sectors = 0;

		for (const auto &row : rows)
			sectors += row.sectors;
		devices[makedev(254, minor)] = {
			fmt::format("dm-{}", minor), sectors * 512, {}, 0, true, std::move(below)};
		tables[makedev(254, minor)] = std::move(rows);
	}

	std::map<dev_t, Device> devices;
	std::map<dev_t, std::vector<volumes::Row>> tables;
	std::string status = "7 9/99 4/400 128 1 rw queue 2 0 8:3 fast 2/200/200 3 8:1 slow "
			     "2/200/200";
	std::map<std::string, std::string> pages = {{"map 5 0", "0 2 0 4\n2 1 3 8\nmore 9\n"},
						    {"map 5 9", "9 1 0 6\n10 1 0 2\nend\n"}};
	std::uint64_t layout = 100, moving = 0;
	std::vector<std::string> asked;
};

const dev_t sda = makedev(8, 0), sdb = makedev(8, 1), sda1 = makedev(8, 2), sda2 = makedev(8, 3),
	    volume = makedev(254, 0), upper = makedev(254, 1);
constexpr std::uint64_t sectors = MiB / 512;

class ExtentsDevices : public testing::Test {
protected:
	ExtentsDevices()
	{
		devices.disk(0);
		devices.disk(1);
		devices.partition(2, sda, MiB, 20 * MiB);
		devices.partition(3, sda, 30 * MiB, 10 * MiB);
		devices.mapped(0,
			       {{0, 4 * sectors, "linear", fmt::format("8:3 {}", sectors)},
				{4 * sectors, 2 * sectors, "linear", "8:1 0"},
				{6 * sectors, 4 * sectors, "linear", "8:2 0"}},
			       {sdb, sda1, sda2});
	}

	FakeDevices devices;
};

TEST_F(ExtentsDevices, partitions_and_volumes_lie_on_disks)
{
	EXPECT_THAT(must(place_device(devices, sda, sda)), ElementsAre(Extent{0, 0, 100 * MiB}));
	EXPECT_THAT(must(place_device(devices, sda2, sda)),
		    ElementsAre(Extent{0, 30 * MiB, 10 * MiB}));
	EXPECT_THAT(must(place_device(devices, sda2, sdb)), IsEmpty());
	EXPECT_THAT(must(place_device(devices, volume, sda)),
		    ElementsAre(Extent{0, 31 * MiB, 4 * MiB}, Extent{6 * MiB, MiB, 4 * MiB}));
	EXPECT_THAT(must(place_device(devices, volume, sdb)),
		    ElementsAre(Extent{4 * MiB, 0, 2 * MiB}));
	/* A partition is as good a LUN. */
	EXPECT_THAT(must(place_device(devices, volume, sda2)),
		    ElementsAre(Extent{0, MiB, 4 * MiB}));
}

TEST_F(ExtentsDevices, chains_are_followed)
{
	devices.mapped(1,
		       {{0, 8 * sectors, "corbel-qos",
			 fmt::format("254:0 {} 4 depth 0 io_bytes 32768", 2 * sectors)}},
		       {volume});
	EXPECT_THAT(must(place_device(devices, upper, sda)),
		    ElementsAre(Extent{0, 33 * MiB, 2 * MiB}, Extent{4 * MiB, MiB, 4 * MiB}));
	EXPECT_THAT(must(place_device(devices, upper, volume)),
		    ElementsAre(Extent{0, 2 * MiB, 8 * MiB}));
}

TEST_F(ExtentsDevices, what_does_not_tell_is_refused)
{
	devices.mapped(1, {{0, sectors, "crypt", "aes :32:logon:x 0 8:2 0"}}, {sda1});
	const auto refused = place_device(devices, upper, sda);
	ASSERT_EQ(error_of(refused), EOPNOTSUPP);
	EXPECT_THAT(refused.error().sentence, HasSubstr("dm-1 has a target 'crypt'"));
	/* That of others is not asked for. */
	EXPECT_THAT(must(place_device(devices, upper, sdb)), IsEmpty());

	/* A RAID of another kind. */
	devices.devices[makedev(9, 0)] = {"md0", MiB, {}, 0, false, {sda2}};
	EXPECT_EQ(error_of(place_device(devices, makedev(9, 0), sda)), EOPNOTSUPP);
	EXPECT_THAT(must(place_device(devices, makedev(9, 0), sdb)), IsEmpty());

	/* And tables that do not make sense, or lead in a circle. */
	devices.mapped(1, {{0, sectors, "linear", "nonsense"}}, {sda1});
	EXPECT_EQ(error_of(place_device(devices, upper, sda)), EOPNOTSUPP);
	devices.mapped(1, {{0, sectors, "linear", "254:1 0"}}, {upper});
	EXPECT_EQ(error_of(place_device(devices, upper, sda)), ELOOP);
	EXPECT_EQ(error_of(place_device(devices, makedev(1, 1), sda)), ENODEV);
}

TEST_F(ExtentsDevices, another_table_is_another_chain)
{
	const auto before = describe_chain(devices, volume);

	EXPECT_EQ(describe_chain(devices, volume), before);
	devices.tables[volume][1].parameters = "8:1 8";
	const auto moved = describe_chain(devices, volume);
	EXPECT_NE(moved, before);
	devices.partition(2, sda, 2 * MiB, 20 * MiB);
	EXPECT_NE(describe_chain(devices, volume), moved);
}

class ExtentsPool : public ExtentsDevices {
protected:
	ExtentsPool()
	{
		devices.mapped(9, {{0, 100 * sectors, "corbel-pool", "8:2 2 8:3 8:1 0"}},
			       {sdb, sda1, sda2});
		devices.mapped(1,
			       {{0, sectors / 2, "linear", "8:1 0"},
				{sectors / 2, sectors, "corbel-volume", "254:9 5"}},
			       {sdb, makedev(254, 9)});
	}
	/* Of data, which begins at 1 MiB, blocks of 64 KiB. */
	static std::uint64_t block(std::uint64_t number) { return MiB + number * 64 * KiB; }
};

TEST_F(ExtentsPool, volumes_lie_where_the_pool_says)
{
	EXPECT_THAT(must(place_device(devices, upper, sda)),
		    ElementsAre(Extent{512 * KiB, 30 * MiB + block(4), 128 * KiB},
				Extent{512 * KiB + 9 * 64 * KiB, 30 * MiB + block(6), 64 * KiB},
				Extent{512 * KiB + 10 * 64 * KiB, 30 * MiB + block(2), 64 * KiB}));
	EXPECT_THAT(must(place_device(devices, upper, sda2)),
		    ElementsAre(Extent{512 * KiB, block(4), 128 * KiB},
				Extent{512 * KiB + 9 * 64 * KiB, block(6), 64 * KiB},
				Extent{512 * KiB + 10 * 64 * KiB, block(2), 64 * KiB}));
	EXPECT_THAT(must(place_device(devices, upper, sdb)),
		    ElementsAre(Extent{0, 0, 512 * KiB},
				Extent{512 * KiB + 2 * 64 * KiB, block(8), 64 * KiB}));
	EXPECT_EQ(must(kind_of_device(devices, upper)), "volume of a pool");
	/* Its metadata has nothing of it, and nobody else is asked. */
	devices.asked.clear();
	devices.disk(9);
	EXPECT_THAT(must(place_device(devices, upper, makedev(8, 9))), IsEmpty());
	EXPECT_THAT(devices.asked, IsEmpty());
}

TEST_F(ExtentsPool, a_volume_ends_with_its_table)
{
	devices.tables[upper][1].sectors = 9 * 128 + 8;
	EXPECT_EQ(must(place_device(devices, upper, sda)).back(),
		  (Extent{512 * KiB + 9 * 64 * KiB, 30 * MiB + block(6), 4 * KiB}));
}

TEST_F(ExtentsPool, a_map_that_changes_is_read_again)
{
	devices.asked.clear();
	(void)must(place_device(devices, upper, sda));
	EXPECT_EQ(devices.asked.size(), 4);
	devices.moving = 1;
	devices.asked.clear();
	EXPECT_THAT(must(place_device(devices, upper, sda)), testing::SizeIs(3));
	EXPECT_EQ(devices.asked.size(), 12);
}

TEST_F(ExtentsPool, another_layout_is_another_chain)
{
	const auto before = describe_chain(devices, upper);

	EXPECT_TRUE(before.on_pool);
	EXPECT_FALSE(describe_chain(devices, volume).on_pool);
	EXPECT_EQ(describe_chain(devices, upper), before);
	devices.layout++;
	EXPECT_NE(describe_chain(devices, upper), before);
}

TEST_F(ExtentsPool, what_makes_no_sense_is_refused)
{
	const auto refused = [&](const std::string &first) {
		devices.pages["map 5 0"] = first;
		return error_of(place_device(devices, upper, sda));
	};

	EXPECT_EQ(refused("0 1 0 4\n"), EPROTO);
	EXPECT_EQ(refused("0 1 0\nend\n"), EPROTO);
	EXPECT_EQ(refused("0 1 0 4\nmore 0\n"), EPROTO);
	EXPECT_EQ(refused("end\n0 1 0 4\n"), EPROTO);
	EXPECT_EQ(refused("0 1 7 4\nend\n"), EAGAIN);
	devices.pages.clear();
	EXPECT_EQ(error_of(place_device(devices, upper, sda)), ENOENT);
	devices.status = "-";
	devices.pages["map 5 0"] = "end\n";
	EXPECT_EQ(error_of(place_device(devices, upper, sda)), EPROTO);
}

TEST_F(ExtentsDevices, a_disk_lies_on_the_lun_or_is_refused)
{
	const Source source{.kind = "raw file",
			    .bytes = 8 * MiB,
			    .wanted = {{0, 0, 8 * MiB}},
			    .is_file = true,
			    .pieces = {{{0, MiB, 4 * MiB}, 0}},
			    .spread = {},
			    .on = {{volume, {{0, 0, 10 * MiB}}}}};
	const auto layout = must(place_source(devices, source, "/x", "/dev/sda", sda));
	EXPECT_THAT(layout.extents, ElementsAre(Extent{0, 32 * MiB, 3 * MiB}));
	EXPECT_THAT(layout.remarks,
		    ElementsAre("1048576 bytes lie on other devices than the LUN, or "
				"have no place yet."));

	devices.disk(9);
	EXPECT_EQ(error_of(place_source(devices, source, "/x", "/dev/sdz", makedev(8, 9))), ENXIO);

	auto striped = source;
	striped.spread = {{4 * MiB, 0, MiB}};
	EXPECT_EQ(error_of(place_source(devices, striped, "/x", "/dev/sda", sda)), EOPNOTSUPP);
	EXPECT_NE(digest(devices, striped), digest(devices, source));
	/* What is spread is somebody else's. */
	striped.spread = {{8 * MiB, 0, MiB}};
	EXPECT_EQ(must(place_source(devices, striped, "/x", "/dev/sda", sda)).extents,
		  layout.extents);
}

/* What this machine has. */
TEST(ExtentsLive, what_is_wrong_is_said)
{
	const auto none = find_layout("/none", "/none", true);
	EXPECT_EQ(error_of(none), ENOENT);
	const auto no_device = find_layout("/proc/self/exe", "/proc/self/exe", true);
	ASSERT_EQ(error_of(no_device), ENOTBLK);
	EXPECT_THAT(no_device.error().sentence, HasSubstr("is not a block device"));
	EXPECT_EQ(error_of(read_source(kernel_devices(), "/dev/null", true, Format::probe)),
		  ENOTBLK);
	EXPECT_EQ(error_of(read_source(kernel_devices(), "/proc/self/maps", true, Format::raw)),
		  EOPNOTSUPP);
}

} /* namespace */
