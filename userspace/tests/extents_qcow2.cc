// SPDX-License-Identifier: GPL-2.0-or-later
/* Images made by qemu-img, held against what it says of them; and images that somebody broke. */
#include "result.hh"
#include "temporary_folder.hh"

#include "../extents/qcow2.hh"

#include <libcorbel/scoped_fd.hh>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <endian.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
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
using Json = nlohmann::json;

constexpr std::uint64_t KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30;

class ExtentsQcow2 : public testing::Test {
protected:
	[[nodiscard]] std::string path() const { return folder.path() / "image"; }
	static void run(const std::string &command)
	{
		if (std::system((command + " >/dev/null").c_str()) != 0)
			throw std::runtime_error("failed: " + command);
	}
	[[nodiscard]] std::string text(const std::string &name) const
	{
		std::ifstream in(folder.path() / name, std::ios::binary);

		return {std::istreambuf_iterator<char>(in), {}};
	}
	void create(const std::string &options, const std::string &size)
	{
		run(fmt::format("qemu-img create -f qcow2 {} {} {}", options, path(), size));
	}
	void io(const std::string &commands)
	{
		folder.write("commands", commands);
		run(fmt::format("qemu-io -f qcow2 -d unmap {} <{}", path(),
				(folder.path() / "commands").string()));
	}
	Result<Qcow2> open()
	{
		fd = ScopedFd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
		return Qcow2::open(
			bytes_of_file(fd.get(), path(), std::filesystem::file_size(path())),
			path());
	}
	/* Of this image, also what is zero and has a place. */
	std::vector<Extent> told_by_qemu()
	{
		std::vector<Extent> told;

		run(fmt::format("sh -c 'qemu-img map -f qcow2 --output=json {} >{}'", path(),
				(folder.path() / "map").string()));
		for (const auto &each : Json::parse(text("map")))
			if (each.at("depth") == 0 && each.contains("offset"))
				told.push_back({each["start"], each["offset"], each["length"]});
		return joined(told);
	}
	void compare()
	{
		const auto image = must(open());
		Tally tally{};
		const auto found = must(image.clusters(tally));

		EXPECT_FALSE(found.empty());
		EXPECT_EQ(joined(found), told_by_qemu());
	}

	TemporaryFolder folder;
	ScopedFd fd;
};

TEST_F(ExtentsQcow2, clusters_are_where_qemu_says)
{
	for (const char *options :
	     {"-o cluster_size=512", "-o cluster_size=4k", "-o cluster_size=64k",
	      "-o cluster_size=2M", "-o compat=0.10", "-o preallocation=metadata",
	      "-o preallocation=falloc", "-o lazy_refcounts=on", "-o refcount_bits=1",
	      "-o compression_type=zstd"}) {
		SCOPED_TRACE(options);
		create(options, "24M");
		io("write 0 1k\nwrite 5M 3M\nwrite 1M 100k\nwrite 23M 1M\nwrite 2M 512\n");
		compare();
		io("discard 6M 512k\nwrite -z 1M 64k\nwrite 6200k 64k\n");
		compare();
	}
}

TEST_F(ExtentsQcow2, random_writes_are_where_qemu_says)
{
	std::mt19937 random(11);

	for (int round = 0; round < 6; round++) {
		std::string commands;

		create(round % 2 ? "-o cluster_size=512" : "-o cluster_size=16k", "40M");
		for (int i = 0; i < 60; i++)
			commands += fmt::format("{} {} {}\n", i % 5 == 4 ? "discard" : "write",
						random() % 70000 * 512, (1 + random() % 300) * 512);
		io(commands);
		compare();
	}
}

TEST_F(ExtentsQcow2, many_tables)
{
	create("-o cluster_size=64k", "9T");
	io(fmt::format("write 0 64k\nwrite {} 64k\nwrite {} 64k\nwrite {} 64k\n", 512 * MiB,
		       4096 * GiB + 64 * KiB, 9216 * GiB - 64 * KiB));
	compare();
	EXPECT_EQ(must(open()).bytes(), 9216 * GiB);
}

TEST_F(ExtentsQcow2, what_is_compressed_has_no_place)
{
	folder.write("raw", std::string(3 * MiB, 'x'));
	run(fmt::format("qemu-img convert -c -f raw -O qcow2 {} {}",
			(folder.path() / "raw").string(), path()));
	io("write -P 7 1M 128k\n");
	const auto image = must(open());
	Tally tally{};
	EXPECT_THAT(must(image.clusters(tally)), ElementsAre(testing::Field(&Extent::offset, MiB)));
	EXPECT_THAT(in_words(tally),
		    ElementsAre(HasSubstr(fmt::format("{} bytes are compressed in the image",
						      3 * MiB - 128 * KiB))));
}

