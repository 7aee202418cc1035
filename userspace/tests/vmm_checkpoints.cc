// SPDX-License-Identifier: GPL-2.0-or-later
//
// Files of checkpoints: what is in them comes back, whatever happened to the file.
#include "result.hh"
#include "temporary_folder.hh"

#include <vmm/checkpoint_file.hh>
#include <vmm/checkpoint_format.hh>

#include <libcorbel/text_file.hh>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::must;
using corbel::test::TemporaryFolder;

constexpr std::uint64_t mib = 1 << 20, pages = 16 * mib / page_bytes;
constexpr CheckpointsOf whose{{1, 2}, 16 * mib, 0, 10};

Checkpoint some_checkpoint(std::uint64_t exits)
{
	Checkpoint checkpoint;

	checkpoint.position = {exits, exits * 3, exits * 3 - 1, exits ^ 99, exits * 1000, exits};
	checkpoint.monitor.now = exits * 1000;
	checkpoint.vcpu.regs.rip = 0xffffffff81000000 + exits;
	checkpoint.vcpu.nr_msrs = 1;
	checkpoint.msrs = {{0x277, 0, exits}};
	checkpoint.devices = {{"board", std::string(300, static_cast<char>(exits))}};
	return checkpoint;
}

/* Memory as it changes, and what it was at each checkpoint. */
struct World {
	explicit World(unsigned seed) : random(seed) {}

	/* Noise, a text, zeros or what was there before somewhere else. */
	void change(std::uint64_t page)
	{
		const auto bytes = memory.writable(page * page_bytes, page_bytes);

		switch (random() % 4) {
		case 0:
			for (auto &byte : bytes)
				byte = static_cast<std::byte>(random());
			break;
		case 1:
			std::ranges::fill(bytes, static_cast<std::byte>(random()));
			break;
		case 2:
			std::ranges::fill(bytes, std::byte{0});
			break;
		default:
			std::memcpy(bytes.data(), memory.base() + random() % pages * page_bytes,
				    page_bytes);
		}
	}
	void add(CheckpointWriter &writer, unsigned changes)
	{
		for (unsigned i = 0; i < changes; i++)
			change(random() % reach);
		exits += writer.every();
		must(writer.add(some_checkpoint(exits), bytes_of(), memory.changed_pages()));
		memory.forget_changed();
		then[exits] = copy();
	}
	[[nodiscard]] CheckpointWriter::BytesOf bytes_of()
	{
		return [this](std::uint64_t page) {
			return GuestMemory::ConstPage(memory.base() + page * page_bytes,
						      page_bytes);
		};
	}
	[[nodiscard]] std::string copy()
	{
		return {reinterpret_cast<const char *>(memory.base()), memory.size()};
	}

	std::mt19937 random;
	GuestMemory memory = must(GuestMemory::create(16 * mib));
	std::uint64_t exits = 0, reach = pages;
	std::map<std::uint64_t, std::string> then;
};

/* Memory is at a checkpoint what it was, but for pages that are told to be damaged. */
void expect_memory(const CheckpointFile &file, std::size_t number, const std::string &then,
		   bool all_whole)
{
	for (std::uint64_t page = 0; page < pages; page++) {
		const auto *const version = file.version(number, page);
		const auto was = std::string_view(then).substr(page * page_bytes, page_bytes);
		std::string bytes(version ? page_bytes : 0, 'x');

		if (!version)
			ASSERT_TRUE(!all_whole || was.find_first_not_of('\0') == was.npos);
		else if (file.load(*version,
				   std::as_writable_bytes(std::span(bytes)).first<page_bytes>()))
			ASSERT_TRUE(bytes == was) << page;
		else
			ASSERT_FALSE(all_whole) << page;
	}
}

/* Each is what it was when it was made. The number of them. */
std::size_t expect_true(const CheckpointFile &file, const World &world, bool all_whole)
{
	for (std::size_t i = 0; i < file.count(); i++) {
		const auto &at = file.at(i);

		EXPECT_EQ(difference_of(some_checkpoint(at.position.exits), at), "");
		expect_memory(file, i, world.then.at(at.position.exits), all_whole);
	}
	return file.count();
}

