// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a pool costs when much is mapped: 16 GiB of blocks of 64 KiB, or that many times
 * CORBEL_SCALE (1 TiB by 64). A snapshot of it beside one of nothing, memory for its maps, and
 * what a read takes whose entries are not in memory. The data is not there: behind the labels
 * there are zeros. Runs where the time stamp counter counts instructions.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "block_pool.hh"
#include "file.hh"
#include "guest.hh"
#include "tap.hh"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <malloc.h>
#include <random>

using namespace corbel::selftest;

namespace {

constexpr uint64_t block_bytes = 64 << 10, request = 4096, mib = 1 << 20;
constexpr unsigned snapshots = 9, reads = 2000;

/* KiB of memory that nobody has, when caches are given back. */
uint64_t free_kib()
{
	malloc_trim(0);
	shell("sync; echo 3 >/proc/sys/vm/drop_caches");
	std::ifstream file("/proc/meminfo");
	std::string name;
	uint64_t kib = 0;

	while (file >> name >> kib) {
		if (name == "MemFree:")
			return kib;
		std::getline(file, name);
	}
	CHECK(false, "/proc/meminfo says nothing of MemFree");
	return 0;
}

/* A label's room on a RAM disk, and zeros for the rest. */
class zeros_behind_a_label {
public:
	zeros_behind_a_label(const std::string &disk, uint64_t sectors)
	{
		const uint64_t room = device_sectors(disk);

		shell(fmt::format("dmsetup create corbel-zeros <<'E'\n0 {0} linear {1} 0\n{0} {2} "
				  "zero\nE\ndmsetup mknodes corbel-zeros",
				  room, disk, sectors - room));
	}
	~zeros_behind_a_label() { try_shell("dmsetup remove --retry corbel-zeros"); }
	zeros_behind_a_label(const zeros_behind_a_label &) = delete;
};

uint64_t median(std::vector<uint64_t> all)
{
	std::ranges::sort(all);
	return all[all.size() / 2];
}

/* Median ticks of a snapshot of @volume; each is of a state that was committed. */
uint64_t snapshot_ticks(const dm_device &pool, unsigned volume)
{
	std::vector<uint64_t> all;

	for (unsigned i = 0; i < snapshots; i++) {
		const uint64_t begin = guest::read_tsc();
		pool.send(fmt::format("snapshot {}", volume));
		all.push_back(guest::read_tsc() - begin);
	}
	return median(all);
}

class reader {
public:
	explicit reader(const std::string &path)
		: fd(open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, request)))
	{
		CHECK(fd, "{}: {}", path, std::strerror(errno));
	}
	~reader() { std::free(buffer); }

	/* Median ticks of reads of blocks that @next tells. */
	template <typename Next>
	uint64_t ticks(Next &&next)
	{
		std::vector<uint64_t> all;

		for (unsigned i = 0; i < reads; i++) {
			const auto at = static_cast<off_t>(next(i) * block_bytes);
			const uint64_t begin = guest::read_tsc();
			const ssize_t done = pread(fd.get(), buffer, request, at);
			all.push_back(guest::read_tsc() - begin);
			CHECK_EQ(done, request, "{}", std::strerror(errno));
		}
		return median(all);
	}

private:
	unique_fd fd;
	char *buffer;
};

void much_is_mapped()
{
	ensure_block();
	if (try_shell("modprobe dm-zero"))
		skip("this kernel has no dm-zero");
	const uint64_t blocks = (16 << 10) * mib / block_bytes * static_cast<uint64_t>(scale());
	const uint64_t volume_sectors = blocks * (block_bytes / 512);
	/* Three maps of 16 to 32 bytes an entry, in leaves that are half full at the least. */
	ram_disks disks(2, std::max(blocks * 144, 64 * mib));
	const zeros_behind_a_label zeros(disks.path(1), volume_sectors + 1024 * mib / 512);
	const pool_devices devices{disks.path(0), {"/dev/mapper/corbel-zeros"}, block_bytes};

	format_pool(devices);
	{
		const dm_device pool("corbel-test", pool_sectors(devices), pool_table(devices));

		for (unsigned i = 0; i < 3; i++)
			pool.send(fmt::format("create {}", blocks));
		pool.send("commit");
	}
	map_blocks(devices.meta, 1, blocks);
	map_blocks(devices.meta, 2, 1);

	const uint64_t before = free_kib();
	const dm_device pool("corbel-test", pool_sectors(devices), pool_table(devices));
	const uint64_t started = free_kib();
	const uint64_t of_nothing = snapshot_ticks(pool, 3), of_one = snapshot_ticks(pool, 2),
		       of_much = snapshot_ticks(pool, 1);

	comment("{} GiB mapped: a snapshot {} ticks; one block mapped {}, none {}: {:.3f}, {:.3f} "
		"(goal 1.1)",
		blocks * block_bytes >> 30, of_much, of_one, of_nothing,
		static_cast<double>(of_much) / static_cast<double>(of_one),
		static_cast<double>(of_much) / static_cast<double>(of_nothing));
	CHECK(of_much < of_one * 2, "a snapshot's cost follows what is mapped");

	const dm_device volume("corbel-volume", volume_sectors,
			       fmt::format("corbel-volume {} 1", pool.path()));
	reader reader(volume.path());
	std::mt19937_64 random(1);
	std::vector<uint64_t> few(reads);
	for (uint64_t &one : few)
		one = random() % 512;
	reader.ticks([&](unsigned i) { return few[i]; });
	const uint64_t known = reader.ticks([&](unsigned i) { return few[i]; });
	const uint64_t spread = reader.ticks([&](unsigned) { return random() % blocks; });
	/* Until the cache has had as many as it holds. */
	for (unsigned i = 0; i < static_cast<unsigned>(20 * scale()); i++)
		reader.ticks([&](unsigned) { return random() % blocks; });
	const uint64_t settled = reader.ticks([&](unsigned) { return random() % blocks; });
	const uint64_t full = free_kib();

	CHECK(known > 0 && settled > 0, "nothing was measured");
	comment("a read whose entries are in memory {} ticks; anywhere at first {}, later {}: {:.2f}",
		known, spread, settled, static_cast<double>(settled) / static_cast<double>(known));
	CHECK(before > started && before > full, "memory is not what it should be: {}, {}, {} KiB",
	      before, started, full);
	comment("memory: {:.1f} MiB once started, {:.1f} MiB when read all over (goal 27 for 1 TiB)",
		static_cast<double>(before - started) / 1024,
		static_cast<double>(before - full) / 1024);
}

constexpr test_case cases[] = {
	{"snapshots, memory and misses when much is mapped", much_is_mapped},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