TEST_F(ExtentsQcow2, what_snapshots_share_is_told)
{
	create("", "8M");
	io("write 0 2M\n");
	run("qemu-img snapshot -c first " + path());
	io("write 1M 1M\nwrite 4M 64k\n");
	compare();
	Tally tally{};
	(void)must(must(open()).clusters(tally));
	EXPECT_THAT(in_words(tally), ElementsAre(HasSubstr("1048576 bytes are shared with "
							   "snapshots in the image")));
}

/* What a guest reads, held against what it wrote. */
TEST_F(ExtentsQcow2, contents_are_read)
{
	std::mt19937 random(3);
	std::string raw(3 * MiB + 512, '\0');

	for (std::size_t at = 0; at < raw.size(); at += 512)
		if (random() % 3)
			std::memset(&raw[at], static_cast<int>(random()), 512);
	folder.write("raw", raw);
	for (const char *options : {"", "-c", "-c -o cluster_size=512", "-c -o cluster_size=2M",
				    "-o cluster_size=512", "-o compat=0.10"}) {
		SCOPED_TRACE(options);
		run(fmt::format("qemu-img convert -f raw -O qcow2 {} {} {}", options,
				(folder.path() / "raw").string(), path()));
		const auto image = must(open());
		for (int i = 0; i < 200; i++) {
			const auto at = random() % raw.size();
			std::string got(random() % (raw.size() - at) / (i % 4 ? 200 : 1), '?');

			must(image.read(at, std::as_writable_bytes(std::span(got))));
			ASSERT_EQ(got, raw.substr(at, got.size())) << "at " << at;
		}
		std::byte beyond{};
		EXPECT_EQ(error_of(image.read(raw.size(), std::span(&beyond, 1))), EINVAL);
	}
}

TEST_F(ExtentsQcow2, what_is_not_followed_is_refused)
{
	const auto refused = [&](const std::string &words) {
		const auto image = open();

		EXPECT_EQ(error_of(image), EOPNOTSUPP);
		EXPECT_THAT(image ? "" : image.error().sentence, HasSubstr(words));
	};

	create("-o extended_l2=on,cluster_size=128k", "8M");
	refused("subclusters");
	create("-o data_file=" + (folder.path() / "data").string(), "8M");
	refused("another file");

	run(fmt::format("qemu-img create -f qcow2 --object secret,id=s,data=x -o "
			"encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 {} 8M",
			path()));
	std::byte first{};
	EXPECT_EQ(error_of(must(open()).read(0, std::span(&first, 1))), EOPNOTSUPP);
	Tally tally{};
	EXPECT_THAT(must(must(open()).clusters(tally)), IsEmpty());
}

/* ---- broken ones ---------------------------------------------------------------------- */

/* An image in memory. */
Bytes in_memory(const std::string &image)
{
	return {image.size(),
		[&image](std::uint64_t at, std::span<std::byte> into) -> Result<void> {
			if (at > image.size() || into.size() > image.size() - at)
				return failure(EIO, "It ends before.");
			std::ranges::copy(std::as_bytes(std::span(image)).subspan(at, into.size()),
					  into.begin());
			return {};
		}};
}

template <typename Number>
void put(std::string &image, std::size_t at, Number value)
{
	value = sizeof(value) == 8
			? static_cast<Number>(htobe64(value))
			: static_cast<Number>(htobe32(static_cast<std::uint32_t>(value)));
	std::memcpy(&image.at(at), &value, sizeof(value));
}

/* Whatever it is, it is looked at; what comes of it is within bounds. */
int look_at(const std::string &image)
{
	const auto opened = Qcow2::open(in_memory(image), "image");
	Tally tally{};

	if (!opened)
		return opened.error().number;
	const auto found = opened->clusters(tally);
	std::array<std::byte, 3000> data{};
	for (const std::uint64_t at :
	     {std::uint64_t{0}, opened->bytes() / 2,
	      opened->bytes() - std::min<std::uint64_t>(opened->bytes(), 3000)})
		(void)opened->read(at, data);
	if (!found)
		return found.error().number;
	std::uint64_t end = 0;
	for (const auto &each : *found) {
		EXPECT_GE(each.offset, end);
		EXPECT_GT(each.bytes, 0);
		EXPECT_EQ((each.offset | each.at | each.bytes) % 512, 0);
		EXPECT_LE(each.offset + each.bytes, opened->bytes() + 511);
		EXPECT_LT(each.at, std::uint64_t{1} << 57);
		end = each.end();
	}
	return 0;
}

