// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How well policies of one device are kept, in time that is counted in instructions: very many
 * limits at once, beside those of io.max in cgroups, floors when more is wanted than the device does, and what a neighbour of the
 * same process does to somebody's latency.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "async_io.hh"
#include "file.hh"
#include "qos_device.hh"
#include "wait.hh"

#include <algorithm>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t second = 1'000'000'000;

unique_fd opened(const dm_device &device)
{
	unique_fd fd(open(device.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));

	CHECK(fd, "{}: {}", device.path(), std::strerror(errno));
	return fd;
}

/*
 * By how much what was done in a window of @width or little more is off, at worst: the time that
 * it took beside the time that so many take at @rate. So there is no question of parts of one
 * at the borders.
 */
double worst_error(const std::vector<uint64_t> &ends, double rate, uint64_t width)
{
	double worst = 0;

	for (size_t from = 0, to = 0; from < ends.size(); from++) {
		while (to < ends.size() && ends[to] < ends[from] + width)
			to++;
		if (to == ends.size())
			break;
		const auto took = static_cast<double>(ends[to] - ends[from]);
		const double wanted = static_cast<double>(to - from) / rate * 1e9;
		worst = std::max(worst, std::abs(took - wanted) / wanted * 100);
	}
	return worst;
}

/* Each range has a limit of its own, in bytes, so that there are as many as ranges. */
void many_limits()
{
	ensure_block();
	const auto count = static_cast<unsigned>(amount(200, 1000));
	const uint64_t sectors = uint64_t{count} * 16;
	const ram_disks disks(1, sectors * 512);
	const dm_device device("corbel-test", sectors, "corbel-qos " + disks.path(0) + " 0");
	std::vector<uint32_t> objects;
	std::vector<corbel::qos::Range> ranges;
	std::vector<double> rates;

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t rate = 10 * 4096 + i * 40960 / count;

		device.send(fmt::format("object {}", i + 1));
		device.send(fmt::format("budget {} bytes={}", i, rate));
		device.send(fmt::format("attach {} {}", i + 1, i));
		objects.push_back(i + 1);
		ranges.push_back({{uint64_t{i} * 16}, 8, {i + 1}, 0});
		rates.push_back(static_cast<double>(rate) / 4096);
	}
	device.send(set_message(objects, ranges));

	const unique_fd fd = opened(device);
	std::vector<std::vector<uint64_t>> ends(count);
	/* Two of each, so that one always waits. */
	const uint64_t begin = monotonic_ns();
	{
		async_reads reads(fd.get(), 2 * count);
		for (unsigned i = 0; i < 2 * count; i++)
			reads.submit(i, uint64_t{i % count} * 8192);
		for (uint64_t now = begin; now < begin + 3 * second;)
			reads.reap([&](unsigned i) {
				now = monotonic_ns();
				ends[i % count].push_back(now);
				reads.submit(i, uint64_t{i % count} * 8192);
			});
		for (unsigned i = 0; i < count; i++)
			device.send(fmt::format("budget {}", i));
	}
	double in_second = 0, in_tenth = 0;
	uint64_t all = 0;
	for (unsigned i = 0; i < count; i++) {
		/* The first two come at once, by what was not used before. */
		ends[i].erase(ends[i].begin(), ends[i].begin() + 2);
		all += ends[i].size();
		in_second = std::max(in_second, worst_error(ends[i], rates[i], second));
		in_tenth = std::max(in_tenth, worst_error(ends[i], rates[i], second / 10));
	}
	comment("{} ranges with as many limits at once, {} I/Os in 3 s: worst error {:.2f} % in a "
		"second, {:.2f} % in 100 ms (goals 1, 5)",
		count, all, in_second, in_tenth);
	CHECK(in_second < 20 && in_second > 0, "off by {:.1f} %", in_second);
}

/* Cgroups with a limit of io.max each, and a reader in each of them; gone at the end. */
class limited_groups {
public:
	static constexpr unsigned most_ends = 256;
	struct shared {
		uint64_t count, ends[most_ends];
	};

	/* @rates: bytes a second. */
	limited_groups(const std::string &disk, const std::vector<uint64_t> &rates)
		: groups(rates.size())
	{
		const std::string number =
			shell(fmt::format("cat /sys/block/{}/dev", disk.substr(5)));

		for (size_t i = 0; i < groups; i++) {
			shell("mkdir " + path(i));
			shell(fmt::format("echo {} rbps={} >{}/io.max",
					  number.substr(0, number.find('\n')), rates[i], path(i)));
		}
		memory = static_cast<shared *>(mmap(nullptr, groups * sizeof(shared),
						    PROT_READ | PROT_WRITE,
						    MAP_SHARED | MAP_ANONYMOUS, -1, 0));
		CHECK(memory != MAP_FAILED, "{}", std::strerror(errno));
	}
	~limited_groups()
	{
		munmap(memory, groups * sizeof(shared));
		for (size_t i = 0; i < groups; i++)
			try_shell("rmdir " + path(i));
	}
	limited_groups(const limited_groups &) = delete;

