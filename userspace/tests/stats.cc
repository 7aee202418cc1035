// SPDX-License-Identifier: GPL-2.0-or-later
/* A file in memory laid out as a stats descriptor reads, ours or KVM's. */
#include <libcorbel/stats.hh>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace {

using corbel::Stats;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class StatsTest : public testing::Test {
protected:
	StatsTest() : file(::memfd_create("stats", MFD_CLOEXEC)) {}

	/* Names of another length than ours have, as KVM's may. */
	void write(std::uint32_t name_size, const std::vector<corbel_stats_desc> &descriptors,
		   const std::vector<__u64> &values)
	{
		corbel_stats_header header{};

		header.name_size = name_size;
		header.num_desc = static_cast<__u32>(descriptors.size());
		header.id_offset = 100;
		header.desc_offset = 300;
		header.data_offset = 8000;
		put(&header, sizeof(header), 0);
		put("kvm-412", sizeof("kvm-412"), header.id_offset);
		for (std::size_t i = 0; i < descriptors.size(); i++)
			put(&descriptors[i], 16 + name_size,
			    static_cast<off_t>(300 + i * (16 + name_size)));
		put(values.data(), values.size() * sizeof(__u64), header.data_offset);
	}

	void put(const void *from, std::size_t bytes, off_t offset)
	{
		ASSERT_EQ(::pwrite(file.get(), from, bytes, offset), ssize_t(bytes));
	}

	corbel::Result<Stats> open() { return Stats::open(corbel::ScopedFd(::dup(file.get()))); }

	static corbel_stats_desc describe(const char *name, std::uint32_t offset,
					  std::uint16_t size = 1)
	{
		corbel_stats_desc descriptor{};

		descriptor.size = size;
		descriptor.offset = offset;
		std::ranges::copy(std::string_view(name), descriptor.name);
		return descriptor;
	}

	corbel::ScopedFd file;
};

TEST_F(StatsTest, values_are_found_by_name)
{
	write(32, {describe("second", 8), describe("histogram", 16, 4), describe("first", 0)},
	      {11, 22, 1, 2, 3, 4});
	auto stats = open();

	ASSERT_TRUE(stats) << stats.error().sentence;
	EXPECT_EQ(stats->id(), "kvm-412");
	EXPECT_THAT(stats->read().value(), ElementsAre(Pair("first", 11), Pair("second", 22)));
}

TEST_F(StatsTest, each_read_looks_anew)
{
	write(48, {describe("count", 0)}, {1});
	auto stats = open();
	const __u64 later = 5;

	put(&later, sizeof(later), 8000);
	EXPECT_THAT(stats->read().value(), ElementsAre(Pair("count", 5)));
}

TEST_F(StatsTest, what_is_no_such_file_is_refused)
{
	EXPECT_EQ(open().error().number, EPROTO) << "an empty file";
	write(0, {}, {});
	EXPECT_EQ(open().error().number, EPROTO) << "names without room";
	write(48, {describe("odd", 4)}, {1});
	EXPECT_EQ(open().error().number, EPROTO) << "an offset inside a value";
	write(48, {describe("none", 0, 0)}, {1});
	EXPECT_EQ(open().error().number, EPROTO) << "no value";
	write(48, {describe("far", 0xfffffff8)}, {1});
	EXPECT_EQ(open().error().number, EPROTO) << "4 GiB of values";
	write(48, {describe("missing", 80)}, {1});
	EXPECT_THAT(open()->read().error().sentence, HasSubstr("too early"));
}

} /* namespace */
