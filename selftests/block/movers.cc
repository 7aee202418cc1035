// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks are moved while they are read and written: nothing is lost, one middle entry is written
 * a block however many snapshots have it, and a device that was emptied can be taken away.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include <atomic>
#include <sstream>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 8 << 20, blocks = volume_bytes / block_bytes;

/* Used blocks of a device, as the status of the pool says. */
uint64_t used_of(const dm_device &pool, unsigned device)
{
	std::istringstream words(pool.status());
	std::string word, number = std::to_string(device), used;

	while (words >> word)
		if (word == (device ? "slow" : "fast"))
			words >> used;
	CHECK(!used.empty(), "no device {} in {}", device, pool.status());
	return std::stoull(used);
}

/* Data devices are slow, so that what is under way is met by what comes. */
struct scene {
	scene() : disks(3, 64 << 20)
	{
		format_pool({disks.path(0), {disks.path(1), disks.path(2)}, block_bytes});
		for (unsigned i = 1; i < 3; i++)
			slow.push_back(std::make_unique<dm_device>(
				fmt::format("corbel-slow-{}", i), device_sectors(disks.path(i)),
				fmt::format("delay {} 0 2", disks.path(i))));
		devices = {disks.path(0), {slow[0]->path(), slow[1]->path()}, block_bytes};
		start();
	}
	void start()
	{
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
	}
	/* What it holds then. */
	std::vector<char> fill(uint64_t id, std::mt19937_64 &random) const
	{
		checked_volume volume(*pool, id, std::vector<char>(volume_bytes));

		volume.fill(random);
		return volume.expected;
	}
	uint64_t create() const
	{
		return std::stoull(pool->message(fmt::format("create {}", blocks)));
	}

	ram_disks disks;
	std::vector<std::unique_ptr<dm_device>> slow;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
};

void prepare()
{
	ensure_block();
	if (try_shell("modprobe dm-delay"))
		skip("this kernel has no dm-delay");
}

/* To and fro, while two volumes with snapshots are written to, read and discarded from. */
void under_load()
{
	prepare();
	scene at;
	std::atomic<bool> stop = false;
	std::atomic<unsigned> failures = 0;
	std::vector<std::unique_ptr<checked_volume>> volumes;
	std::vector<std::thread> threads;
	std::mutex told;
	std::string what;

	for (unsigned i = 0; i < 2; i++)
		volumes.push_back(std::make_unique<checked_volume>(
			*at.pool, at.create(), std::vector<char>(volume_bytes)));
	for (unsigned i = 0; i < 2; i++)
		threads.emplace_back([&, i] {
			std::mt19937_64 random(i);
			checked_volume &volume = *volumes[i];
			try {
				while (!stop) {
					/* Mostly the same few, so that they meet the mover. */
					const uint64_t range =
						random() % 4 ? 1 << 20 : volume_bytes;
					const uint64_t from = random() % (range / 4096) * 4096;
					const uint64_t bytes =
						std::min((1 + random() % 16) * 4096, range - from);

					switch (random() % 16) {
					default:
						volume.write(from, bytes, random);
						break;
					case 0 ... 4:
						volume.read(from, bytes);
						break;
					case 5:
						volume.discard(from, bytes, block_bytes);
						break;
					case 6:
						volume.flush();
						break;
					}
				}
			} catch (const std::exception &error) {
				const std::lock_guard guard(told);
				what = error.what();
				failures++;
			}
		});
	uint64_t moved = 0, middle = 0, skipped = 0;
	const unsigned rounds = static_cast<unsigned>(amount(2, 40));
	for (unsigned round = 0; round < rounds && !failures; round++) {
		const unsigned from = round % 2;

		std::this_thread::sleep_for(std::chrono::milliseconds(300));
		at.pool->message(fmt::format("snapshot {} {}", volumes[0]->id, volumes[1]->id));
		at.pool->message(fmt::format("move {} 0 {} {}", from, 1 << 20, 1 - from));
		CHECK(at.pool->refuses(fmt::format("move {} 0 1 any", from)),
		      "two movers at a time");
		const mover_receipt told = finished(*at.pool);
		CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
		moved += told.moved;
		middle += told.middle;
		skipped += told.skipped;
	}
	stop = true;
	for (std::thread &thread : threads)
		thread.join();
	CHECK_EQ(failures.load(), 0U, "{}", what);
	CHECK(moved > 0, "nothing was moved");
	CHECK_EQ(middle, moved, "middle entries written, of {} moved blocks", moved);
	comment("{} blocks moved in {} rounds, {} left out as they were freed", moved, rounds,
		skipped);
	for (auto &volume : volumes)
		volume->read_all();
	volumes.clear();
	at.pool->remove();
	at.pool.reset();
	check_pool(at.devices.meta);
}

/* Of what moving a volume with @snapshots of it writes. */
mover_receipt moved_with(unsigned snapshots)
{
	scene at;
	std::mt19937_64 random(1);
	const uint64_t id = at.create();
	const std::vector<char> expected = at.fill(id, random);

	std::string all;
	for (unsigned made = 0; made < snapshots; made++) {
		all += fmt::format(" {}", id);
		if (made % 32 == 31 || made + 1 == snapshots)
			at.pool->message("snapshot" + std::exchange(all, {}));
	}
	at.pool->message(fmt::format("move 0 0 {} 1", 1 << 20));
	const mover_receipt told = finished(*at.pool);
	CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
	CHECK_EQ(told.moved, blocks, "blocks moved");
	CHECK_EQ(used_of(*at.pool, 0), 0, "left on the device");
	checked_volume(*at.pool, id, expected).read_all();
	at.pool.reset();
	check_pool(at.devices.meta);
	return told;
}

