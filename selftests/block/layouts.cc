// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a pool says of where blocks of its volumes lie, held against its data devices themselves;
 * and that it tells when they lie elsewhere.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include "block/label.hh"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <sstream>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 4096;
/* More than one message looks at. */
constexpr uint64_t blocks = 2304, volume_bytes = blocks * block_bytes;

struct place {
	unsigned device;
	uint64_t block;

	bool operator==(const place &) const = default;
};
using places = std::map<uint64_t, place>;

struct scene {
	scene()
		: disks(3, 64 << 20),
		  devices{disks.path(0), {disks.path(1), disks.path(2)}, block_bytes}
	{
		format_pool(devices);
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
	}
	uint64_t create() const
	{
		return std::stoull(pool->message(fmt::format("create {}", blocks)));
	}
	uint64_t layout(uint64_t id) const
	{
		return std::stoull(pool->message(fmt::format("layout {}", id)));
	}
	/* In as many messages as it takes; runs, and the messages, are counted. */
	places map(uint64_t id)
	{
		places found;
		uint64_t next = 0;

		runs = messages = 0;
		for (bool ended = false; !ended; messages++) {
			std::istringstream text(pool->message(fmt::format("map {} {}", id, next)));
			std::string line;

			while (std::getline(text, line)) {
				std::istringstream words(line);
				uint64_t lba, count, block;
				unsigned device;

				CHECK(!ended && next != ~uint64_t{0}, "more behind the end: {}",
				      line);
				if (line == "end") {
					ended = true;
				} else if (line.starts_with("more ")) {
					next = std::stoull(line.substr(5));
					CHECK(found.empty() || next > found.rbegin()->first,
					      "it does not get on: {}", line);
					break;
				} else {
					words >> lba >> count >> device >> block;
					CHECK(words && count, "not a run: {}", line);
					for (uint64_t i = 0; i < count; i++)
						CHECK(found.emplace(lba + i,
								    place{device, block + i})
							      .second,
						      "block {} twice", lba + i);
					runs++;
				}
			}
		}
		return found;
	}
	/* What lies there is what the volume should hold; it holds nothing where nothing is. */
	void check(uint64_t id, const std::vector<char> &expected)
	{
		const places found = map(id);
		std::vector<unique_fd> files;
		const std::unique_ptr<char, decltype(&std::free)> buffer(
			static_cast<char *>(std::aligned_alloc(4096, block_bytes)), &std::free);

		for (const std::string &path : devices.data)
			files.emplace_back(open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
		for (uint64_t lba = 0; lba < blocks; lba++) {
			const char *wanted = &expected[lba * block_bytes];
			const auto at = found.find(lba);

			if (at == found.end()) {
				CHECK(std::all_of(wanted, wanted + block_bytes,
						  [](char c) { return !c; }),
				      "block {} of volume {} has no place", lba, id);
				continue;
			}
			CHECK_EQ(pread(files.at(at->second.device).get(), buffer.get(), block_bytes,
				       static_cast<off_t>(corbel::block::default_data_start +
							  at->second.block * block_bytes)),
				 block_bytes, "{}", std::strerror(errno));
			CHECK(!std::memcmp(buffer.get(), wanted, block_bytes),
			      "block {} of volume {} is not at {} of device {}", lba, id,
			      at->second.block, at->second.device);
		}
	}
	uint64_t events() const
	{
		return std::stoull(shell("dmsetup info -c --noheadings -o events " + pool->name));
	}
	void finish_moving() const
	{
		CHECK_EQ(finished(*pool).state, "done", "{}", pool->message("mover"));
	}

	ram_disks disks;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
	uint64_t runs = 0, messages = 0;
};

void where_blocks_lie()
{
	ensure_block();
	scene at;
	std::mt19937_64 random(1);
	checked_volume volume(*at.pool, at.create(), std::vector<char>(volume_bytes));

	CHECK_EQ(at.pool->message(fmt::format("map {}", volume.id)), "end", "of an empty volume");
	volume.fill(random);
	volume.flush();
	at.check(volume.id, volume.expected);
	CHECK(at.messages > 1, "{} blocks in one message", blocks);
	comment("{} blocks in {} runs, {} messages", blocks, at.runs, at.messages);

	/* In no order, so that there are more runs than one answer has room for. */
	checked_volume other(*at.pool, at.create(), std::vector<char>(volume_bytes));
	for (unsigned i = 0; i < 3 * blocks / 2; i++)
		other.write(random() % blocks * block_bytes, block_bytes, random);
	at.check(other.id, other.expected);
	CHECK(at.runs > 1024, "only {} runs", at.runs);
	comment("{} blocks in {} runs, {} messages", at.map(other.id).size(), at.runs, at.messages);

	const auto snapshot = std::stoull(at.pool->message(fmt::format("snapshot {}", other.id)));
	const std::vector<char> kept = other.expected;
	other.write(0, other.most, random);
	other.discard(1 << 20, 1 << 20, block_bytes);
	CHECK(!at.map(other.id).contains((1 << 20) / block_bytes), "discarded, and has a place");
	at.check(other.id, other.expected);
	at.check(snapshot, kept);

	std::atomic<bool> stop = false;
	std::thread writer([&] {
		std::mt19937_64 mine(2);

		while (!stop)
			other.write(mine() % blocks * block_bytes, block_bytes, mine);
	});
	for (unsigned to : {0, 1}) {
		at.pool->message(fmt::format("move {} 0 {} {}", 1 - to, 1 << 20, to));
		at.finish_moving();
	}
	stop = true;
	writer.join();
	for (const auto &[lba, place] : at.map(snapshot))
		CHECK_EQ(place.device, 1U, "block {} has not moved", lba);
	at.check(volume.id, volume.expected);
	at.check(other.id, other.expected);
	at.check(snapshot, kept);
}

void that_they_lie_elsewhere()
{
	ensure_block();
	scene at;
	std::mt19937_64 random(3);
	const uint64_t id = at.create();
	std::vector<char> expected(volume_bytes);
	uint64_t before = 0;

	{
		checked_volume volume(*at.pool, id, expected);
		const auto changes = [&](const char *what, auto &&change) {
			const uint64_t layout = at.layout(id), events = at.events();

			change();
			CHECK(at.layout(id) > layout, "{}: the layout is the same", what);
			wait_until(what, [&] { return at.events() > events; });
		};

		changes("a first write", [&] { volume.fill(random); });
		changes("a discard", [&] { volume.discard(0, 1 << 20, block_bytes); });
		changes("a move", [&] {
			at.pool->message(fmt::format("move 0 0 {} 1", 1 << 20));
			at.finish_moving();
		});
		at.pool->message(fmt::format("snapshot {}", id));
		changes("a write to what is shared", [&] { volume.write(4 << 20, 4096, random); });

		/* Neither what is read nor what is written in place, and not another volume's. */
		checked_volume other(*at.pool, at.create(), std::vector<char>(volume_bytes));
		const uint64_t layout = at.layout(id);
		volume.read_all();
		volume.write(4 << 20, 4096, random);
		other.write(0, 4096, random);
		CHECK_EQ(at.layout(id), layout, "nothing of it has changed");

		/* While much changes it is told now and then. */
		const auto began = std::chrono::steady_clock::now();
		const uint64_t events = at.events();
		for (uint64_t from = 4096; from < volume_bytes; from += 8192)
			other.write(from, 4096, random);
		const uint64_t told = at.events() - events;
		const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
			std::chrono::steady_clock::now() - began);
		comment("{} first writes in {} ms: {} events", blocks / 2, passed.count(), told);
		CHECK(told <= static_cast<uint64_t>(passed.count()) / 100 + 2, "{} events in {} ms",
		      told, passed.count());
		expected = volume.expected;
		before = at.layout(id);
	}
	/* No number comes twice, whoever has it open. */
	CHECK(at.layout(id) >= before, "the layout of a volume that was closed");
	at.pool->remove();
	at.pool = std::make_unique<dm_device>("corbel-test", pool_sectors(at.devices),
					      pool_table(at.devices));
	CHECK(at.layout(id) > before, "the layout in a pool that was stopped");
	at.check(id, expected);

	for (const auto &wrong :
	     {std::string("map"), std::string("map 99"), fmt::format("map {} {}", id, blocks),
	      fmt::format("map {} 0 0", id), std::string("layout"), std::string("layout 99")})
		CHECK(at.pool->refuses(wrong), "taken: {}", wrong);
}

constexpr test_case cases[] = {
	{"where blocks lie", where_blocks_lie},
	{"that they lie elsewhere", that_they_lie_elsewhere},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