TEST_F(ExtentsQcow2, what_does_not_make_sense_is_damaged)
{
	create("-o cluster_size=512", "1M");
	io("write 0 64k\nwrite 512k 64k\n");
	const auto whole = text("image");
	const auto broken = [&](auto change) {
		auto image = whole;

		change(image);
		return look_at(image);
	};
	std::uint64_t top = 0;
	std::memcpy(&top, &whole[40], sizeof(top));
	top = be64toh(top);

	EXPECT_EQ(look_at(whole), 0);
	EXPECT_EQ(broken([](auto &image) { image[0] = 'q'; }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 4, 4U); }), EOPNOTSUPP);
	EXPECT_EQ(broken([](auto &image) { put(image, 20, 8U); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 20, 22U); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 20, 0xffffffffU); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 24, UINT64_MAX); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 24, std::uint64_t{INT64_MAX}); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 36, 0xffffffffU); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 36, 0U); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 40, std::uint64_t{1}); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 40, UINT64_MAX - 511); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 72, std::uint64_t{2}); }), EBADMSG);
	EXPECT_EQ(broken([](auto &image) { put(image, 72, std::uint64_t{1} << 40); }), EOPNOTSUPP);
	EXPECT_EQ(broken([](auto &image) { put(image, 100, 72U); }), EBADMSG);
	/* A table beyond the file, one that is not where a cluster is, and one twice. */
	EXPECT_EQ(broken([&](auto &image) { put(image, top, std::uint64_t{1} << 40); }), EBADMSG);
	create("-o cluster_size=64k", "1G");
	io("write 0 64k\nwrite 512M 64k\n");
	auto image = text("image");
	std::memcpy(&top, &image[40], sizeof(top));
	top = be64toh(top);
	std::memcpy(&image[top + 8], &image[top], 8);
	EXPECT_EQ(look_at(image), EBADMSG);
	put(image, top + 8, std::uint64_t{512});
	EXPECT_EQ(look_at(image), EBADMSG);
}

TEST_F(ExtentsQcow2, cut_off_anywhere)
{
	create("-o cluster_size=512", "64k");
	io("write 0 8k\n");
	const auto whole = text("image");
	int good = 0;

	for (std::size_t size = 0; size < whole.size(); size++)
		good += look_at(whole.substr(0, size)) == 0;
	/* Data may be missing, tables may not. */
	EXPECT_LT(good, whole.size());
}

/* Most of the changes hit what is looked at: the head and the tables. */
TEST_F(ExtentsQcow2, changed_at_random)
{
	std::mt19937_64 random(2026);
	std::map<int, int> ends;
	const std::vector<std::uint64_t> values = {0,
						   1,
						   511,
						   512,
						   65536,
						   0xffffffff,
						   UINT64_MAX,
						   INT64_MAX,
						   std::uint64_t{1} << 62,
						   std::uint64_t{1} << 63,
						   0x00fffffffffffe00,
						   (std::uint64_t{1} << 62) | 0x12345};

	for (const char *options : {"-o cluster_size=512", "-o cluster_size=4k,compat=0.10"}) {
		create(options, "1M");
		io("write 0 64k\nwrite 700k 32k\nwrite -z 128k 8k\n");
		run(fmt::format("qemu-img snapshot -c s {}", path()));
		io("write 20k 9k\n");
		const auto whole = text("image");
		for (int round = 0; round < 30000; round++) {
			auto image = whole;

			for (auto changes = 1 + random() % 4; changes; changes--) {
				const auto at = random() % 2 ? random() % 104
							     : random() % (image.size() - 8);

				if (random() % 3 == 0)
					image[at] = static_cast<char>(random());
				else if (random() % 2)
					put(image, at / 8 * 8, values[random() % values.size()]);
				else
					put(image, at / 4 * 4,
					    static_cast<std::uint32_t>(random() >> random() % 60));
			}
			if (random() % 16 == 0)
				image.resize(random() % image.size());
			ends[look_at(image)]++;
		}
	}
	/* It saw all kinds. */
	EXPECT_GT(ends[0], 1000);
	EXPECT_GT(ends[EBADMSG], 1000);
	EXPECT_GT(ends[EOPNOTSUPP], 100);
}

} /* namespace */
