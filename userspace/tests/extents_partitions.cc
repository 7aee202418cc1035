// SPDX-License-Identifier: GPL-2.0-or-later
/* Partitions as a guest sees them, made by sfdisk and read by libblkid. */
#include "result.hh"
#include "temporary_folder.hh"

#include "../extents/layout.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <zlib.h>

#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

namespace {

using namespace corbel;
using namespace corbel::extents;
using namespace corbel::test;
using testing::HasSubstr;
using testing::Pair;

constexpr std::uint64_t MiB = 1 << 20;

class ExtentsPartitions : public testing::Test {
protected:
	[[nodiscard]] std::string raw() const { return folder.path() / "raw"; }
	[[nodiscard]] std::string qcow2() const { return folder.path() / "qcow2"; }
	static void run(const std::string &command)
	{
		if (std::system((command + " >/dev/null").c_str()) != 0)
			throw std::runtime_error("failed: " + command);
	}
	void make(const std::string &table)
	{
		folder.write("raw", "");
		folder.write("table", table);
		std::filesystem::resize_file(raw(), 96 * MiB);
		run(fmt::format("/sbin/sfdisk --quiet --no-reread --no-tell-kernel {} <{}", raw(),
				(folder.path() / "table").string()));
	}
	void convert(const std::string &options = "")
	{
		run(fmt::format("qemu-img convert -O qcow2 {} {} {}", options, raw(), qcow2()));
	}
	/* The same, however it is read. */
	auto find(unsigned number)
	{
		const auto found = find_partition(raw(), "raw file", number);

		for (const char *options : {"", "-c", "-o cluster_size=512", "-o compat=0.10"}) {
			convert(options);
			const auto other = find_partition(qcow2(), "qcow2 file", number);
			EXPECT_EQ(error_of(other), error_of(found)) << options;
			if (found && other) {
				EXPECT_EQ(*other, *found) << options;
			}
		}
		return found;
	}

