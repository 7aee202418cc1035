// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What moving blocks writes beside the blocks themselves, when 1, 32 and 1,024 snapshots have
 * them, beside btrfs, whose balance is the same job. Both are seen from outside, as sectors
 * written to the devices below. dm-thin cannot move a block.
 *
 * Only what is promised decides: that it does not grow with the snapshots.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include <algorithm>
#include <numeric>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 24 << 20, blocks = volume_bytes / block_bytes;

std::unique_ptr<dm_device> linear(const char *name, const std::string &below, uint64_t first,
				  uint64_t sectors)
{
	return std::make_unique<dm_device>(name, sectors,
					   fmt::format("linear {} {}", below, first));
}

uint64_t bytes_written(const dm_device &device)
{
	return device.statistic(6) * 512;
}

/* Bytes of metadata. */
uint64_t moved_by_corbel(const ram_disks &disks, unsigned snapshots)
{
	const uint64_t room = device_sectors(disks.path(1)) / 2;
	const auto meta = linear("corbel-meta", disks.path(0), 0, device_sectors(disks.path(0)));
	const auto from = linear("corbel-from", disks.path(1), 0, room);
	const auto to = linear("corbel-to", disks.path(1), room, room);
	const pool_devices devices{meta->path(), {from->path(), to->path()}, block_bytes};

	format_pool(devices);
	const dm_device pool("corbel-test", pool_sectors(devices), pool_table(devices));
	std::mt19937_64 random(1);
	pool.message(fmt::format("create {}", blocks));
	checked_volume volume(pool, 1, std::vector<char>(volume_bytes));
	volume.fill(random);
	for (unsigned made = 0; made < snapshots;) {
		std::string all;
		for (unsigned i = 0; i < 32 && made < snapshots; i++, made++)
			all += " 1";
		pool.message("snapshot" + all);
	}
	pool.message("commit");
	const uint64_t before = bytes_written(*meta), data = bytes_written(*to);
	pool.message(fmt::format("move 0 0 {} 1", 1 << 20));
	CHECK_EQ(finished(pool).state, "done", "{}", pool.message("mover"));
	pool.message("commit");
	CHECK_EQ(bytes_written(*to) - data, volume_bytes, "bytes of data written to the other");
	const uint64_t written = bytes_written(*meta) - before;
	volume.read_all();
	return written;
}

/* Bytes beside those of the file. */
uint64_t moved_by_btrfs(const ram_disks &disks, unsigned snapshots)
{
	const auto device = linear("corbel-btrfs", disks.path(1), 0, device_sectors(disks.path(1)));
	const std::string mount = "/tmp/corbel-btrfs";

	shell(fmt::format("mkfs.btrfs -q -f -m single -d single {0} && mkdir -p {1} && "
			  "mount -t btrfs {0} {1} && btrfs -q subvolume create {1}/volume",
			  device->path(), mount));
	/* Block by block in no order, as a guest's disk is written. */
	std::vector<uint64_t> order(blocks);
	std::iota(order.begin(), order.end(), 0);
	std::ranges::shuffle(order, std::mt19937_64(1));
	{
		unique_fd fd(open((mount + "/volume/disk").c_str(),
				  O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
		const std::unique_ptr<char, decltype(&std::free)> buffer(
			static_cast<char *>(std::aligned_alloc(4096, block_bytes)), &std::free);
		std::memset(buffer.get(), 0x5a, block_bytes);
		for (const uint64_t block : order)
			CHECK_EQ(pwrite(fd.get(), buffer.get(), block_bytes,
					static_cast<off_t>(block * block_bytes)),
				 block_bytes, "{}", std::strerror(errno));
	}
	shell(fmt::format(
		"for i in $(seq {}); do btrfs -q subvolume snapshot -r {}/volume {}/$i || "
		"exit; done; sync",
		snapshots, mount, mount));
	const uint64_t before = bytes_written(*device);
	shell(fmt::format("btrfs balance start -d {0} && sync", mount));
	const uint64_t written = bytes_written(*device) - before;
	shell("umount " + mount);
	CHECK(written > volume_bytes, "balance wrote {} bytes", written);
	return written - volume_bytes;
}

void beside_btrfs()
{
	ensure_block();
	std::string output;
	if (try_shell("modprobe btrfs && command -v mkfs.btrfs btrfs", &output))
		skip("there is no btrfs: {}", output);
	const unsigned counts[] = {1, static_cast<unsigned>(amount(3, 32)),
				   static_cast<unsigned>(amount(32, 1024))};
	uint64_t least = ~uint64_t{0}, most = 0;

	for (const unsigned snapshots : counts) {
		const ram_disks disks(2, 256 << 20);
		const uint64_t ours = moved_by_corbel(disks, snapshots);
		const uint64_t theirs = moved_by_btrfs(disks, snapshots);

		comment("{} blocks that {} snapshots have: corbel {} bytes a block beside it, btrfs "
			"balance {}",
			blocks, snapshots, ours / blocks, theirs / blocks);
		least = std::min(least, ours);
		most = std::max(most, ours);
	}
	/* How often it is committed meanwhile is a matter of time. */
	CHECK(most < 4 * least, "{} to {} bytes of metadata", least, most);
}

constexpr test_case cases[] = {
	{"what moving writes, beside btrfs", beside_btrfs},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
