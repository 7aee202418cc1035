// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QoS below the LUN: each I/O is counted for the object whose range it is in, split where one
 * ends; limits hold it and let it go; nothing is lost when the table goes.
 */
#include "module.hh"
#include "qos_device.hh"
#include "wait.hh"

#include <atomic>
#include <random>
#include <thread>

using namespace corbel::selftest;

namespace {

using scene = qos_on_ram;
constexpr uint64_t disk_bytes = scene::bytes, sectors = scene::sectors;

/* By each sector, whose it is. */
void counted_exactly()
{
	ensure_block();
	scene at;
	constexpr unsigned objects = 5;
	std::mt19937_64 random(1);
	alignas(4096) static char buffer[256 << 10];
	std::vector<char> expected(disk_bytes);
	qos_model model(sectors, objects);

	for (unsigned object = 1; object < objects; object++)
		at.device.message(fmt::format("object {} histograms", object));
	const auto divide = [&] {
		std::string ranges[objects];
		for (unsigned object = 1; object < objects; object++)
			at.device.message(fmt::format("ranges {}", object));
		for (uint64_t from = 0; from < sectors;) {
			const uint64_t count = std::min(8 + random() % 200 * 8, sectors - from);
			const unsigned object = random() % objects;
			for (uint64_t i = from; i < from + count; i++)
				model.owner[i] = object;
			if (object)
				ranges[object] += fmt::format(" {} {}", from, count);
			from += count;
		}
		for (unsigned object = 1; object < objects; object++)
			at.device.send(fmt::format("ranges {}{}", object, ranges[object]));
	};
	const unsigned rounds = static_cast<unsigned>(amount(2, 40));
	for (unsigned round = 0; round < rounds; round++) {
		divide();
		for (unsigned i = 0; i < 200; i++) {
			const uint64_t from = random() % (sectors / 8) * 8;
			const uint64_t count = std::min((1 + random() % 32) * 8, sectors - from);
			const bool write = random() % 2;

			for (uint64_t at = 0; write && at < count * 512; at += 8) {
				const uint64_t word = random();
				std::memcpy(buffer + at, &word, 8);
			}
			const ssize_t done =
				write ? pwrite(at.fd.get(), buffer, count * 512, from * 512)
				      : pread(at.fd.get(), buffer, count * 512, from * 512);
			CHECK_EQ(done, count * 512, "{}", std::strerror(errno));
			if (write)
				std::memcpy(&expected[from * 512], buffer, count * 512);
			else
				CHECK(std::memcmp(&expected[from * 512], buffer, count * 512) == 0,
				      "what was read is not what was written");
			model.done(write, from, count);
		}
	}
	for (unsigned object = 0; object < objects; object++) {
		const object_counts got = counts_of(at.device, object);
		for (unsigned op = 0; op < 2; op++) {
			/* udev and the like may read what is nobody's. */
			CHECK_EQ(got.by_op[op].ios, model.counts[object].by_op[op].ios,
				 "object {}, op {}: I/Os", object, op);
			CHECK_EQ(got.by_op[op].bytes, model.counts[object].by_op[op].bytes,
				 "object {}, op {}: bytes", object, op);
		}
		CHECK_EQ(got.throttled, 0, "object {} was throttled", object);
	}
}

/* Who is limited waits; who has a range beside it, in the same process, does not. */
void limited()
{
	ensure_block();
	scene at;
	alignas(4096) static char buffer[2][4096];
	std::atomic<uint64_t> done[2]{};
	std::atomic<bool> stop = false;

	for (unsigned object = 1; object < 3; object++) {
		at.device.message(fmt::format("object {}", object));
		at.device.message(fmt::format("ranges {} {} 8192", object, object * 16384));
	}
	at.device.message("budget 7 ios=20");
	at.device.message("attach 1 7");
	CHECK(at.device.refuses("attach 0 7"), "rest was given a limit");
	const auto began = std::chrono::steady_clock::now();
	std::thread threads[2];
	for (unsigned i = 0; i < 2; i++)
		threads[i] = std::thread([&, i] {
			while (!stop) {
				if (pwrite(at.fd.get(), buffer[i], 4096, (i + 1) * 16384 * 512) !=
				    4096)
					break;
				done[i]++;
			}
		});
	wait_until("the limited one has done 30", [&] { return done[0] >= 30; });
	const double seconds =
		std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
	/* It can have been slower, as the machine may be; not faster. */
	CHECK(static_cast<double>(done[0]) <= 20 * seconds + 2, "{} in {:.2f} s", done[0].load(),
	      seconds);
	CHECK(done[1] > 4 * done[0], "the other one did {}, this one {}", done[1].load(),
	      done[0].load());
	comment("limited to 20: {} in {:.2f} s; beside it {}", done[0].load(), seconds,
		done[1].load());
	/* Off it goes. */
	at.device.message("budget 7");
	const uint64_t before = done[0];
	wait_until("it is as fast as the other", [&] { return done[0] > before + 200; });
	/* And waits again, when the table is suspended. */
	at.device.message("budget 7 ios=1");
	shell("dmsetup suspend corbel-test && dmsetup resume corbel-test");
	at.device.message("detach 1");
	const uint64_t then = done[0];
	wait_until("it goes on", [&] { return done[0] > then + 200; });
	stop = true;
	for (std::thread &thread : threads)
		thread.join();
	CHECK(counts_of(at.device, 1).throttled > 20, "nothing was throttled");
	CHECK_EQ(counts_of(at.device, 2).throttled, 0, "the other one was throttled");
	CHECK_EQ(counts_of(at.device, 1).by_op[1].ios, done[0].load(), "writes of object 1");
	CHECK_EQ(counts_of(at.device, 2).by_op[1].ios, done[1].load(), "writes of object 2");
}

/* Everything is changed under load; what was sent comes back. */
void changed_under_load()
{
	ensure_block();
	for (const char *options : {"", "2 depth 4"}) {
		scene at(options);
		std::atomic<bool> stop = false;
		std::atomic<uint64_t> done = 0, failed = 0;
		std::vector<std::thread> threads;
		std::mt19937_64 random(2);

		for (unsigned object = 1; object < 9; object++)
			at.device.message(fmt::format("object {}", object));
		for (unsigned budget = 0; budget < 3; budget++)
			at.device.message(fmt::format("budget {}", budget));
		for (unsigned i = 0; i < 4; i++)
			threads.emplace_back([&, i] {
				std::mt19937_64 mine(i);
				auto *buffer =
					static_cast<char *>(std::aligned_alloc(4096, 64 << 10));
				while (!stop) {
					const uint64_t bytes = (1 + mine() % 16) * 4096;
					const uint64_t from =
						mine() % ((disk_bytes - bytes) / 4096) * 4096;
					const ssize_t got =
						mine() % 2
							? pwrite(at.fd.get(), buffer, bytes, from)
							: pread(at.fd.get(), buffer, bytes, from);
					(got == static_cast<ssize_t>(bytes) ? done : failed)++;
				}
				std::free(buffer);
			});
		const unsigned rounds = static_cast<unsigned>(amount(25, 2000));
		for (unsigned i = 0; i < rounds; i++) {
			const unsigned object = 1 + random() % 8, budget = random() % 3;
			switch (random() % 6) {
			case 0:
				try_shell(fmt::format(
					"dmsetup message corbel-test 0 ranges {} {} {}", object,
					random() % sectors, 1 + random() % 4096));
				break;
			case 1:
				at.device.message(fmt::format("ranges {}", object));
				break;
			case 2:
				at.device.message(fmt::format("attach {} {}", object, budget));
				break;
			case 3:
				at.device.message(fmt::format("detach {}", object));
				break;
			case 4:
				at.device.message(
					fmt::format("budget {} ios={} bytes={} weight={} class={}",
						    budget, 500 + random() % 5000, 1 << 24,
						    1 + random() % 100, random() % 3));
				break;
			case 5:
				shell("dmsetup suspend corbel-test && dmsetup resume corbel-test");
				break;
			}
		}
		stop = true;
		for (std::thread &thread : threads)
			thread.join();
		CHECK_EQ(failed.load(), 0, "I/Os failed, of {}", done.load());
		CHECK(done > 100, "next to nothing was done");
		uint64_t counted = 0;
		for (unsigned object = 0; object < 9; object++)
			for (const op_counts &each : counts_of(at.device, object).by_op)
				counted += each.bytes;
		CHECK(counted > 0, "nothing was counted");
		CHECK(at.device.status().ends_with(" 0"), "still under way: {}",
		      at.device.status());
		comment("options '{}': {} I/Os under {} changes", options, done.load(), rounds);
	}
}

void wrong_messages()
{
	ensure_block();
	scene at;

	at.device.message("object 1");
	at.device.message("object 2");
	at.device.message("ranges 1 0 100 200 100");
	for (const char *message : {"nothing",
				    "object",
				    "object x",
				    "object 1",
				    "object 1000000",
				    "object 3 more",
				    "ranges",
				    "ranges 3",
				    "ranges 1 0",
				    "ranges 1 0 0",
				    "ranges 1 100 8 0 8",
				    "ranges 2 50 100",
				    "ranges 2 0 99999999999999999999",
				    "ranges 0 0 8",
				    "budget",
				    "budget 65536",
				    "budget 1 ios",
				    "budget 1 ios=x",
				    "budget 1 wrong=1",
				    "budget 1 weight=0",
				    "budget 1 weight=1001",
				    "budget 1 class=3",
				    "budget 1 ios_burst=5",
				    "attach 1 1",
				    "attach 9 0",
				    "detach 9",
				    "stats 9",
				    "show",
				    "show x"})
		CHECK(at.device.refuses(message), "taken: {}", message);
	CHECK(at.device.message("show 150") == "0 200", "{}", at.device.message("show 150"));
	CHECK(at.device.message("show 250") == "1 300", "{}", at.device.message("show 250"));
	CHECK_EQ(unload_module("dm_corbel"), -EAGAIN, "unloaded while it is in use");
	for (const char *table :
	     {"corbel-qos", "corbel-qos /dev/ram0", "corbel-qos /dev/none 0",
	      "corbel-qos /dev/ram0 x", "corbel-qos /dev/ram0 0 1 depth",
	      "corbel-qos /dev/ram0 0 2 depth x", "corbel-qos /dev/ram0 0 2 width 1",
	      "corbel-qos /dev/ram0 99999999"}) {
		CHECK(try_shell(fmt::format("dmsetup create corbel-wrong --table '0 {} {}'",
					    sectors, table)) != 0,
		      "taken: {}", table);
		try_shell("dmsetup remove corbel-wrong");
	}
}

constexpr test_case cases[] = {
	{"each I/O is counted for whose range it is in", counted_exactly},
	{"a limit holds its own and nobody else", limited},
	{"changed under load", changed_under_load},
	{"wrong tables and messages", wrong_messages},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
