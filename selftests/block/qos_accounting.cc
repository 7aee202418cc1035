// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the objects of a device have counted is what the device did, to the sector, as its
 * diskstats have it: while ranges change hands, I/O fails, and the blocks below are moved.
 *
 *   corbel-qos over dm-flakey, which fails every other second, over a volume of a pool
 */
#include "checked_volume.hh"
#include "qos_device.hh"
#include "wait.hh"

#include <atomic>
#include <fstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>

using namespace corbel::selftest;
using corbel::qos::Range;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 24 << 20, blocks = volume_bytes / block_bytes;
constexpr uint64_t sectors = volume_bytes / 512;
constexpr unsigned workers = 3;
constexpr uint64_t area = sectors / workers;

/* As the kernel's Documentation/block/stat.rst has it. */
struct disk_stat {
	uint64_t reads, read_merges, read_sectors, read_ms, writes, write_merges, write_sectors,
		write_ms, in_flight, io_ms, queue_ms, discards, discard_merges, discard_sectors;
};

disk_stat stat_of(const std::string &path)
{
	struct stat found = {};
	disk_stat all{};

	CHECK(stat(path.c_str(), &found) == 0, "{}: {}", path, std::strerror(errno));
	std::ifstream file(fmt::format("/sys/dev/block/{}:{}/stat", major(found.st_rdev),
				       minor(found.st_rdev)));
	for (uint64_t disk_stat::*field :
	     {&disk_stat::reads, &disk_stat::read_merges, &disk_stat::read_sectors,
	      &disk_stat::read_ms, &disk_stat::writes, &disk_stat::write_merges,
	      &disk_stat::write_sectors, &disk_stat::write_ms, &disk_stat::in_flight,
	      &disk_stat::io_ms, &disk_stat::queue_ms, &disk_stat::discards,
	      &disk_stat::discard_merges, &disk_stat::discard_sectors})
		file >> all.*field;
	CHECK(file, "what {} did cannot be read", path);
	return all;
}

/* What one worker asked for, whether it failed or not; of reads, writes and discards. */
struct asked {
	std::atomic<uint64_t> bytes[3], all, failed;
};

/* @count that do not fail, and on until it is enough for others. */
void work(int fd, unsigned number, uint64_t count, const std::atomic<bool> &is_enough, asked &of)
{
	uint64_t successes = 0;
	auto *buffer = static_cast<char *>(std::aligned_alloc(4096, 128 << 10));
	std::mt19937_64 random(number);

	std::memset(buffer, 0, 128 << 10);
	while (successes < count || !is_enough) {
		const uint64_t pages = 1 + random() % 32;
		uint64_t from = number * area * 512 + random() % (area / 8 - pages) * 4096;
		uint64_t bytes = pages * 4096;
		const unsigned kind = random() % 64;
		int64_t done = 0;

		if (kind == 0) {
			done = fsync(fd);
			bytes = 0;
		} else if (kind < 4) {
			from = from / block_bytes * block_bytes;
			bytes = block_bytes;
			uint64_t range[] = {from, bytes};
			done = ioctl(fd, BLKDISCARD, range) ? -1 : static_cast<int64_t>(bytes);
			of.bytes[2] += bytes;
		} else if (kind < 32) {
			done = pread(fd, buffer, bytes, static_cast<off_t>(from));
			of.bytes[0] += bytes;
		} else {
			done = pwrite(fd, buffer, bytes, static_cast<off_t>(from));
			of.bytes[1] += bytes;
		}
		of.all++;
		if (done == static_cast<int64_t>(bytes))
			successes++;
		else
			of.failed++;
	}
	std::free(buffer);
}