TEST(vmm_checkpoints, hold_what_was_put_in)
{
	const TemporaryFolder folder;
	const auto path = (folder.path() / "c").string();
	World world(1);
	auto writer = must(CheckpointWriter::create(path, whose, mib << 10));

	for (unsigned i = 0; i < 12; i++)
		world.add(writer, i * 5);
	EXPECT_FALSE(std::filesystem::exists(path)) << "it is not there before it is complete";
	must(writer.finish());
	const auto file = must(CheckpointFile::open(path, whose));
	EXPECT_EQ(expect_true(file, world, true), 12U);
	EXPECT_EQ(file.every(), 10U);
	EXPECT_FALSE(file.was_cut());
	EXPECT_FALSE(file.nearest(9));
	EXPECT_EQ(file.nearest(10), 0U);
	EXPECT_EQ(file.nearest(39), 2U);
	EXPECT_EQ(file.nearest(~std::uint64_t{0}), 11U);
}

TEST(vmm_checkpoints, have_pages_that_are_alike_once)
{
	const TemporaryFolder folder;
	World world(2);
	auto writer = must(CheckpointWriter::create(folder.path() / "c", whose, mib << 10));
	const auto noise = [&](std::uint64_t page) {
		std::mt19937 same(5);

		for (auto &byte : world.memory.writable(page * page_bytes, page_bytes))
			byte = static_cast<std::byte>(same());
	};

	for (std::uint64_t page = 0; page < 500; page++)
		noise(page);
	world.add(writer, 0);
	EXPECT_LT(writer.bytes(), 3 * page_bytes);
	noise(700);
	noise(3); /* written, and not changed */
	world.add(writer, 0);
	EXPECT_LT(writer.bytes(), 4 * page_bytes);
	must(writer.finish());
	const auto file = must(CheckpointFile::open(folder.path() / "c", whose));
	EXPECT_EQ(file.changed(1).size(), 1U);
	EXPECT_EQ(expect_true(file, world, true), 2U);
}

TEST(vmm_checkpoints, are_given_up_for_a_limit)
{
	const TemporaryFolder folder;
	World world(3);
	auto writer = must(CheckpointWriter::create(folder.path() / "c", whose, 2 * mib));

	world.reach = 200;
	for (unsigned i = 0; i < 40; i++) {
		world.add(writer, 150);
		EXPECT_LE(writer.bytes(), 2 * mib);
	}
	EXPECT_GT(writer.every(), 10U);
	must(writer.finish());
	EXPECT_LE(std::filesystem::file_size(folder.path() / "c"), 2 * mib);
	const auto file = must(CheckpointFile::open(folder.path() / "c", whose));
	EXPECT_EQ(file.every(), writer.every());
	EXPECT_GT(expect_true(file, world, true), 2U);
	EXPECT_EQ(file.at(file.count() - 1).position.exits, world.exits);
	for (std::size_t i = 1; i < file.count(); i++)
		EXPECT_EQ(file.at(i).position.exits - file.at(i - 1).position.exits, file.every());
}