	TemporaryFolder folder;
};

TEST_F(ExtentsPartitions, of_a_gpt)
{
	make("label: gpt\nsize=8M\nsize=4M\nstart=60MiB, size=5M\n");
	EXPECT_THAT(must(find(1)), Pair(MiB, 8 * MiB));
	EXPECT_THAT(must(find(2)), Pair(9 * MiB, 4 * MiB));
	EXPECT_THAT(must(find(3)), Pair(60 * MiB, 5 * MiB));
	EXPECT_EQ(error_of(find(4)), ENOENT);
	EXPECT_EQ(error_of(find(0)), EINVAL);
}

/* By hand: sfdisk of Debian 12 makes tables for sectors of 512 bytes only. */
TEST_F(ExtentsPartitions, of_a_gpt_in_sectors_of_4_KiB)
{
	constexpr std::size_t sector = 4096, disk = 96 * MiB, last = disk / sector - 1;
	constexpr std::size_t entries = 128, entry_bytes = 128, table = entries * entry_bytes;
	std::string image(disk, '\0'), entry(entry_bytes, '\0'), head(92, '\0');
	const auto put = [](std::string &text, std::size_t at, std::uint64_t value, int bytes) {
		for (int i = 0; i < bytes; i++)
			text[at + i] = static_cast<char>(value >> (8 * i));
	};
	const auto crc = [](const std::string &text) {
		return ::crc32(0, reinterpret_cast<const Bytef *>(text.data()),
			       static_cast<uInt>(text.size()));
	};

	put(image, 450, 0xee, 1); /* the protective MBR: all of it */
	put(image, 454, 1, 4);
	put(image, 458, last, 4);
	put(image, 510, 0xaa55, 2);
	put(entry, 0, 0x4f68bce3e8cd4db1, 8);
	put(entry, 16, 1, 8);
	put(entry, 32, 9 * MiB / sector, 8);
	put(entry, 40, 13 * MiB / sector - 1, 8);
	image.replace(2 * sector, entry_bytes, entry);
	image.replace((last - 4) * sector, entry_bytes, entry);
	for (const std::size_t at : {std::size_t{1}, last}) {
		head.replace(0, 8, "EFI PART");
		put(head, 8, 0x10000, 4);
		put(head, 12, head.size(), 4);
		put(head, 16, 0, 4);
		put(head, 24, at, 8);
		put(head, 32, last + 1 - at, 8);
		put(head, 40, 6, 8);
		put(head, 48, last - 5, 8);
		put(head, 72, at == 1 ? 2 : last - 4, 8);
		put(head, 80, entries, 4);
		put(head, 84, entry_bytes, 4);
		put(head, 88, crc(image.substr(2 * sector, table)), 4);
		put(head, 16, crc(head), 4);
		image.replace(at * sector, head.size(), head);
	}
	folder.write("raw", image);
	EXPECT_THAT(must(find(1)), Pair(9 * MiB, 4 * MiB));
	EXPECT_EQ(error_of(find(2)), ENOENT);
}

/* A broken head leaves the one at the end; both broken leave nothing. */
TEST_F(ExtentsPartitions, only_of_a_gpt_that_is_whole)
{
	make("label: gpt\nsize=8M\n");
	run(fmt::format("printf x | dd of={} bs=1 seek={} conv=notrunc status=none", raw(),
			512 + 40));
	EXPECT_THAT(must(find(1)), Pair(MiB, 8 * MiB));
	run(fmt::format("printf x | dd of={} bs=1 seek={} conv=notrunc status=none", raw(),
			96 * MiB - 512 + 40));
	const auto refused = find(1);
	ASSERT_EQ(error_of(refused), ENOENT);
	EXPECT_THAT(refused.error().sentence, HasSubstr("no table of partitions"));
}

TEST_F(ExtentsPartitions, of_an_mbr_with_logical_ones)
{
	make("label: dos\nsize=8M\nstart=20MiB, type=5\nstart=21MiB, size=3M\n"
	     "start=40MiB, size=7M\nstart=80MiB, size=2M\n");
	EXPECT_THAT(must(find(1)), Pair(MiB, 8 * MiB));
	EXPECT_THAT(must(find(5)), Pair(21 * MiB, 3 * MiB));
	EXPECT_THAT(must(find(6)), Pair(40 * MiB, 7 * MiB));
	EXPECT_THAT(must(find(7)), Pair(80 * MiB, 2 * MiB));
	EXPECT_EQ(error_of(find(8)), ENOENT);
}

TEST_F(ExtentsPartitions, never_beyond_the_disk)
{
	make("label: dos\nsize=8M\nstart=60MiB, size=30M\n");
	std::filesystem::resize_file(raw(), 64 * MiB);
	EXPECT_THAT(must(find(1)), Pair(MiB, 8 * MiB));
	EXPECT_NE(error_of(find(2)), 0);
}

TEST_F(ExtentsPartitions, not_of_what_has_none)
{
	folder.write("raw", "");
	std::filesystem::resize_file(raw(), 4 * MiB);
	EXPECT_EQ(error_of(find(1)), ENOENT);
	std::filesystem::resize_file(raw(), 0);
	EXPECT_EQ(error_of(find(1)), ENOENT);
	EXPECT_EQ(error_of(find_partition("/none", "raw file", 1)), ENOENT);
}

TEST_F(ExtentsPartitions, a_backing_file_is_not_followed)
{
	make("label: gpt\nsize=8M\n");
	run(fmt::format("qemu-img create -f qcow2 -b {} -F raw {}", raw(), qcow2()));
	const auto refused = find_partition(qcow2(), "qcow2 file", 1);
	ASSERT_EQ(error_of(refused), EOPNOTSUPP);
	EXPECT_THAT(refused.error().sentence, HasSubstr("backing file"));
}

} /* namespace */