void nothing_is_lost()
{
	ensure_block();
	if (try_shell("modprobe dm-flakey"))
		skip("this kernel has no dm-flakey");
	ram_disks disks(3, 64 << 20);
	const pool_devices devices{disks.path(0), {disks.path(1), disks.path(2)}, block_bytes};
	format_pool(devices);
	const dm_device pool("corbel-pool-test", pool_sectors(devices), pool_table(devices));
	const uint64_t id = std::stoull(pool.message(fmt::format("create {}", blocks)));
	const dm_device volume("corbel-volume-test", sectors,
			       fmt::format("corbel-volume {} {}", pool.path(), id));
	shell(fmt::format("dd if=/dev/zero of={} bs=1M count={} oflag=direct status=none",
			  volume.path(), volume_bytes >> 20));
	const dm_device flaky("corbel-flaky", sectors, "flakey " + volume.path() + " 0 1 1");
	const dm_device device("corbel-test", sectors, "corbel-qos " + flaky.path() + " 0");
	const unique_fd fd(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
	CHECK(fd, "{}: {}", device.path(), std::strerror(errno));
	std::vector<uint32_t> objects;
	std::mt19937_64 random(7);

	/* Of each worker's area, two objects have all, as it happens. */
	for (uint32_t object = 1; object <= 2 * workers; object++) {
		device.message(fmt::format("object {}", object));
		objects.push_back(object);
	}
	const auto divide = [&] {
		std::vector<Range> ranges;
		for (uint64_t from = 0; from < sectors;) {
			const auto worker = static_cast<uint32_t>(from / area);
			const uint64_t end =
				std::min(from + 8 + random() % 300 * 8, (worker + 1) * area);
			const auto object = static_cast<uint32_t>(1 + 2 * worker + random() % 2);
			ranges.push_back({{from}, end - from, {object}, 0});
			from = end;
		}
		device.send(set_message(objects, ranges));
	};
	divide();
	const disk_stat before = stat_of(device.path());
	object_counts rest_before = counts_of(device, 0);
	asked of[workers] = {};
	std::atomic<unsigned> running = workers;
	std::atomic<bool> is_enough = false;
	std::vector<std::thread> threads;
	const uint64_t each = amount(4000, 1'000'000 / workers);

	for (unsigned i = 0; i < workers; i++)
		threads.emplace_back([&, i] {
			work(fd.get(), i, each, is_enough, of[i]);
			running--;
		});
	unsigned changes = 0, moves = 0;
	const unsigned least = static_cast<unsigned>(amount(10, 100));
	while (running) {
		divide();
		is_enough = ++changes >= least && moves > 1;
		/* All of one device to the other, and back. */
		if (pool.message("mover").find("running") == std::string::npos &&
		    !pool.refuses(
			    fmt::format("move {} 0 {} {}", moves % 2, blocks * 4, 1 - moves % 2)))
			moves++;
	}
	for (std::thread &thread : threads)
		thread.join();
	wait_until("the mover ends",
		   [&] { return pool.message("mover").find("running") == std::string::npos; });

	const disk_stat after = stat_of(device.path());
	object_counts sum{}, of_worker[workers]{};
	uint64_t all = 0, failed = 0;
	for (uint32_t object = 0; object <= 2 * workers; object++) {
		const object_counts got = counts_of(device, object);
		for (unsigned op = 0; op < 4; op++) {
			const auto add = [&](object_counts &to) {
				to.by_op[op].ios += got.by_op[op].ios;
				to.by_op[op].bytes += got.by_op[op].bytes;
				to.by_op[op].errors += got.by_op[op].errors;
			};
			add(sum);
			if (object)
				add(of_worker[(object - 1) / 2]);
		}
	}
	for (unsigned op = 0; op < 4; op++) {
		sum.by_op[op].ios -= rest_before.by_op[op].ios;
		sum.by_op[op].bytes -= rest_before.by_op[op].bytes;
	}
	const object_counts rest = counts_of(device, 0);
	for (unsigned i = 0; i < workers; i++) {
		static constexpr const char *names[] = {"read", "written", "discarded"};
		for (unsigned op = 0; op < 3; op++)
			CHECK_EQ(of_worker[i].by_op[op].bytes, of[i].bytes[op].load(),
				 "bytes {} by worker {}", names[op], i);
		all += of[i].all;
		failed += of[i].failed;
	}
	for (unsigned op = 0; op < 3; op++)
		CHECK_EQ(rest.by_op[op].ios, rest_before.by_op[op].ios, "of rest, op {}", op);
	CHECK_EQ(sum.by_op[0].bytes / 512, after.read_sectors - before.read_sectors, "read");
	CHECK_EQ(sum.by_op[1].bytes / 512, after.write_sectors - before.write_sectors, "written");
	CHECK_EQ(sum.by_op[2].bytes / 512, after.discard_sectors - before.discard_sectors,
		 "discarded");
	comment("{} reads, {} writes, {} discards, {} flushes; of the device {}, {}, {}",
		sum.by_op[0].ios, sum.by_op[1].ios, sum.by_op[2].ios, sum.by_op[3].ios,
		after.reads - before.reads, after.writes - before.writes,
		after.discards - before.discards);
	CHECK_EQ(sum.by_op[0].ios, after.reads - before.reads, "reads");
	CHECK_EQ(sum.by_op[2].ios, after.discards - before.discards, "discards");
	/* To the device a flush is a write of nothing. */
	CHECK_EQ(sum.by_op[1].ios + sum.by_op[3].ios, after.writes - before.writes, "writes");
	const uint64_t errors = sum.by_op[0].errors + sum.by_op[1].errors + sum.by_op[2].errors +
				sum.by_op[3].errors;
	CHECK(errors >= failed, "{} failed, {} were counted", failed, errors);
	CHECK(failed > 0 && failed < all, "{} of {} failed", failed, all);
	comment("{} requests, {} failed ({} parts); {} changes of all ranges, {} moves; difference 0",
		all, failed, errors, changes, moves);
}

constexpr test_case cases[] = {
	{"objects count what the device did", nothing_is_lost},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
