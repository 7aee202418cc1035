// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks that are read and written often go to one device and the others to another, by messages
 * alone. Where accesses go is what the devices themselves have counted.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include <map>
#include <set>
#include <sstream>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 8 << 20, blocks = volume_bytes / block_bytes;
constexpr uint64_t hot_blocks = 16;

struct scene {
	scene() : disks(3, 64 << 20)
	{
		format_pool({disks.path(0), {disks.path(1), disks.path(2)}, block_bytes});
		for (unsigned i = 1; i < 3; i++)
			under.push_back(std::make_unique<dm_device>(
				fmt::format("corbel-under-{}", i), device_sectors(disks.path(i)),
				fmt::format("linear {} 0", disks.path(i))));
		devices = {disks.path(0), {under[0]->path(), under[1]->path()}, block_bytes};
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
	}
	/* Reads that the device has counted. */
	uint64_t reads_of(unsigned device) const { return under[device]->statistic(0); }
	mover_receipt move(unsigned from, unsigned to, const std::string &band) const
	{
		pool->message(fmt::format("move {} 0 {} {} any {}", from, 1 << 20, to, band));
		return finished(*pool);
	}
	/* How many blocks of a device are how hot. */
	std::map<unsigned, uint64_t> heat_of(unsigned device) const
	{
		std::istringstream words(pool->message(fmt::format("heat {}", device)));
		std::map<unsigned, uint64_t> heat;
		std::string word;

		while (words >> word && word != "end") {
			const auto colon = word.find(':');
			CHECK(colon != std::string::npos, "not heat: {}", word);
			heat[std::stoul(word)] = std::stoull(word.substr(colon + 1));
		}
		CHECK_EQ(word, "end", "of what is told of device {}", device);
		return heat;
	}

	ram_disks disks;
	std::vector<std::unique_ptr<dm_device>> under;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
};

uint64_t sum(const std::map<unsigned, uint64_t> &heat)
{
	uint64_t all = 0;

	for (const auto &[each, count] : heat)
		all += count;
	return all;
}

/* 20 of 21 accesses go to a few blocks, which lie anywhere. */
struct skewed {
	explicit skewed(uint64_t seed) : random(seed)
	{
		while (hot.size() < hot_blocks)
			hot.insert(random() % blocks);
	}
	void read(checked_volume &volume, unsigned count)
	{
		const std::vector<uint64_t> places(hot.begin(), hot.end());

		for (unsigned i = 0; i < count; i++) {
			const uint64_t block =
				i % 21 ? places[i % places.size()] : random() % blocks;
			volume.read(block * block_bytes + random() % 16 * 4096, 4096);
		}
	}
	void read_hot(checked_volume &volume)
	{
		for (const uint64_t block : hot)
			volume.read(block * block_bytes, 4096);
	}

	std::mt19937_64 random;
	std::set<uint64_t> hot;
};

void hot_and_cold()
{
	ensure_block();
	scene at;
	skewed load(7);
	auto in_use = std::make_unique<checked_volume>(
		*at.pool, std::stoull(at.pool->message(fmt::format("create {}", blocks))),
		std::vector<char>(volume_bytes));

	checked_volume &volume = *in_use;
	volume.fill(load.random);
	CHECK(at.pool->refuses("heat 0"), "heat is told that nobody has counted");
	CHECK(at.pool->refuses("heat_age"), "heat is aged that nobody has counted");
	CHECK(at.pool->refuses("move 0 0 9 1 any 1 255 9"), "moved by no heat");
	CHECK_EQ(at.pool->message("heat_on").substr(0, 4), "new ", "the first time");
	CHECK_EQ(at.pool->message("heat_on").substr(0, 4), "kept", "the second time");
	CHECK(at.pool->refuses("move 0 0 9 1 any 1 256 9"), "hotter than there is");
	CHECK(at.pool->refuses("move 0 0 9 1 any 2 1 9"), "an empty band");
	CHECK(at.pool->refuses("move 0 0 9 1 any 1 2"), "a band, and how many is not said");
	CHECK(at.pool->refuses("heat 7"), "a device that is not there");

	/* All of it lies on the first device, and goes to the slow one. */
	CHECK_EQ(sum(at.heat_of(0)), blocks, "blocks on the first device");
	auto told = at.move(0, 1, "0 255 any");
	CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
	CHECK_EQ(told.moved, blocks, "moved, as all are from 0 to 255");

	load.read(volume, 4000);
	const auto heat = at.heat_of(1);
	CHECK_EQ(sum(heat), blocks, "what was moved is counted where it lies");
	uint64_t hottest = 0;
	for (auto it = heat.lower_bound(64); it != heat.end(); ++it)
		hottest += it->second;
	CHECK_EQ(hottest, hot_blocks, "blocks that were read often");

	/* No more than is asked for, then all that are so hot, one middle entry each. */
	told = at.move(1, 0, "64 255 5");
	CHECK_EQ(told.moved, 5U, "{}", at.pool->message("mover"));
	told = at.move(1, 0, "64 255 any");
	CHECK_EQ(told.moved, hot_blocks - 5, "{}", at.pool->message("mover"));
	CHECK_EQ(told.middle, told.moved, "middle entries");
	CHECK_EQ(sum(at.heat_of(0)), hot_blocks, "on the fast device");
	told = at.move(1, 0, "64 255 any");
	CHECK_EQ(told.moved, 0U, "there is nothing hot any more");

	const auto fast = at.reads_of(0), slow = at.reads_of(1);
	for (unsigned i = 0; i < 10; i++)
		load.read_hot(volume);
	const auto from_fast = at.reads_of(0) - fast, from_slow = at.reads_of(1) - slow;
	comment("{} reads of hot blocks went to the fast device, {} to the slow one", from_fast,
		from_slow);
	CHECK(from_fast >= 10 * hot_blocks * 9 / 10, "reads of the fast device");
	CHECK(from_slow <= 10 * hot_blocks / 10, "reads of the slow device");

	/* It fades by half, and then they are as cold as the others. */
	const auto before = at.heat_of(0).rbegin()->first;
	at.pool->message("heat_age");
	CHECK_EQ(at.heat_of(0).rbegin()->first, before / 2, "the hottest");
	for (unsigned i = 0; i < 8; i++)
		at.pool->message("heat_age");
	CHECK_EQ(at.heat_of(0).at(0), hot_blocks, "without heat");
	told = at.move(0, 1, "0 0 any");
	CHECK_EQ(told.moved, hot_blocks, "{}", at.pool->message("mover"));

	volume.read_all();
	at.pool->message("heat_off");
	CHECK(at.pool->refuses("heat 0"), "heat is told that nobody counts");
	in_use.reset();
	at.pool->remove();
	check_pool(at.devices.meta);
}

constexpr test_case cases[] = {
	{"hot blocks to one device, cold ones to another", hot_and_cold},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
