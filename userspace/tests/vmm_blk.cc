// SPDX-License-Identifier: GPL-2.0-or-later
//
// The disk of a guest, from its image to its requests, and what a replay makes of them; and
// random numbers.
#include "result.hh"
#include "temporary_folder.hh"
#include "vmm_driver.hh"

#include <vmm/backends.hh>

#include <libcorbel/text_file.hh>

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <random>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::flag_write;
using corbel::test::must;
using corbel::test::RingDriver;
using corbel::test::TemporaryFolder;

constexpr std::uint64_t mib = 1 << 20;

std::string noise(std::size_t bytes, unsigned seed)
{
	std::mt19937 random(seed);
	std::string text;

	while (text.size() < bytes)
		text += static_cast<char>(random());
	return text;
}

/* ---- the image and what lies over it ----------------------------------------------- */

TEST(vmm_disk, is_its_image_and_what_was_written_to_it)
{
	const TemporaryFolder folder;
	const auto image = noise(37 * sector_bytes, 1);
	const auto path = folder.path() / "image";

	folder.write("image", image);
	auto disk = must(Disk::open(path));
	auto model = image;
	std::mt19937 random(2);

	for (unsigned round = 0; round < 3000; round++) {
		const auto sector = random() % disk.sectors();
		const auto count = 1 + random() % (disk.sectors() - sector);
		auto part = std::span(model).subspan(sector * sector_bytes, count * sector_bytes);

		if (round % 3 == 0 && count < 12) {
			const auto data = noise(part.size(), round);

			must(disk.write(sector, std::as_bytes(std::span(data))));
			std::ranges::copy(data, part.begin());
		} else if (round % 3 == 1 && count < 12) {
			must(disk.zero(sector, count));
			std::ranges::fill(part, 0);
		}
		std::string back(part.size(), 'x');

		must(disk.read(sector, std::as_writable_bytes(std::span(back))));
		ASSERT_EQ(back, std::string_view(part.data(), part.size())) << round;
	}
	EXPECT_EQ(text_of_file(path), image) << "nobody wrote to it";
}

TEST(vmm_disk, of_a_guest_can_be_copied_and_put_back)
{
	Overlay overlay;

	overlay.at(3).fill(std::byte{1});
	overlay.set_zero(4);
	const auto kept = overlay;
	overlay.at(3).fill(std::byte{2});
	overlay.at(4).fill(std::byte{2});
	EXPECT_NE(overlay.digest(), kept.digest());
	EXPECT_EQ(kept.find(3)->front(), std::byte{1});
	EXPECT_EQ(kept.find(4)->front(), std::byte{0});
	EXPECT_EQ(kept.find(5), nullptr);
}

TEST(vmm_disk, is_known_by_what_is_in_it)
{
	const TemporaryFolder folder;

	folder.write("one", noise(8192, 1));
	folder.write("same", noise(8192, 1));
	folder.write("other", noise(8192, 2));
	const auto sum = [&](const char *name) {
		return must(Disk::open(folder.path() / name)).image().sha256;
	};
	EXPECT_EQ(sum("one"), sum("same"));
	EXPECT_NE(sum("one"), sum("other"));
}

TEST(vmm_disk, that_is_large_is_known_by_pieces)
{
	const TemporaryFolder folder;
	const auto path = folder.path() / "large";
	const auto sum = [&] { return must(Disk::open(path)).image().sha256; };
	const auto put = [&](std::uint64_t at) {
		std::fstream file(path);

		file.seekp(static_cast<std::streamoff>(at)) << "x";
	};

	folder.write("large", "");
	std::filesystem::resize_file(path, 1024 * mib);
	const auto empty = sum();
	put(2 * mib);
	EXPECT_EQ(sum(), empty) << "between two pieces";
	put(4 * mib + 7);
	EXPECT_NE(sum(), empty);
}

TEST(vmm_disk, that_is_none_is_refused)
{
	const TemporaryFolder folder;

	folder.write("odd", "x");
	folder.write("empty", "");
	EXPECT_EQ(error_of(Disk::open(folder.path() / "odd")), EINVAL);
	EXPECT_EQ(error_of(Disk::open(folder.path() / "empty")), EINVAL);
	EXPECT_EQ(error_of(Disk::open(folder.path() / "missing")), ENOENT);
}

/* ---- requests ---------------------------------------------------------------------- */

/* A guest with a disk of 16 sectors, which are what `image` says. */
struct Guest {
	static constexpr std::uint64_t header_at = 0x5000, data_at = 0x6000, status_at = 0x5800;

	explicit Guest(const TemporaryFolder &folder, std::unique_ptr<Journal> journal)
		: device(must(Disk::open(folder.path() / "image"))), journal(std::move(journal))
	{}

