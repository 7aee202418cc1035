// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranges of many objects by one message, and all that is told of I/O: tables, histograms, heat
 * maps, each beside a model of what was done.
 */
#include "device.hh"
#include "module.hh"
#include "qos_device.hh"
#include "stats_reader.hh"

#include <corbel/qos.h>

#include "block/qos/log_buckets.hh"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>

using namespace corbel::selftest;
using corbel::qos::Range;

namespace {

using scene = qos_on_ram;

struct aligned_buffer {
	explicit aligned_buffer(size_t bytes)
		: at(static_cast<char *>(std::aligned_alloc(4096, bytes)))
	{
		CHECK(at != nullptr, "there is no memory");
		std::memset(at, 0, bytes);
	}
	~aligned_buffer() { std::free(at); }
	aligned_buffer(const aligned_buffer &) = delete;

	char *at;
};

void transfer(int fd, bool write, uint64_t from, uint64_t sectors, char *buffer)
{
	const auto bytes = static_cast<ssize_t>(sectors * 512);
	const auto at = static_cast<off_t>(from * 512);

	CHECK_EQ(write ? pwrite(fd, buffer, sectors * 512, at)
		       : pread(fd, buffer, sectors * 512, at),
		 bytes, "{} sectors at {}: {}", sectors, from, std::strerror(errno));
}

std::vector<uint64_t> numbers_of(std::string text)
{
	std::vector<uint64_t> numbers;

	std::ranges::replace_if(text, [](char c) { return c == ':' || c == ','; }, ' ');
	std::istringstream words(text);
	for (uint64_t number; words >> number;)
		numbers.push_back(number);
	return numbers;
}

/* All cells that are not zero, asked for in pieces of @count. */
std::map<uint64_t, qos_model::cell> cells_of(const dm_device &device, uint64_t count)
{
	std::map<uint64_t, qos_model::cell> cells;

	for (uint64_t first = 0;;) {
		const auto all =
			numbers_of(device.message(fmt::format("cells {} {}", first, count)));
		CHECK(all.size() >= 3 && all.size() % 5 == 3, "{} numbers", all.size());
		CHECK(all[2] > first && all[2] <= std::min(first + count, all[1]),
		      "from {} on, {} of {} cells: up to {}", first, count, all[1], all[2]);
		for (size_t i = 3; i < all.size(); i += 5) {
			CHECK(all[i] >= first && all[i] < all[2], "cell {}", all[i]);
			cells[all[i]] = {all[i + 1], all[i + 2], all[i + 3], all[i + 4]};
		}
		first = all[2];
		if (first == all[1])
			return cells;
	}
}

/* By number, of all objects, asked for @count at a time. */
std::map<uint64_t, object_counts> table_of(const dm_device &device, uint64_t count)
{
	std::map<uint64_t, object_counts> table;

	for (uint64_t first = 0;;) {
		std::istringstream text(device.message(fmt::format("table {} {}", first, count)));
		std::string line;

		text >> first;
		while (text >> line) {
			const size_t colon = line.find(':');
			CHECK(colon != std::string::npos, "{}", line);
			std::string numbers = line.substr(colon + 1);
			std::ranges::replace(numbers, ',', ' ');
			table[std::stoull(line.substr(0, colon))] = counts_from(numbers);
		}
		if (!first)
			return table;
	}
}

uint64_t count_of(const dm_device &device, unsigned object, const char *which)
{
	const auto all = numbers_of(device.message(fmt::format("histogram {} {}", object, which)));
	uint64_t sum = 0;

	CHECK_EQ(all.size() % 2, 0, "histogram of {}", which);
	for (size_t i = 0; i < all.size(); i += 2) {
		CHECK(all[i] < corbel::qos::latency_buckets && all[i + 1], "bucket {}", all[i]);
		sum += all[i + 1];
	}
	return sum;
}

/* Every object's I/O and every cell's bytes are those of the model, whatever set did. */
void as_the_model()
{
	ensure_block();
	constexpr unsigned objects = 40, shift = 9;
	scene at;
	qos_model model(scene::sectors, objects, shift);
	std::mt19937_64 random(1);
	const aligned_buffer buffer(256 << 10);
	std::vector<uint32_t> all;

	for (uint32_t object = 1; object < objects; object++) {
		at.device.message(fmt::format("object {} histograms", object));
		all.push_back(object);
	}
	at.device.message(fmt::format("heat {}", shift));
	const unsigned rounds = static_cast<unsigned>(amount(3, 40));
	for (unsigned round = 0; round < rounds; round++) {
		for (uint64_t from = 0; from < scene::sectors;) {
			const uint64_t end =
				std::min(from + 8 + random() % 200 * 8, scene::sectors);
			const unsigned object = random() % objects;
			for (; from < end; from++)
				model.owner[from] = object;
		}
		at.device.send(set_message(all, model.ranges()));
		for (unsigned i = 0; i < 300; i++) {
			const uint64_t from = random() % (scene::sectors / 8) * 8;
			const uint64_t count =
				std::min((1 + random() % 64) * 8, scene::sectors - from);
			const bool write = random() % 2;

			transfer(at.fd.get(), write, from, count, buffer.at);
			model.done(write, from, count);
		}
	}
	const auto table = table_of(at.device, 7);
	CHECK_EQ(table.size(), objects, "objects in the table");
	for (unsigned object = 0; object < objects; object++) {
		static constexpr const char *names[] = {"read", "write"};
		const object_counts &got = table.at(object);
		uint64_t ios = 0;

		for (unsigned op = 0; op < 2; op++) {
			const op_counts &want = model.counts[object].by_op[op];
			CHECK_EQ(got.by_op[op].ios, want.ios, "object {}: {}s", object, names[op]);
			CHECK_EQ(got.by_op[op].bytes, want.bytes, "object {}: {}s", object,
				 names[op]);
			CHECK_EQ(count_of(at.device, object, names[op]), want.ios,
				 "object {}: histogram of {}s", object, names[op]);
			ios += want.ios;
		}
		CHECK_EQ(count_of(at.device, object, "other"), 0, "object {}", object);
		CHECK_EQ(count_of(at.device, object, "queue"), ios, "object {}", object);
	}
	for (const uint64_t count : {uint64_t{1000000}, uint64_t{5}}) {
		const auto cells = cells_of(at.device, count);
		CHECK_EQ(cells.size(), model.cells.size(), "cells that are not zero");
		for (const auto &[index, want] : model.cells)
			CHECK(cells.contains(index) && cells.at(index) == want, "cell {}", index);
	}
	/* Anew, and away. */
	at.device.message(fmt::format("heat {}", shift + 1));
	CHECK_EQ(cells_of(at.device, 1000000).size(), 0, "cells of a new map");
	at.device.message("heat off");
	CHECK(at.device.refuses("cells 0 1"), "cells are told that there are not");
}

/*
 * Each writer's area is one of two objects', as a message may change at any time; rest never has
 * any of it, not for a moment, and nothing is counted for others.
 */
void under_load()
{
	ensure_block();
	constexpr unsigned writers = 4;
	constexpr uint64_t area = scene::sectors / writers;
	scene at;
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> bytes[writers]{}, failed = 0;
	std::vector<uint32_t> all;
	std::vector<std::thread> threads;
	std::mt19937_64 random(2);

	for (uint32_t object = 1; object <= 2 * writers; object++) {
		at.device.message(fmt::format("object {}", object));
		all.push_back(object);
	}
	const auto divide = [&] {
		std::vector<Range> ranges;
		for (uint64_t from = 0; from < scene::sectors;) {
			const auto writer = static_cast<uint32_t>(from / area);
			const uint64_t end =
				std::min(from + 8 + random() % 500 * 8, (writer + 1) * area);
			const auto object = static_cast<uint32_t>(1 + 2 * writer + random() % 2);
			ranges.push_back({{from}, end - from, {object}, 0});
			from = end;
		}
		at.device.send(set_message(all, ranges));
	};
	divide();
	at.device.message("heat 7");
	const object_counts before = counts_of(at.device, 0);
	for (unsigned i = 0; i < writers; i++)
		threads.emplace_back([&, i] {
			const aligned_buffer buffer(128 << 10);
			std::mt19937_64 mine(i);

			while (!stop) {
				const uint64_t count = (1 + mine() % 32) * 8;
				const uint64_t from = i * area + mine() % ((area - count) / 8) * 8;
				const auto length = static_cast<ssize_t>(count * 512);

				if (pwrite(at.fd.get(), buffer.at, count * 512,
					   static_cast<off_t>(from * 512)) == length)
					bytes[i] += count * 512;
				else
					failed++;
			}
		});
	const unsigned rounds = static_cast<unsigned>(amount(12, 1000));
	for (unsigned round = 0; round < rounds; round++) {
		divide();
		if (round % 8 == 7)
			at.device.message(round % 16 == 7 ? "heat off" : "heat 8");
	}
	stop = true;
	for (std::thread &thread : threads)
		thread.join();
	CHECK_EQ(failed.load(), 0, "I/Os failed");
	const auto table = table_of(at.device, 1000);
	uint64_t sum = 0;
	for (unsigned i = 0; i < writers; i++) {
		CHECK(bytes[i] > 0, "writer {} did nothing", i);
		CHECK_EQ(table.at(1 + 2 * i).by_op[1].bytes + table.at(2 + 2 * i).by_op[1].bytes,
			 bytes[i].load(), "writer {}", i);
		sum += bytes[i];
	}
	CHECK_EQ(table.at(0).by_op[1].ios, before.by_op[1].ios, "writes were nobody's");
	comment("{} MiB written under {} changes of all ranges", sum >> 20, rounds);
}

/* As many ranges as there can be, of a device that is large enough. */
void very_many()
{
	ensure_block();
	const auto count = static_cast<uint32_t>(amount(30'000, corbel::qos::max_ranges));
	const uint64_t sectors = uint64_t{count} * 16;
	const dm_device zeros("corbel-zeros", sectors, "zero");
	const dm_device device("corbel-test", sectors, "corbel-qos " + zeros.path() + " 0");
	const unique_fd fd(open(device.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
	const aligned_buffer buffer(4096);
	std::mt19937_64 random(3);
	std::vector<uint32_t> objects;
	std::vector<Range> ranges;
	uint64_t want[101]{};

	for (uint32_t object = 1; object <= 100; object++) {
		device.message(fmt::format("object {}", object));
		objects.push_back(object);
	}
	for (uint32_t i = 0; i < count; i++)
		ranges.push_back({{uint64_t{i} * 16}, 8, {1 + i % 100}, 0});
	device.send(set_message(objects, ranges));
	CHECK(device.status().find(fmt::format(" {} ", count)) != std::string::npos, "{}",
	      device.status());
	comment("status with all ranges: {}", device.status());
	for (unsigned i = 0; i < 500; i++) {
		const uint64_t at = random() % (2 * count);
		transfer(fd.get(), false, at * 8, 8, buffer.at);
		if (at % 2 == 0)
			want[1 + at / 2 % 100]++;
	}
	const auto table = table_of(device, 1000000);
	for (unsigned object = 1; object <= 100; object++)
		CHECK_EQ(table.at(object).by_op[0].ios, want[object], "object {}", object);
	/* More than there can be, of one object less. */
	if (count == corbel::qos::max_ranges) {
		device.message("object 101");
		CHECK(device.refuses(set_message({101}, {{{8}, 1, {101}, 0}})), "taken");
	}
	device.send(set_message({100}, {}));
	CHECK(device.status().find(fmt::format(" {} ", count - count / 100)) != std::string::npos,
	      "{}", device.status());
}

/* All that a descriptor tells, beside what a message does. */
void check_stats(const stats_reader &reader, const object_counts &want)
{
	static constexpr const char *names[] = {"read", "write", "discard", "flush"};
	const auto got = reader.read();
	const auto value = [&](const std::string &name) { return got.at(name).values.at(0); };

	for (unsigned op = 0; op < 4; op++) {
		const std::string name = names[op];
		CHECK_EQ(value(name + "_ios"), want.by_op[op].ios, "{}", name);
		CHECK_EQ(value(name + "_bytes"), want.by_op[op].bytes, "{}", name);
		CHECK_EQ(value(name + "_errors"), want.by_op[op].errors, "{}", name);
		CHECK_EQ(value(name + "_service_ns"), want.by_op[op].service_ns, "{}", name);
	}
	CHECK_EQ(value("throttled"), want.throttled, "throttled");
	CHECK_EQ(value("throttled_ns"), want.throttled_ns, "for so long");
}

uint64_t sum_of(const std::map<std::string, stats_value> &all, const char *name)
{
	uint64_t sum = 0;

	CHECK_EQ(all.at(name).values.size(), CORBEL_QOS_BUCKETS, "{}", name);
	for (const uint64_t count : all.at(name).values)
		sum += count;
	return sum;
}

void descriptors()
{
	ensure_block();
	const unique_fd corbel = connect_device();
	CHECK(query(corbel.get()).features & CORBEL_FEATURE_BLOCK, "dm-corbel is not told of");
	std::optional<scene> at(std::in_place);
	const aligned_buffer buffer(4096);

	at->device.message("object 1 histograms");
	at->device.message("object 2");
	at->device.message("ranges 1 0 8192");
	at->device.message("ranges 2 8192 8192");
	const std::string path = at->device.path();
	const stats_reader detailed = qos_stats(corbel.get(), path, 1);
	const stats_reader plain = qos_stats(corbel.get(), path, 2);
	CHECK(plain.id().starts_with("corbel-qos-") && plain.id().ends_with("/object-2"), "{}",
	      plain.id());
	CHECK_EQ(plain.header().num_desc, 18u, "values of an object without histograms");
	CHECK_EQ(detailed.header().num_desc, 22u, "values of one with histograms");

	/* Each look is one, whatever is going on. */
	std::atomic<bool> stop = false;
	std::thread reads([&] {
		while (!stop)
			transfer(at->fd.get(), false, 0, 8, buffer.at);
	});
	const unsigned looks = static_cast<unsigned>(amount(60, 20000));
	uint64_t last = 0;
	std::string wrong;
	for (unsigned i = 0; i < looks && wrong.empty(); i++) {
		const auto all = detailed.read();
		const uint64_t ios = all.at("read_ios").values.at(0);
		if (sum_of(all, "read_latency") != ios || sum_of(all, "queue_time") != ios ||
		    all.at("read_bytes").values.at(0) != ios * 4096 || ios < last)
			wrong = fmt::format("{} reads, {} before, {} in the histogram", ios, last,
					    sum_of(all, "read_latency"));
		last = ios;
	}
	stop = true;
	reads.join();
	CHECK(wrong.empty(), "{}", wrong);
	CHECK(last > 0, "nothing was read meanwhile");
	transfer(at->fd.get(), true, 8000, 400, std::make_unique<aligned_buffer>(400 * 512)->at);
	const object_counts counts[] = {counts_of(at->device, 1), counts_of(at->device, 2)};
	check_stats(detailed, counts[0]);
	check_stats(plain, counts[1]);
	CHECK_EQ(counts[1].by_op[1].bytes, 208 * 512, "what crosses a border");

	/* Another table begins anew, and the old one's descriptor stays with it. */
	at->device.reload(scene::sectors, "corbel-qos " + ram_disks::path(0) + " 0");
	check_stats(detailed, counts[0]);
	check_stats(qos_stats(corbel.get(), path, 0), counts_of(at->device, 0));
	corbel_qos_stats none = {};
	struct stat found = {};
	CHECK(stat(path.c_str(), &found) == 0, "{}", path);
	none.major = major(found.st_rdev);
	none.minor = minor(found.st_rdev);
	none.object = 1;
	CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, none), -ENOENT, "object of another table");
	none.object = ~0u;
	CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, none), -ENOENT, "no object");
	none.object = 0;
	for (const uint64_t sector : {scene::sectors, ~uint64_t{0}}) {
		none.sector = sector;
		CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, none), -ENODEV, "sector {}",
			 sector);
	}
	none.sector = 0;
	none.pad = 1;
	CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, none), -EINVAL, "padding");
	none.pad = 0;
	for (const auto &[of_major, of_minor] : {std::pair{none.major, none.minor + 1},
						 {none.major + 1, none.minor},
						 {none.major | 1u << 12, none.minor},
						 {none.major, none.minor | 1u << 20},
						 {~0u, ~0u}}) {
		corbel_qos_stats other = none;
		other.major = of_major;
		other.minor = of_minor;
		CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, other), -ENODEV, "{}:{}", of_major,
			 of_minor);
	}

	/* The device goes, the counts stay, and so does the module. */
	at.reset();
	check_stats(detailed, counts[0]);
	check_stats(plain, counts[1]);
	CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, none), -ENODEV, "a device that has gone");
	CHECK_EQ(unload_module("dm_corbel"), -EAGAIN, "unloaded while its counts are open");
}

