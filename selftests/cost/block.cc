// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a request of 4 KiB takes from the system call to its end, in instructions, on RAM disks:
 * of dm-linear, dm-thin and a volume of a pool, both with blocks of 64 KiB, in one boot. Runs
 * where the time stamp counter counts instructions.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "checked_volume.hh"
#include "guest.hh"

#include <algorithm>
#include <functional>

using namespace corbel::selftest;

namespace {

constexpr uint64_t disk_bytes = 64 << 20, volume_bytes = 32 << 20, request = 4096;
constexpr uint64_t block_bytes = 64 << 10, blocks = volume_bytes / block_bytes;

class open_device {
public:
	explicit open_device(const std::string &path)
		: fd(open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, block_bytes)))
	{
		CHECK(fd, "{}: {}", path, std::strerror(errno));
		std::memset(buffer, 0x5a, block_bytes);
	}
	~open_device() { std::free(buffer); }

	void fill()
	{
		for (uint64_t at = 0; at < volume_bytes; at += block_bytes)
			CHECK_EQ(pwrite(fd.get(), buffer, block_bytes, at), block_bytes, "{}",
				 std::strerror(errno));
		fsync(fd.get());
	}
	/* Ticks a request, of @count. */
	uint64_t each(unsigned count, bool write, const std::function<uint64_t(unsigned)> &place)
	{
		std::vector<uint64_t> ticks;

		for (unsigned i = 0; i < count; i++) {
			const uint64_t at = place(i);
			const uint64_t begin = guest::read_tsc();
			const ssize_t done = write ? pwrite(fd.get(), buffer, request, at)
						   : pread(fd.get(), buffer, request, at);
			ticks.push_back(guest::read_tsc() - begin);
			CHECK_EQ(done, request, "{}", std::strerror(errno));
		}
		uint64_t sum = 0;
		for (const uint64_t one : ticks)
			sum += one;
		return sum / count;
	}

private:
	unique_fd fd;
	char *buffer;
};

struct figures {
	uint64_t read, write, shared, settled, fresh;
};

/* @share: takes a snapshot. @fresh: a volume in which nothing is. */
figures measure(const std::string &path, const std::string &fresh,
		const std::function<void()> &share)
{
	std::mt19937_64 random(1);
	const auto anywhere = [&](unsigned) {
		return random() % (volume_bytes / request) * request;
	};
	const auto once_a_block = [](unsigned i) {
		return i * 37 % blocks * block_bytes + i % 16 * request;
	};
	open_device device(path);
	figures found{};

	device.fill();
	for (const bool write : {false, true})
		device.each(blocks, write, once_a_block);
	found.read = device.each(4000, false, anywhere);
	found.write = device.each(4000, true, anywhere);
	if (!share)
		return found;
	share();
	found.shared = device.each(blocks, true, once_a_block);
	found.settled = device.each(2000, true, anywhere);
	open_device empty(fresh);
	found.fresh = empty.each(blocks, true, once_a_block);
	return found;
}

void compare()
{
	ensure_block();
	if (try_shell("modprobe dm-thin-pool"))
		skip("this kernel has no dm-thin-pool");
	ram_disks disks(5, disk_bytes * 3);
	const uint64_t sectors = volume_bytes / 512;

	const dm_device linear("corbel-linear", sectors, "linear " + disks.path(0) + " 0");
	const figures of_linear = measure(linear.path(), {}, {});

	const pool_devices devices{disks.path(1), {disks.path(2)}, block_bytes};
	format_pool(devices);
	const dm_device pool("corbel-test", pool_sectors(devices), pool_table(devices));
	for (unsigned i = 0; i < 2; i++)
		pool.message(fmt::format("create {}", blocks));
	const dm_device volume("corbel-volume", sectors,
			       fmt::format("corbel-volume {} 1", pool.path()));
	const dm_device empty("corbel-empty", sectors,
			      fmt::format("corbel-volume {} 2", pool.path()));
	const figures ours =
		measure(volume.path(), empty.path(), [&] { pool.message("snapshot 1"); });

	shell(fmt::format("dd if=/dev/zero of={} bs=4096 count=1", disks.path(3)));
	const dm_device thin_pool("corbel-thin-pool", disk_bytes * 3 / 512,
				  fmt::format("thin-pool {} {} {} 0", disks.path(3), disks.path(4),
					      block_bytes / 512));
	thin_pool.message("create_thin 0");
	thin_pool.message("create_thin 1");
	const dm_device thin("corbel-thin", sectors, fmt::format("thin {} 0", thin_pool.path()));
	const dm_device thin_empty("corbel-thin-2", sectors,
				   fmt::format("thin {} 1", thin_pool.path()));
	const figures of_thin = measure(thin.path(), thin_empty.path(), [&] {
		shell("dmsetup suspend corbel-thin");
		thin_pool.message("create_snap 2 0");
		shell("dmsetup resume corbel-thin");
	});

	const auto line = [&](const char *what, uint64_t figures::*member, double goal) {
		const uint64_t a = of_linear.*member, b = of_thin.*member, c = ours.*member;

		CHECK(b > 0 && c > 0, "{}: nothing was measured", what);
		comment("{}: linear {}, thin {}, corbel {} ticks; thin / corbel {:.2f} (goal {:.1f})",
			what, a, b, c, static_cast<double>(b) / static_cast<double>(c), goal);
	};
	line("4 KiB random read", &figures::read, 1.0);
	line("4 KiB random write, provisioned", &figures::write, 1.0);
	line("first write to a block after a snapshot", &figures::shared, 1.2);
	line("4 KiB random write after that", &figures::settled, 1.0);
	line("first write to a block that is not there", &figures::fresh, 1.0);
	comment("read, added over linear: thin {}, corbel {} ticks, ratio {:.2f} (goal 0.5)",
		of_thin.read - of_linear.read, ours.read - of_linear.read,
		static_cast<double>(ours.read - of_linear.read) /
			static_cast<double>(of_thin.read - of_linear.read));
}

constexpr test_case cases[] = {
	{"4 KiB beside dm-linear and dm-thin", compare},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