	/* Its status, or minus the error of the monitor. */
	int request(std::uint32_t type, std::uint64_t sector, std::uint32_t bytes, bool writes)
	{
		driver.put(header_at, virtio_blk_outhdr{type, 0, sector});
		driver.put<std::uint8_t>(status_at, 0xee);
		std::vector<corbel::test::Descriptor> chain{{header_at, 16, 0, 0}};

		if (bytes)
			chain.push_back({data_at, bytes,
					 static_cast<std::uint16_t>(writes ? 0 : flag_write), 0});
		chain.push_back({status_at, 1, flag_write, 0});
		driver.offer(std::move(chain));
		return serve();
	}
	int serve()
	{
		if (driver.queue.waiting(memory) != 1)
			return -EPROTO;
		const auto chain = driver.queue.take(memory);
		const auto written = device.serve(chain.value(), *journal);

		if (!written)
			return -written.error().number;
		driver.queue.give(memory, *chain, *written);
		last_written = *written;
		return driver.get<std::uint8_t>(status_at);
	}
	int read(std::uint64_t sector, std::uint32_t sectors)
	{
		return request(VIRTIO_BLK_T_IN, sector, sectors * sector_bytes, false);
	}
	int write(std::uint64_t sector, std::string_view data)
	{
		driver.put_text(data_at, data);
		return request(VIRTIO_BLK_T_OUT, sector, static_cast<std::uint32_t>(data.size()),
			       true);
	}
	int zero(std::uint32_t type, const virtio_blk_discard_write_zeroes &range)
	{
		driver.put(data_at, range);
		return request(type, 0, sizeof(range), true);
	}
	[[nodiscard]] std::string data(std::size_t bytes) const
	{
		return driver.text(data_at, bytes);
	}

	GuestMemory memory = must(GuestMemory::create(16 * mib));
	RingDriver driver{memory};
	BlockDevice device;
	std::unique_ptr<Journal> journal;
	std::uint32_t last_written = 0;
};

struct vmm_blk : testing::Test {
	vmm_blk() { folder.write("image", image); }

	std::unique_ptr<Journal> plain() { return must(Journal::create({Mode::plain, 0, -1})); }
	std::unique_ptr<Journal> recording()
	{
		auto journal = must(Journal::create({Mode::record, 0, -1}));

		journal->record_to(
			must(RecordingWriter::create(folder.path() / "recording", "{}")));
		return journal;
	}
	std::unique_ptr<Journal> replaying(Journal &recorded)
	{
		must(recorded.end(1, 0));
		must(recorded.finish());
		file = text_of_file(folder.path() / "recording").value();
		return must(Journal::create({Mode::replay, 0, -1}, must(ChunkReader::open(file))));
	}
	void truncate(std::uint64_t bytes)
	{
		std::filesystem::resize_file(folder.path() / "image", bytes);
	}

	TemporaryFolder folder;
	std::string image = noise(16 * sector_bytes, 3), file;
};

TEST_F(vmm_blk, reads_and_writes)
{
	Guest guest(folder, plain());

	EXPECT_EQ(guest.read(2, 3), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.data(3 * sector_bytes), image.substr(2 * sector_bytes, 3 * sector_bytes));
	EXPECT_EQ(guest.last_written, 3 * sector_bytes + 1);
	const auto data = noise(2 * sector_bytes, 4);
	EXPECT_EQ(guest.write(14, data), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.read(13, 3), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.data(3 * sector_bytes),
		  image.substr(13 * sector_bytes, sector_bytes) + data);
	EXPECT_EQ(guest.request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.request(VIRTIO_BLK_T_GET_ID, 0, 20, false), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.data(7), std::string("corbel\0", 7));
}

TEST_F(vmm_blk, zeroes_and_discards)
{
	Guest guest(folder, plain());

	EXPECT_EQ(guest.zero(VIRTIO_BLK_T_DISCARD, {8, 8, 0}), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.zero(VIRTIO_BLK_T_WRITE_ZEROES, {1, 1, 1}), VIRTIO_BLK_S_OK);
	EXPECT_EQ(guest.read(0, 16), VIRTIO_BLK_S_OK);
	auto expected = image;
	std::fill_n(expected.begin() + 8 * sector_bytes, 8 * sector_bytes, 0);
	std::fill_n(expected.begin() + sector_bytes, sector_bytes, 0);
	EXPECT_EQ(guest.data(image.size()), expected);
	EXPECT_EQ(guest.zero(VIRTIO_BLK_T_DISCARD, {9, 8, 0}), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.zero(VIRTIO_BLK_T_DISCARD, {0, 0, 0}), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.zero(VIRTIO_BLK_T_DISCARD, {0, 1, 2}), VIRTIO_BLK_S_UNSUPP);
}