TEST(vmm_checkpoints, of_which_there_is_no_room_for_one_are_refused_and_leave_nothing)
{
	const TemporaryFolder folder;

	folder.write("c", "precious");
	{
		World world(4);
		auto writer = must(CheckpointWriter::create(folder.path() / "c", whose, 100000));

		for (std::uint64_t page = 0; page < 100; page++)
			for (auto &byte : world.memory.writable(page * page_bytes, page_bytes))
				byte = static_cast<std::byte>(world.random());
		EXPECT_EQ(error_of(writer.add(some_checkpoint(10), world.bytes_of(),
					      world.memory.changed_pages())),
			  EFBIG);
	}
	EXPECT_EQ(text_of_file(folder.path() / "c"), "precious");
	EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

/* A file of a few checkpoints with few pages each. */
struct Made {
	Made() : world(6)
	{
		auto writer = must(CheckpointWriter::create(folder.path() / "c", whose, mib << 10));

		for (unsigned i = 0; i < 4; i++) {
			world.add(writer, 3);
			ends.push_back(writer.bytes());
		}
		must(writer.finish());
		file = text_of_file(folder.path() / "c").value();
	}
	/* The error of opening it; 0, and then what is in it is true. */
	int look(std::string_view bytes, std::size_t &count)
	{
		folder.write("changed", bytes);
		const auto opened = CheckpointFile::open(folder.path() / "changed", whose);

		count = opened ? expect_true(*opened, world, false) : 0;
		return error_of(opened);
	}

	TemporaryFolder folder;
	World world;
	std::vector<std::size_t> ends;
	std::string file;
};

TEST(vmm_checkpoints, that_are_cut_anywhere_are_used_up_to_the_last_whole_one)
{
	Made made;
	std::size_t count = 0;

	for (std::size_t size = 0; size < made.file.size(); size += 1 + made.world.random() % 97) {
		const auto error = made.look(std::string_view(made.file).substr(0, size), count);

		if (size < sizeof(CheckpointsHead)) {
			ASSERT_EQ(error, EBADMSG) << size;
			continue;
		}
		ASSERT_EQ(error, 0) << size;
		ASSERT_EQ(count, std::ranges::count_if(
					 made.ends, [&](std::size_t end) { return end <= size; }))
			<< size;
	}
}

TEST(vmm_checkpoints, have_no_bit_that_can_change_unseen)
{
	Made made;
	std::size_t count = 0;

	for (unsigned round = 0; round < 400; round++) {
		auto changed = made.file;
		const auto bit = made.world.random() % (changed.size() * 8);

		changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
		const auto error = made.look(changed, count);
		ASSERT_TRUE(error == 0 || error == EBADMSG || error == EPROTO || error == EXDEV)
			<< bit;
	}
}

TEST(vmm_checkpoints, of_another_recording_or_version_are_refused_by_name)
{
	Made made;
	std::size_t count = 0;
	auto other = whose;

	other.recording[1] = 77;
	const auto foreign = CheckpointFile::open(made.folder.path() / "c", other);
	ASSERT_EQ(error_of(foreign), EXDEV);
	EXPECT_NE(foreign.error().sentence.find("/c are those of another recording"),
		  std::string::npos);
	made.file[8] = 9;
	EXPECT_EQ(made.look(made.file, count), EPROTO);
	EXPECT_EQ(made.look("CorbRec\n" + std::string(200, '\0'), count), EBADMSG);
	const auto missing = CheckpointFile::open(made.folder.path() / "none", whose);
	ASSERT_EQ(error_of(missing), ENOENT);
	EXPECT_NE(missing.error().sentence.find("corbel-vmm checkpoints"), std::string::npos);
}

TEST(vmm_checkpoints, are_decoded_from_anything)
{
	const auto good = encode(some_checkpoint(10), {{1, 2, 3, 4}, {5, 6, 7, 8}});
	std::mt19937 random(8);

	ASSERT_TRUE(decode_checkpoint(good));
	for (std::size_t size = 0; size < good.size(); size++)
		ASSERT_FALSE(decode_checkpoint(std::string_view(good).substr(0, size))) << size;
	EXPECT_FALSE(decode_checkpoint(good + "x"));
	for (unsigned round = 0; round < 3000; round++) {
		auto bytes = good;

		for (unsigned i = 0; i < 1 + round % 8; i++)
			bytes[random() % bytes.size()] = static_cast<char>(random());
		(void)decode_checkpoint(bytes);
	}
}

TEST(vmm_checkpoints, has_what_is_on_a_disk_behind_memory)
{
	const TemporaryFolder folder;
	const auto path = folder.path() / "c";
	auto with_disk = whose;
	std::map<std::uint64_t, std::vector<std::byte>> blocks;

	with_disk.disk = 10 * page_bytes + 512;
	EXPECT_EQ(with_disk.pages(), 16 * mib / page_bytes + 11);
	auto writer = must(CheckpointWriter::create(path, with_disk, mib));
	const auto first = 16 * mib / page_bytes;
	const auto add = [&](std::uint64_t exits, std::uint64_t block, int byte) {
		blocks[first + block].assign(page_bytes, static_cast<std::byte>(byte));
		must(writer.add(
			some_checkpoint(exits),
			[&](std::uint64_t page) {
				return std::span(std::as_const(blocks[page])).first<page_bytes>();
			},
			{first + block}));
	};

	add(10, 0, 1);
	add(20, 10, 2);
	add(30, 0, 0);
	must(writer.finish());
	const auto file = must(CheckpointFile::open(path, with_disk));
	const auto byte_of = [&](std::size_t checkpoint, std::uint64_t block) {
		const auto *const version = file.version(checkpoint, first + block);
		std::array<std::byte, page_bytes> page{std::byte{0xff}};

		if (version)
			must(file.load(*version, page));
		return version ? static_cast<int>(page[7]) : -1;
	};

	EXPECT_EQ(byte_of(0, 0), 1);
	EXPECT_EQ(byte_of(1, 0), 1);
	EXPECT_EQ(byte_of(2, 0), 0);
	EXPECT_EQ(byte_of(0, 10), -1);
	EXPECT_EQ(byte_of(2, 10), 2);
	EXPECT_EQ(file.changing_pages().size(), 2U);
	/* Of a recording with another disk, or without. */
	EXPECT_EQ(error_of(CheckpointFile::open(path, whose)), EXDEV);
	with_disk.disk += page_bytes;
	EXPECT_EQ(error_of(CheckpointFile::open(path, with_disk)), EXDEV);
}

} /* namespace */