/* However many have it. */
void one_entry()
{
	prepare();
	const unsigned counts[] = {1, 32, static_cast<unsigned>(amount(128, 1024))};
	uint64_t least = ~uint64_t{0}, most = 0;

	for (const unsigned snapshots : counts) {
		const mover_receipt told = moved_with(snapshots);

		CHECK_EQ(told.middle, told.moved, "shared by {} snapshots", snapshots);
		CHECK_EQ(told.reverse, 2 * told.moved, "shared by {} snapshots", snapshots);
		comment("{} snapshots: {} blocks, {} middle entries, {} bytes of metadata",
			snapshots, told.moved, told.middle, told.bytes);
		least = std::min(least, told.bytes);
		most = std::max(most, told.bytes);
	}
	/*
	 * How often it was committed meanwhile is a matter of time, and each commit writes some
	 * blocks. An entry for each snapshot would be more than a hundred times as much.
	 */
	CHECK(most < 8 * least, "{} to {} bytes of metadata", least, most);
}

/* Nothing is placed on it any more, what is there goes, and it is taken from the pool. */
void evacuation()
{
	prepare();
	scene at;
	std::mt19937_64 random(2);
	const uint64_t id = at.create();
	std::vector<char> expected;

	{
		checked_volume volume(*at.pool, id, std::vector<char>(volume_bytes));
		volume.fill(random);
		CHECK(used_of(*at.pool, 0) > 0, "nothing is on the first device");
		at.pool->message("limit 0 0");
		CHECK(at.pool->refuses("resize_device 0 0"),
		      "removed while there is something on it");
		at.pool->message(fmt::format("move 0 0 {} any", 1 << 20));
		const mover_receipt told = finished(*at.pool);
		CHECK_EQ(told.state, "done", "{}", at.pool->message("mover"));
		/* What is new goes elsewhere as well. */
		volume.write(0, volume.most, random);
		CHECK_EQ(used_of(*at.pool, 0), 0, "left on the device");
		at.pool->message("resize_device 0 0");
		at.devices.data.erase(at.devices.data.begin());
		at.pool->reload(pool_sectors(at.devices), pool_table(at.devices));
		at.slow[0].reset();
		volume.read_all();
		expected = volume.expected;
	}
	at.pool.reset();
	check_pool(at.devices.meta);
	at.start();
	checked_volume(*at.pool, id, expected).read_all();
	at.pool.reset();
}

/* Stopped in the middle, it has done what it says and can go on. */
void cut_off()
{
	prepare();
	scene at;
	std::mt19937_64 random(3);
	checked_volume volume(*at.pool, at.create(), std::vector<char>(volume_bytes));

	volume.fill(random);
	at.pool->message(fmt::format("move 0 0 {} 1", 1 << 20));
	wait_until("something is moved", [&] { return mover_of(*at.pool).moved > 8; });
	at.pool->message("cancel");
	const mover_receipt first = finished(*at.pool);
	CHECK_EQ(first.state, "cancelled", "{}", at.pool->message("mover"));
	CHECK_EQ(used_of(*at.pool, 1), first.moved, "blocks on the other device");
	at.pool->message(fmt::format("move 0 {} {} 1", first.next, 1 << 20));
	const mover_receipt second = finished(*at.pool);
	CHECK_EQ(first.moved + second.moved, blocks, "blocks moved in two parts");
	volume.read_all();
}

/* The pool is taken away, or its metadata fails, while copies are under way. */
void interrupted()
{
	prepare();
	scene at;
	std::mt19937_64 random(4);
	const uint64_t id = at.create();
	const std::vector<char> expected = at.fill(id, random);

	for (unsigned i = 0; i < 6; i++) {
		at.pool->message(fmt::format("move {} 0 {} {}", i % 2, 1 << 20, 1 - i % 2));
		std::this_thread::sleep_for(std::chrono::milliseconds(random() % 60));
		at.pool->remove();
		check_pool(at.devices.meta);
		at.start();
		checked_volume(*at.pool, id, expected).read_all();
	}
	at.pool->remove();
	const dm_device meta("corbel-meta", device_sectors(at.devices.meta),
			     "linear " + at.devices.meta + " 0");
	at.devices.meta = meta.path();
	for (unsigned i = 0; i < 3; i++) {
		at.start();
		at.pool->message("limit 0 0");
		at.pool->message(fmt::format("move 0 0 {} 1", 1 << 20));
		std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
		meta.reload(device_sectors(meta.path()), "error");
		wait_until("it is noticed", [&] {
			const auto now = mover_of(*at.pool).state;
			return now == "failed" || now == "done";
		});
		at.pool->remove();
		meta.reload(device_sectors(meta.path()), "linear " + at.disks.path(0) + " 0");
		check_pool(at.devices.meta);
		at.start();
		checked_volume(*at.pool, id, expected).read_all();
		at.pool->message(fmt::format("move 1 0 {} 0", 1 << 20));
		at.pool->message("cancel");
		at.pool->remove();
	}
	at.pool.reset();
}

constexpr test_case cases[] = {
	{"one middle entry a block, however many snapshots", one_entry},
	{"to and fro under load", under_load},
	{"a device is emptied and taken away", evacuation},
	{"stopped and gone on with", cut_off},
	{"the pool goes while blocks are moved", interrupted},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