/* When the last one is closed. */
void unloaded()
{
	const unique_fd corbel = connect_device();
	corbel_qos_stats any = {};

	CHECK_EQ(unload_module("dm_corbel"), 0, "nothing of it is open");
	CHECK_EQ(request(corbel.get(), CORBEL_QOS_STATS, any), -EOPNOTSUPP, "without the module");
	CHECK(!(query(corbel.get()).features & CORBEL_FEATURE_BLOCK), "features");
	ensure_block();
}

void wrong_messages()
{
	ensure_block();
	scene at;

	at.device.message("object 1");
	at.device.message("object 2");
	at.device.message("object 3");
	at.device.send(set_message({1, 2}, {{{0}, 8, {1}, 0}, {{8}, 8, {2}, 0}}));
	const std::string before = at.device.status();
	for (const std::string &message : {
		     std::string("set"),
		     std::string("set !"),
		     std::string("set AAAA"),
		     std::string("set AAAAA"),
		     set_message({3}, {}) + "AAAA",
		     set_message({3}, {}) + " 1",
		     set_message({}, {}),
		     set_message({0}, {}),
		     set_message({4}, {}),
		     set_message({3, 1}, {}),
		     set_message({1, 1}, {}),
		     set_message({3}, {{{4}, 8, {3}, 0}}),
		     set_message({3}, {{{16}, 0, {3}, 0}}),
		     set_message({3}, {{{16}, 8, {2}, 0}}),
		     set_message({3}, {{{16}, 8, {3}, 1}}),
		     set_message({3}, {{{32}, 8, {3}, 0}, {{16}, 8, {3}, 0}}),
		     set_message({3}, {{{32}, 8, {3}, 0}, {{36}, 8, {3}, 0}}),
		     set_message({3}, {{{uint64_t{1} << 54}, 8, {3}, 0}}),
		     std::string("heat"),
		     std::string("heat 6"),
		     std::string("heat 54"),
		     std::string("heat 99999999999"),
		     std::string("heat on"),
		     std::string("cells 0 1"),
		     std::string("cells 0"),
		     std::string("histogram 1 read"),
		     std::string("histogram 0 writes"),
		     std::string("histogram 9 read"),
		     std::string("histogram 0"),
		     std::string("table 0"),
		     std::string("table x 1"),
	     })
		CHECK(at.device.refuses(message), "taken: {}", message);
	CHECK(at.device.status() == before, "{} was {}", at.device.status(), before);
	at.device.message("heat 7");
	CHECK(at.device.message("cells 99999999999 5") == "7 512 512", "{}",
	      at.device.message("cells 99999999999 5"));
	CHECK(at.device.message("cells 3 0") == "7 512 3", "{}", at.device.message("cells 3 0"));
	CHECK(at.device.message("table 4 9") == "0", "{}", at.device.message("table 4 9"));
	CHECK(at.device.message("table 1 0") == "1", "{}", at.device.message("table 1 0"));
	CHECK(at.device.message("histogram 0 write").empty(), "{}",
	      at.device.message("histogram 0 write"));
}

constexpr test_case cases[] = {
	{"ranges, tables, histograms and heat are those of a model", as_the_model},
	{"ranges of many at once, under load", under_load},
	{"very many ranges by one message", very_many},
	{"stats descriptors", descriptors},
	{"nothing of it is left open", unloaded},
	{"wrong messages", wrong_messages},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
