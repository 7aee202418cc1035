// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks of a volume that lie in no order are gathered side by side: while they are written to,
 * when snapshots have them too, in more than one go, and where there is not room for all.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 8 << 20, blocks = volume_bytes / block_bytes;

struct run {
	uint64_t lba, count, device, place;
};

/* All of one answer, or of several. */
template <typename Take>
void read_pages(const dm_device &pool, const std::string &question, Take &&take)
{
	for (std::string next = "0"; !next.empty();) {
		std::istringstream lines(pool.message(question + " " + next));
		std::string line;

		next.clear();
		while (std::getline(lines, line))
			if (line.starts_with("more "))
				next = line.substr(5);
			else if (line != "end")
				take(std::istringstream(line));
	}
}

std::vector<run> map_of(const dm_device &pool, uint64_t id)
{
	std::vector<run> runs;

	read_pages(pool, fmt::format("map {}", id), [&](std::istringstream words) {
		run &next = runs.emplace_back();
		words >> next.lba >> next.count >> next.device >> next.place;
		CHECK(words, "not a map: {}", words.str());
	});
	return runs;
}

/* The largest piece of the device with nothing on it. */
std::pair<uint64_t, uint64_t> largest_gap(const dm_device &pool)
{
	std::pair<uint64_t, uint64_t> largest{};

	read_pages(pool, "free 0", [&](std::istringstream words) {
		std::pair<uint64_t, uint64_t> gap{};
		words >> gap.first >> gap.second;
		CHECK(words && gap.second, "not a gap: {}", words.str());
		if (gap.second > largest.second)
			largest = gap;
	});
	return largest;
}

/* Two volumes whose blocks were written by turns, in no order. */
struct scene {
	scene() : disks(2, 64 << 20), devices{disks.path(0), {disks.path(1)}, block_bytes}
	{
		format_pool(devices);
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
		std::vector<uint64_t> order(blocks);
		for (uint64_t i = 0; i < blocks; i++)
			order[i] = i;
		std::ranges::shuffle(order, random);
		for (unsigned i = 0; i < 2; i++) {
			pool->message(fmt::format("create {}", blocks));
			volumes.push_back(std::make_unique<checked_volume>(
				*pool, i + 1, std::vector<char>(volume_bytes)));
		}
		for (const uint64_t block : order)
			for (const auto &volume : volumes)
				volume->write(block * block_bytes, block_bytes, random);
		pool->message("commit");
		CHECK(map_of(*pool, 1).size() > blocks / 2, "it is in order by itself");
	}
	~scene()
	{
		volumes.clear();
		pool->remove();
	}
	void check()
	{
		for (const auto &volume : volumes)
			volume->read_all();
		volumes.clear();
		pool->message("commit");
		pool->remove();
		check_pool(devices.meta);
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
	}

	std::mt19937_64 random{1};
	ram_disks disks;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
	std::vector<std::unique_ptr<checked_volume>> volumes;
};

/* One entry a block, and what a snapshot has lies in order as well. */
void with_snapshots()
{
	ensure_block();
	scene at;
	const auto [place, room] = largest_gap(*at.pool);

	at.pool->message("snapshot 1 1");
	CHECK(room >= blocks, "{} places in one piece", room);
	at.pool->message(fmt::format("gather 1 0 {} 0 {}", blocks - 1, place));
	const mover_receipt told = finished(*at.pool);
	CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
	CHECK_EQ(told.moved, blocks, "blocks moved");
	CHECK_EQ(told.middle, blocks, "middle entries written");
	for (const uint64_t id : {1, 3, 4}) {
		const auto map = map_of(*at.pool, id);

		CHECK_EQ(map.size(), 1U, "runs of volume {}", id);
		CHECK_EQ(map[0].place, place, "where volume {} begins", id);
		CHECK_EQ(map[0].count, blocks, "blocks of volume {}", id);
	}
	/* All of it lies there: once more is nothing. */
	at.pool->message(fmt::format("gather 1 0 {} 0 {}", blocks - 1, place));
	CHECK_EQ(finished(*at.pool).moved, 0U, "moved the second time");
	at.check();
}

/* Stopped and begun again, while the volume is written to. */
void under_load()
{
	ensure_block();
	scene at;
	std::atomic<bool> stop = false;
	std::string wrong;
	std::thread writer([&] {
		std::mt19937_64 random(2);

		try {
			while (!stop) {
				const uint64_t page = random() % (volume_bytes / 4096) * 4096;
				at.volumes[0]->write(page, 4096, random);
				at.volumes[0]->read(page, 4096);
			}
		} catch (const std::exception &error) {
			wrong = error.what();
		}
	});
	const auto [place, room] = largest_gap(*at.pool);
	CHECK(room >= blocks, "{} places in one piece", room);
	uint64_t moved = 0;

	at.pool->message(fmt::format("gather 1 0 {} 0 {} 1000", blocks - 1, place));
	wait_until("something is moved", [&] { return mover_of(*at.pool).moved > 8; });
	at.pool->message("cancel");
	moved += finished(*at.pool).moved;
	at.pool->message(fmt::format("gather 1 0 {} 0 {}", blocks - 1, place));
	const mover_receipt told = finished(*at.pool);
	moved += told.moved;
	stop = true;
	writer.join();
	CHECK(wrong.empty(), "{}", wrong);
	CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
	CHECK_EQ(moved, blocks, "moved in two goes");
	CHECK_EQ(map_of(*at.pool, 1).size(), 1U, "runs");
	at.check();
}

/* As many as there is room for, and no block elsewhere. */
void where_the_room_ends()
{
	ensure_block();
	scene at;
	const auto [place, room] = largest_gap(*at.pool);
	const auto before = map_of(*at.pool, 1);

	at.pool->message(fmt::format("limit 0 {}", place + 10));
	CHECK_EQ(largest_gap(*at.pool).second, 10U, "places below the limit");
	at.pool->message(fmt::format("gather 1 0 {} 0 {}", blocks - 1, place));
	const mover_receipt told = finished(*at.pool);
	CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
	CHECK_EQ(told.moved, 10U, "moved to ten places");
	CHECK_EQ(told.next, 10U, "how far it is");
	CHECK(map_of(*at.pool, 1).size() <= before.size(), "it is more scattered than before");
	/* A place that is another's is no room either. */
	at.pool->message(
		fmt::format("gather 1 20 {} 0 {}", blocks - 1, map_of(*at.pool, 2).front().place));
	CHECK_EQ(finished(*at.pool).moved, 0U, "moved to where another volume lies");

	CHECK(at.pool->refuses(fmt::format("gather 9 0 1 0 {}", place)), "a volume that is not");
	CHECK(at.pool->refuses(fmt::format("gather 0 0 1 0 {}", place)), "no volume");
	CHECK(at.pool->refuses(fmt::format("gather 1 0 1 1 {}", place)), "a device that is not");
	CHECK(at.pool->refuses(fmt::format("gather 1 {} {} 0 {}", blocks, blocks + 1, place)),
	      "blocks behind the volume's end");
	CHECK(at.pool->refuses("gather 1 0 1 0 100000000"), "a place behind the device's end");
	CHECK(at.pool->refuses("gather 1 1 0 0 1"), "from behind to the front");
	CHECK(at.pool->refuses("free 1"), "gaps of a device that is not");
	at.check();
}

constexpr test_case cases[] = {
	{"blocks that snapshots have too", with_snapshots},
	{"while it is written to, in two goes", under_load},
	{"where the room ends", where_the_room_ends},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
