// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What QoS below the LUN takes of a request of 4 KiB, in instructions, beside dm-linear and
 * io.max of cgroups, and how well limits are kept. Runs where the time stamp counter counts
 * instructions, and time with it.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "checked_volume.hh"
#include "guest.hh"
#include "qos_device.hh"

#include <algorithm>
#include <fstream>
#include <time.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t request = 4096, most_ranges = 100'000, disk_bytes = most_ranges * request,
		   sectors = disk_bytes / 512;

uint64_t now_ns()
{
	timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
	       static_cast<uint64_t>(now.tv_nsec);
}

class opened {
public:
	explicit opened(const std::string &path)
		: fd(open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, request)))
	{
		CHECK(fd, "{}: {}", path, std::strerror(errno));
		std::memset(buffer, 0, request);
	}
	~opened() { std::free(buffer); }

	void read(uint64_t at)
	{
		CHECK_EQ(pread(fd.get(), buffer, request, at), request, "{}", std::strerror(errno));
	}
	/* Median ticks of a read. */
	uint64_t ticks(unsigned count)
	{
		std::vector<uint64_t> all;
		std::mt19937_64 random(1);

		for (unsigned i = 0; i < count; i++) {
			const uint64_t at = random() % (disk_bytes / request) * request;
			const uint64_t begin = guest::read_tsc();
			read(at);
			all.push_back(guest::read_tsc() - begin);
		}
		std::ranges::sort(all);
		return all[all.size() / 2];
	}

private:
	unique_fd fd;
	char *buffer;
};

void each_request()
{
	ensure_block();
	ram_disks disks(1, disk_bytes);
	shell(fmt::format("dd if=/dev/zero of={} bs=400K count={} conv=notrunc status=none",
			  disks.path(0), disk_bytes / (400 << 10)));
	uint64_t raw = opened(disks.path(0)).ticks(2000);
	uint64_t linear = 0, first = 0, last = 0, limited = 0;

	{
		const dm_device device("corbel-linear", sectors, "linear " + disks.path(0) + " 0");
		linear = opened(device.path()).ticks(2000);
	}
	const dm_device device("corbel-test", sectors, "corbel-qos " + disks.path(0) + " 0");
	for (unsigned object = 1; object <= 2; object++)
		device.message(fmt::format("object {}", object));
	for (const uint64_t count : {uint64_t{1}, uint64_t{1000}, most_ranges}) {
		/* Neighbours of one object would be one range: every other one is of another. */
		std::vector<corbel::qos::Range> ranges;
		for (uint32_t i = 0; i < count; i++)
			ranges.push_back({{i * 8}, 8, {1 + i % 2}, 0});
		device.send(set_message({1, 2}, ranges));
		const uint64_t took = opened(device.path()).ticks(2000);
		comment("{} ranges: {} ticks, {} more than linear; {}", count, took, took - linear,
			device.status());
		(count == 1 ? first : last) = took;
	}
	device.message("budget 1 ios=1000000000");
	device.message("attach 1 1");
	device.message("attach 2 1");
	limited = opened(device.path()).ticks(2000);
	comment("raw {}, linear {}, qos with 1 range {}, with 100,000 {}, with a limit that never "
		"bites {} ticks",
		raw, linear, first, last, limited);
	CHECK(last > linear && limited >= last, "figures that make no sense");

	/* The peer, for as long as its files are there. */
	const std::string group = "/sys/fs/cgroup/corbel-test";
	if (try_shell("echo +io >/sys/fs/cgroup/cgroup.subtree_control && mkdir " + group)) {
		comment("there is no io.max to compare with");
		return;
	}
	shell(fmt::format("echo \"$(cat /sys/block/ram0/dev) riops=100000000\" >{}/io.max", group));
	shell(fmt::format("echo {} >{}/cgroup.procs", getpid(), group));
	const uint64_t throttled = opened(disks.path(0)).ticks(2000);
	shell(fmt::format("echo {} >/sys/fs/cgroup/cgroup.procs", getpid()));
	/* Not by a child of when this was in it. */
	shell("rmdir " + group);
	comment("io.max that never bites adds {} ticks to the raw device, the same limit here {} to "
		"linear (goal: no more)",
		throttled - raw, limited - linear);
}

/* One I/O after the other; the count in every 100 ms and every second from the first one on. */
void limits_are_kept()
{
	ensure_block();
	ram_disks disks(1, disk_bytes);
	const dm_device device("corbel-test", sectors, "corbel-qos " + disks.path(0) + " 0");
	opened file(device.path());

	device.message("object 1");
	device.message(fmt::format("ranges 1 0 {}", sectors));
	device.message("budget 1");
	device.message("attach 1 1");
	for (const unsigned rate : {100U, 1000U, 5000U}) {
		device.message(fmt::format("budget 1 ios={}", rate));
		file.read(0);
		std::vector<uint64_t> ends;
		const uint64_t begin = now_ns();
		while (ends.empty() || ends.back() - begin < 2'000'000'000) {
			file.read(0);
			ends.push_back(now_ns());
		}
		const auto worst = [&](uint64_t window) {
			double found = 0;
			for (uint64_t from = begin; from + window <= ends.back();
			     from += 10'000'000) {
				const auto count = std::ranges::count_if(ends, [&](uint64_t end) {
					return end > from && end <= from + window;
				});
				const double wanted = static_cast<double>(rate) *
						      static_cast<double>(window) / 1e9;
				/* A window may cut one off at either end. */
				const double off = std::max(
					0.0, std::abs(static_cast<double>(count) - wanted) - 1);
				found = std::max(found, off / wanted * 100);
			}
			return found;
		};
		const double second = worst(1'000'000'000), tenth = worst(100'000'000);
		comment("{} I/Os a second: worst error {:.2f} % in a second, {:.2f} % in 100 ms, of what is "
			"more than one I/O (goals 1, 5)",
			rate, second, tenth);
		CHECK(second < 20, "a limit of {} is off by {:.1f} %", rate, second);
	}
}

constexpr test_case cases[] = {
	{"each request", each_request},
	{"limits are kept", limits_are_kept},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
