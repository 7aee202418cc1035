// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Volumes of a pool beside plain memory: what is read is what was written, whatever else is
 * done to them, also after the pool was stopped and started.
 */
#include "checked_volume.hh"
#include "wait.hh"

#include <map>
#include <memory>
#include <random>

using namespace corbel::selftest;

namespace {

constexpr uint64_t volume_bytes = 8 << 20;

void random_operations(uint32_t block_bytes, unsigned steps)
{
	ensure_block();
	ram_disks disks(3, 64 << 20);
	const pool_devices devices{disks.path(0), {disks.path(1), disks.path(2)}, block_bytes};
	format_pool(devices);
	std::mt19937_64 random(block_bytes);
	std::map<uint64_t, std::vector<char>> kept; /* not in use */
	std::map<uint64_t, std::unique_ptr<checked_volume>> used;
	auto pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						pool_table(devices, "1 error_if_no_space"));
	const auto use = [&](uint64_t id, std::vector<char> expected) {
		used[id] = std::make_unique<checked_volume>(*pool, id, std::move(expected));
	};
	const auto pick = [&](auto &map) {
		return std::next(map.begin(), static_cast<long>(random() % map.size()));
	};

	for (unsigned i = 0; i < 2; i++)
		use(std::stoull(
			    pool->message(fmt::format("create {}", volume_bytes / block_bytes))),
		    std::vector<char>(volume_bytes));
	for (unsigned step = 0; step < steps; step++) {
		checked_volume &volume = *pick(used)->second;
		const uint64_t at = random() % (volume_bytes / 4096) * 4096;
		const uint64_t bytes = std::min((1 + random() % 32) * 4096, volume_bytes - at);

		switch (random() % 40) {
		default:
			volume.write(at, bytes, random);
			break;
		case 0 ... 11:
			volume.read(at, bytes);
			break;
		case 12 ... 14:
			volume.discard(at, bytes, block_bytes);
			break;
		case 15 ... 16:
			volume.flush();
			break;
		case 17: {
			if (kept.size() > 5)
				break;
			const auto id =
				std::stoull(pool->message(fmt::format("snapshot {}", volume.id)));
			kept[id] = volume.expected;
			break;
		}
		case 18: {
			if (used.size() > 4)
				break;
			const auto id =
				std::stoull(pool->message(fmt::format("clone {}", volume.id)));
			use(id, volume.expected);
			break;
		}
		case 19: {
			if (kept.empty())
				break;
			const auto snapshot = pick(kept);
			CHECK(pool->refuses(
				      fmt::format("rollback {} {}", volume.id, snapshot->first)),
			      "rolled back while it is in use");
			const auto id = volume.id;
			used.erase(id);
			pool->message(fmt::format("rollback {} {}", id, snapshot->first));
			use(id, snapshot->second);
			break;
		}
		case 20: {
			if (kept.empty())
				break;
			const auto snapshot = pick(kept);
			pool->message(fmt::format("delete {}", snapshot->first));
			kept.erase(snapshot);
			break;
		}
		case 21: {
			/* Everything is stopped and started. */
			for (auto &[id, each] : used)
				kept[id] = std::move(each->expected);
			std::vector<uint64_t> ids;
			for (auto &[id, each] : used)
				ids.push_back(id);
			used.clear();
			pool.reset();
			check_pool(devices.meta);
			pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
							   pool_table(devices));
			for (const uint64_t id : ids)
				use(id, std::move(kept.extract(id).mapped()));
			break;
		}
		}
	}
	for (auto &[id, volume] : used)
		volume->read_all();
	for (auto &[id, expected] : kept)
		checked_volume(*pool, id, expected).read_all();
	comment("{}", pool->status());
	used.clear();
	pool.reset();
	check_pool(devices.meta);
}

void blocks_of_64k()
{
	random_operations(64 << 10, static_cast<unsigned>(amount(150, 20000)));
}

void blocks_of_4k()
{
	random_operations(4 << 10, static_cast<unsigned>(amount(150, 20000)));
}

/* Also of those that come before what is being deleted. */
void deleted_in_any_order()
{
	ensure_block();
	ram_disks disks(2, 64 << 20);
	const pool_devices devices{disks.path(0), {disks.path(1)}, 4096};
	format_pool(devices);
	dm_device pool("corbel-test", pool_sectors(devices), pool_table(devices));
	std::mt19937_64 random(1);

	for (unsigned i = 0; i < 4; i++) {
		const auto id = std::stoull(pool.message(fmt::format("create {}", 2048)));
		checked_volume volume(pool, id, std::vector<char>(volume_bytes));
		volume.fill(random);
	}
	for (const unsigned id : {4, 2, 1, 3})
		pool.message(fmt::format("delete {}", id));
	wait_until("all of them are gone", [&] { return pool.message("volumes").empty(); });
	CHECK(pool.status().find(" 0/16128/16128") != std::string::npos, "still in use: {}",
	      pool.status());
	pool.remove();
	check_pool(devices.meta);
}

constexpr test_case cases[] = {
	{"random operations, blocks of 64 KiB", blocks_of_64k},
	{"random operations, blocks of 4 KiB", blocks_of_4k},
	{"deleted in any order", deleted_in_any_order},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