	/* All of them, one I/O after the other, until @end. When each I/O has ended is in memory. */
	void read(const std::string &disk, uint64_t end) const
	{
		std::vector<pid_t> readers;

		for (size_t i = 0; i < groups; i++) {
			readers.push_back(fork());
			CHECK(readers.back() >= 0, "fork: {}", std::strerror(errno));
			if (!readers.back())
				_exit(read_in(i, disk, end));
		}
		for (const pid_t reader : readers) {
			int status = 0;

			CHECK(waitpid(reader, &status, 0) == reader && !status,
			      "a reader ended with {:x}", status);
		}
	}

	size_t groups;
	shared *memory;

private:
	static std::string path(size_t i)
	{
		return fmt::format("/sys/fs/cgroup/corbel-test-{}", i);
	}
	int read_in(size_t i, const std::string &disk, uint64_t end) const
	{
		shared &mine = memory[i];
		const unique_fd group(open((path(i) + "/cgroup.procs").c_str(), O_WRONLY));
		const unique_fd fd(open(disk.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
		void *buffer = std::aligned_alloc(4096, 4096);

		if (!group || write(group.get(), "0", 1) != 1 || !fd || !buffer)
			return 1;
		while (mine.count < most_ends && monotonic_ns() < end) {
			if (pread(fd.get(), buffer, 4096, static_cast<off_t>(i) * 8192) != 4096)
				return 1;
			mine.ends[mine.count++] = monotonic_ns();
		}
		return 0;
	}
};

/* The peer: as many limits of the same kind as there are processes for, in a cgroup each. */
void limits_of_cgroups()
{
	constexpr unsigned count = 40;
	const ram_disks disks(1, uint64_t{count} * 8192);
	std::vector<uint64_t> rates;
	double in_second = 0, in_tenth = 0;
	uint64_t all = 0;

	if (try_shell("echo +io >/sys/fs/cgroup/cgroup.subtree_control"))
		skip("there is no io.max to compare with");
	for (uint64_t i = 0; i < count; i++)
		rates.push_back(10 * 4096 + i * 40960 / count);
	const limited_groups groups(disks.path(0), rates);
	groups.read(disks.path(0), monotonic_ns() + 3 * second);
	for (unsigned i = 0; i < count; i++) {
		const auto &mine = groups.memory[i];
		/* As of ours. */
		const std::vector<uint64_t> ends(mine.ends + std::min<uint64_t>(mine.count, 2),
						 mine.ends + mine.count);
		const double rate = static_cast<double>(rates[i]) / 4096;

		CHECK(ends.size() > 10, "{} I/Os in cgroup {}", ends.size(), i);
		all += ends.size();
		in_second = std::max(in_second, worst_error(ends, rate, second));
		in_tenth = std::max(in_tenth, worst_error(ends, rate, second / 10));
	}
	comment("io.max in {} cgroups with as many limits at once, {} I/Os in 3 s: worst error "
		"{:.2f} % in a second, {:.2f} % in 100 ms",
		count, all, in_second, in_tenth);
	CHECK(in_second > 0, "no error at all cannot be");
}

/* A device that takes a millisecond for each of as many as it takes at a time. */
class slow_device {
public:
	explicit slow_device(unsigned depth)
	{
		if (try_shell("modprobe -n null_blk"))
			skip("this kernel has no null_blk");
		shell(fmt::format("modprobe -r null_blk; modprobe null_blk nr_devices=1 gb=1 "
				  "queue_mode=2 submit_queues=1 irqmode=2 completion_nsec=1000000 "
				  "hw_queue_depth={}",
				  depth));
		wait_until("the slow device is there", [] { return file_exists(path); });
		shell("echo none >/sys/block/nullb0/queue/scheduler");
	}
	~slow_device() { try_shell("modprobe -r null_blk"); }
	slow_device(const slow_device &) = delete;

	static constexpr const char *path = "/dev/nullb0";
	static constexpr uint64_t sectors = 1 << 20;
};

struct client {
	unsigned object, outstanding;
	std::vector<uint64_t> ends, latencies;
};

/* All of them, by one thread, for so long. */
void run(const dm_device &device, std::vector<client> &clients, uint64_t duration)
{
	const unique_fd fd = opened(device);
	std::vector<client *> whose;
	std::vector<uint64_t> began;
	std::mt19937_64 random(1);

	for (client &each : clients)
		whose.insert(whose.end(), each.outstanding, &each);
	began.resize(whose.size());
	async_reads reads(fd.get(), static_cast<unsigned>(whose.size()));
	const auto submit = [&](unsigned i) {
		began[i] = monotonic_ns();
		reads.submit(i, (uint64_t{whose[i]->object} * 8192 + random() % 1024 * 8) * 512);
	};
	const uint64_t begin = monotonic_ns();
	for (unsigned i = 0; i < whose.size(); i++)
		submit(i);
	for (uint64_t now = begin; now < begin + duration;)
		reads.reap([&](unsigned i) {
			now = monotonic_ns();
			whose[i]->ends.push_back(now);
			whose[i]->latencies.push_back(now - began[i]);
			submit(i);
		});
}

void make_object(const dm_device &device, unsigned object, const std::string &policy)
{
	device.send(fmt::format("object {}", object));
	device.send(fmt::format("ranges {0} {1} 8192", object, object * 8192));
	device.send(fmt::format("budget {} {}", object, policy));
	device.send(fmt::format("attach {0} {0}", object));
}

/* Ten that come to 90 % of what the device does, beside five of a thousand times the weight. */
void floors()
{
	ensure_block();
	const slow_device slow(16);
	const dm_device device("corbel-test", slow_device::sectors,
			       fmt::format("corbel-qos {} 0 2 depth 16", slow_device::path));
	std::vector<client> clients;

	for (unsigned object = 1; object <= 15; object++) {
		make_object(device, object, object <= 10 ? "weight=1" : "weight=1000");
		clients.push_back({object, 16, {}, {}});
	}
	run(device, clients, second / 2);
	uint64_t done = 0;
	for (client &each : clients) {
		done += each.ends.size();
		each.ends.clear();
	}
	const uint64_t floor = done * 2 * 9 / 10 / 10;
	for (unsigned object = 1; object <= 10; object++)
		device.send(fmt::format("budget {} weight=1 floor={}", object, floor));
	const uint64_t duration = amount(2, 10) * second;
	run(device, clients, duration);
	uint64_t least = ~0ULL;
	for (const client &each : clients) {
		if (each.object > 10)
			continue;
		for (uint64_t from = each.ends.front(); from + second <= each.ends.back();
		     from += second / 100)
			least = std::min<uint64_t>(
				least, static_cast<uint64_t>(
					       std::ranges::count_if(each.ends, [&](uint64_t end) {
						       return end >= from && end < from + second;
					       })));
	}
	comment("the device does {} a second, ten floors of {} each: the least in any second {}, "
		"{:.1f} % (goal 99)",
		done * 2, floor, least,
		100.0 * static_cast<double>(least) / static_cast<double>(floor));
	CHECK(least != ~0ULL && least * 2 > floor, "a floor of {}, and {} were done", floor, least);
}

/* 99 % of victims' I/O took no longer. */
uint64_t p99_beside(const std::string &victim, const std::string &neighbour, unsigned outstanding,
		    unsigned depth)
{
	const dm_device device("corbel-test", slow_device::sectors,
			       fmt::format("corbel-qos {} 0 2 depth {}", slow_device::path, depth));
	std::vector<client> clients{{1, 1, {}, {}}, {2, outstanding, {}, {}}};

	make_object(device, 1, victim);
	make_object(device, 2, neighbour);
	/* A target is met once it has been missed. */
	run(device, clients, second / 2);
	for (client &each : clients)
		each.latencies.clear();
	run(device, clients, amount(1, 10) * second);
	auto &all = clients[0].latencies;
	std::ranges::sort(all);
	CHECK(all.size() > 20, "the victim did {}", all.size());
	return all[all.size() * 99 / 100];
}

void victim()
{
	ensure_block();
	const slow_device slow(8);
	const auto ratio = [](uint64_t a, uint64_t b) {
		return static_cast<double>(a) / static_cast<double>(b);
	};
	const uint64_t alone = p99_beside("", "", 0, 0);
	const uint64_t unhindered = p99_beside("", "", 32, 0);
	const uint64_t ordered = p99_beside("class=0", "class=2", 32, 8);
	const uint64_t targeted = p99_beside("class=0 latency_us=1200", "class=2", 32, 16);
	const uint64_t limited = p99_beside("class=0", "class=2 ios=4000", 32, 8);

	comment("victim's p99 alone {} us; beside 32 of the same process: no policy {:.2f} times, "
		"by class at a depth of 8 {:.2f}, by a target of 1.2 ms at one of 16 {:.2f}, with the "
		"neighbour limited to half the device {:.2f} (goal 1.25)",
		alone / 1000, ratio(unhindered, alone), ratio(ordered, alone),
		ratio(targeted, alone), ratio(limited, alone));
	CHECK(unhindered > alone && limited < unhindered, "figures that make no sense");
}

constexpr test_case cases[] = {
	{"many limits at once", many_limits},
	{"as many limits of cgroups", limits_of_cgroups},
	{"floors under overload", floors},
	{"a victim and a neighbour", victim},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