TEST_F(vmm_blk, refuses_what_there_is_not)
{
	Guest guest(folder, plain());

	EXPECT_EQ(guest.read(16, 1), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.read(15, 2), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.read(~std::uint64_t{0}, 1), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.request(VIRTIO_BLK_T_IN, 0, 100, false), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.request(VIRTIO_BLK_T_IN, 0, 0, false), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.request(VIRTIO_BLK_T_OUT, 0, 0, true), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(guest.request(99, 0, 0, false), VIRTIO_BLK_S_UNSUPP);
	EXPECT_EQ(guest.device.failed(), 6U);
	/* Half a header, and none; and nowhere to say so. */
	guest.driver.offer({{Guest::header_at, 8, 0, 0}, {Guest::status_at, 1, flag_write, 0}});
	EXPECT_EQ(guest.serve(), VIRTIO_BLK_S_IOERR);
	guest.driver.offer({{Guest::status_at, 1, flag_write, 0}});
	EXPECT_EQ(guest.serve(), VIRTIO_BLK_S_IOERR);
	guest.driver.put<std::uint8_t>(Guest::status_at, 0xee);
	guest.driver.offer({{Guest::header_at, 16, 0, 0}});
	EXPECT_EQ(guest.serve(), 0xee);
	EXPECT_EQ(guest.last_written, 0U);
}

TEST_F(vmm_blk, is_replayed_from_its_image_with_an_entry_a_request)
{
	const auto data = noise(3 * sector_bytes, 5);
	const auto run = [&](Guest &guest) {
		EXPECT_EQ(guest.write(1, data), VIRTIO_BLK_S_OK);
		EXPECT_EQ(guest.read(0, 16), VIRTIO_BLK_S_OK);
		EXPECT_EQ(guest.read(16, 1), VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(guest.zero(VIRTIO_BLK_T_DISCARD, {4, 4, 0}), VIRTIO_BLK_S_OK);
		return guest.memory.digest() + guest.device.disk().overlay().digest();
	};
	Guest recorded(folder, recording());
	const auto digest = run(recorded);

	EXPECT_EQ(recorded.journal->entries(), 4U);
	Guest replayed(folder, replaying(*recorded.journal));
	EXPECT_EQ(run(replayed), digest);
	must(replayed.journal->end(1, 0));
}

TEST_F(vmm_blk, finds_another_image_when_it_is_read)
{
	Guest recorded(folder, recording());

	EXPECT_EQ(recorded.read(0, 1), VIRTIO_BLK_S_OK);
	EXPECT_EQ(recorded.read(1, 1), VIRTIO_BLK_S_OK);
	auto journal = replaying(*recorded.journal);
	image[sector_bytes + 9] = static_cast<char>(image[sector_bytes + 9] ^ 1);
	folder.write("image", image);
	Guest replayed(folder, std::move(journal));
	EXPECT_EQ(replayed.read(0, 1), VIRTIO_BLK_S_OK);
	EXPECT_EQ(replayed.read(1, 1), -diverged);
}

TEST_F(vmm_blk, repeats_the_failures_of_an_image_and_has_none_of_its_own)
{
	Guest recorded(folder, recording());

	truncate(12 * sector_bytes);
	EXPECT_EQ(recorded.read(0, 16), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(recorded.write(9, noise(4 * sector_bytes, 6)), VIRTIO_BLK_S_IOERR)
		<< "its block is not there";
	EXPECT_EQ(recorded.read(8, 4), VIRTIO_BLK_S_OK);
	EXPECT_EQ(recorded.data(4 * sector_bytes), image.substr(8 * sector_bytes, 4 * sector_bytes))
		<< "what failed wrote nothing";
	EXPECT_EQ(recorded.read(0, 1), VIRTIO_BLK_S_OK);
	const auto digest = recorded.device.disk().overlay().digest();
	auto journal = replaying(*recorded.journal);
	folder.write("image", image);
	Guest replayed(folder, std::move(journal));
	EXPECT_EQ(replayed.read(0, 16), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(replayed.write(9, noise(4 * sector_bytes, 6)), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(replayed.read(8, 4), VIRTIO_BLK_S_OK);
	EXPECT_EQ(replayed.device.disk().overlay().digest(), digest);
	truncate(0);
	EXPECT_EQ(replayed.read(0, 1), -EIO) << "that is the host's trouble, and no divergence";
}

/* ---- random numbers ---------------------------------------------------------------- */

TEST_F(vmm_blk, has_random_numbers_beside_it_that_are_recorded)
{
	auto memory = must(GuestMemory::create(16 * mib));
	RingDriver driver(memory);
	const auto ask = [&](Journal &journal) {
		driver = RingDriver(memory);
		driver.put<std::uint16_t>(RingDriver::driver + 2, 0);
		driver.offer({{0x5000, 1000, flag_write, 0}});
		EXPECT_EQ(driver.queue.waiting(memory), 1U);
		const auto written =
			must(serve_entropy(driver.queue.take(memory).value(), journal));

		return driver.text(0x5000, written);
	};
	const auto recorded = recording();
	const auto one = ask(*recorded), other = ask(*recorded);

	EXPECT_GE(one.size(), 64U);
	EXPECT_NE(one, other);
	const auto replayed = replaying(*recorded);
	EXPECT_EQ(ask(*replayed), one);
	EXPECT_EQ(ask(*replayed), other);
}

} /* namespace */
