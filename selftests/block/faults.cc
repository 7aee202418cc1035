// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that are full or fail, tables and messages that are wrong: nothing that was
 * acknowledged is lost, errors are what they should be, and the pool goes on or says that it
 * cannot.
 */
#include "checked_volume.hh"
#include "module.hh"
#include "wait.hh"

#include <atomic>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 24 << 20, disk_bytes = 32 << 20;

/* Both devices of the pool lie on linear ones, which can be made to fail. */
struct scene {
	explicit scene(uint64_t meta_bytes = 8 << 20, uint64_t data_bytes = disk_bytes)
		: disks(3, disk_bytes),
		  meta("corbel-meta", meta_bytes / 512, "linear " + disks.path(0) + " 0"),
		  data("corbel-data", data_bytes / 512, "linear " + disks.path(1) + " 0"),
		  devices{meta.path(), {data.path()}, block_bytes}
	{
		format_pool(devices);
	}
	void start(const std::string &options)
	{
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices, options));
	}
	uint64_t create() const
	{
		return std::stoull(
			pool->message(fmt::format("create {}", volume_bytes / block_bytes)));
	}
	std::unique_ptr<checked_volume>
	use(uint64_t id, std::vector<char> expected = std::vector<char>(volume_bytes)) const
	{
		return std::make_unique<checked_volume>(*pool, id, std::move(expected));
	}
	/* Its memory goes, so that what is made of it does not wait for it. */
	void stop()
	{
		pool.reset();
		check_pool(devices.meta);
	}
	void fail(const dm_device &device) const
	{
		device.reload(device_sectors(device.path()), "error");
	}
	void mend(const dm_device &device, unsigned disk) const
	{
		device.reload(device_sectors(device.path()), "linear " + disks.path(disk) + " 0");
	}

	ram_disks disks;
	dm_device meta, data;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
};

/* The first @count. */
void write_blocks(checked_volume &volume, uint64_t count, std::mt19937_64 &random)
{
	for (uint64_t block = 0; block < count; block++)
		volume.write(block * block_bytes, block_bytes, random);
}

/* 0, or the error number of a write of 4 KiB. */
int try_write(const checked_volume &volume, uint64_t at)
{
	alignas(4096) static char buffer[4096];

	std::memset(buffer, 0x77, sizeof(buffer));
	return pwrite(volume.fd.get(), buffer, sizeof(buffer), at) < 0 ? errno : 0;
}

int try_read(const checked_volume &volume, uint64_t at)
{
	alignas(4096) static char buffer[4096];

	return pread(volume.fd.get(), buffer, sizeof(buffer), at) < 0 ? errno : 0;
}

/* Writes block after block until one is refused; how many were not. */
uint64_t fill(checked_volume &volume, std::mt19937_64 &random, int *error)
{
	for (uint64_t at = 0; at < volume_bytes; at += block_bytes) {
		*error = try_write(volume, at);
		if (*error)
			return at / block_bytes;
		volume.write(at, block_bytes, random);
	}
	return volume_bytes / block_bytes;
}

void data_full()
{
	ensure_block();
	/* 1 MiB is in front of the data, which is 8 MiB: 128 blocks. */
	scene at(8 << 20, 9 << 20);
	std::mt19937_64 random(1);
	int error = 0;

	at.start("1 error_if_no_space");
	auto volume = at.use(at.create());
	CHECK_EQ(fill(*volume, random, &error), 128, "blocks that fit");
	CHECK_EQ(error, ENOSPC, "of a write that has no room");
	/* What is there can be read and written. */
	volume->write(0, block_bytes, random);
	volume->read_all();
	volume->flush();
	const auto snapshot = std::stoull(at.pool->message(fmt::format("snapshot {}", volume->id)));
	CHECK_EQ(try_write(*volume, 0), ENOSPC, "of a copy that has no room");
	at.pool->message(fmt::format("delete {}", snapshot));
	wait_until("room for a write", [&] { return try_write(*volume, 0) == 0; });
	volume->write(0, block_bytes, random);
	volume->discard(block_bytes, 4 * block_bytes, block_bytes);
	wait_until("room for a new block",
		   [&] { return try_write(*volume, 200 * block_bytes) == 0; });
	volume->write(200 * block_bytes, block_bytes, random);
	volume->read_all();
	const auto expected = volume->expected;
	const auto id = volume->id;
	volume.reset();
	at.stop();
	at.start("");
	at.use(id, expected)->read_all();
	at.stop();
}

/* Who waits for room gets it, or is told when the volume is to be suspended. */
void data_full_and_waiting()
{
	ensure_block();
	scene at(8 << 20, 9 << 20);
	std::mt19937_64 random(2);
	std::atomic<int> result = -1;

	at.start("");
	auto volume = at.use(at.create());
	write_blocks(*volume, 128, random);
	std::thread writer([&] { result = try_write(*volume, 200 * block_bytes); });
	std::this_thread::sleep_for(std::chrono::milliseconds(300));
	CHECK_EQ(result.load(), -1, "it did not wait");
	/* Others go on meanwhile. */
	volume->write(0, block_bytes, random);
	volume->read(0, block_bytes);
	volume->discard(2 * block_bytes, 2 * block_bytes, block_bytes);
	writer.join();
	CHECK_EQ(result.load(), 0, "of the write that waited");
	volume->write(200 * block_bytes, block_bytes, random);
	volume->write(201 * block_bytes, block_bytes, random);
	volume->read_all();
	volume.reset();
	at.stop();
}

void metadata_full()
{
	ensure_block();
	/* The least there can be, and blocks that are far apart, each in a leaf of its own. */
	scene at(512 << 10, disk_bytes);
	std::mt19937_64 random(3);
	uint64_t volumes = 0;
	std::string text;

	at.start("1 error_if_no_space");
	auto volume = at.use(at.create());
	write_blocks(*volume, 64, random);
	volume->flush();
	/* Each snapshot and write behind it takes nodes that stay. */
	for (; volumes < 1000; volumes++) {
		if (try_shell(fmt::format("dmsetup message corbel-test 0 snapshot {}", volume->id),
			      &text))
			break;
		const int error = try_write(*volume, volumes % 64 * block_bytes);
		if (error) {
			CHECK_EQ(error, ENOSPC, "of a write without room for metadata");
			break;
		}
		volume->write(volumes % 64 * block_bytes, block_bytes, random);
	}
	CHECK(volumes < 1000, "metadata never ran full");
	comment("full after {} snapshots: {}", volumes, at.pool->status());
	volume->read_all();
	volume->flush();
	for (uint64_t id = 2; id < volumes + 2; id++)
		try_shell(fmt::format("dmsetup message corbel-test 0 delete {}", id));
	wait_until("there is room again", [&] { return try_write(*volume, 0) == 0; });
	volume->write(0, block_bytes, random);
	volume->read_all();
	volume.reset();
	at.stop();
}

/* What cannot be written is not there; what can be read is. */
void data_device_fails()
{
	ensure_block();
	scene at;
	std::mt19937_64 random(4);

	at.start("1 error_if_no_space");
	auto volume = at.use(at.create());
	write_blocks(*volume, 64, random);
	volume->flush();
	at.pool->message(fmt::format("snapshot {}", volume->id));
	at.fail(at.data);
	CHECK_EQ(try_write(*volume, 0), EIO, "of a write to a shared block");
	CHECK_EQ(try_write(*volume, 100 * block_bytes), EIO, "of a write to a new block");
	CHECK_EQ(try_read(*volume, 0), EIO, "of a read");
	CHECK_EQ(try_read(*volume, 100 * block_bytes), 0, "of a read of nothing");
	at.mend(at.data, 1);
	volume->read_all();
	volume->write(0, block_bytes, random);
	volume->write(100 * block_bytes + 4096, 8192, random);
	volume->flush();
	volume->read_all();
	const auto expected = volume->expected;
	const auto id = volume->id;
	volume.reset();
	at.stop();
	at.start("");
	at.use(id, expected)->read_all();
	at.stop();
}

/* It says that it has failed, tells nobody that anything is safe, and comes back as it was. */
void metadata_device_fails()
{
	ensure_block();
	scene at;
	std::mt19937_64 random(5);

	at.start("1 error_if_no_space");
	auto volume = at.use(at.create());
	write_blocks(*volume, 64, random);
	volume->flush();
	const auto safe = volume->expected;
	const auto id = volume->id;
	at.fail(at.meta);
	(void)try_write(*volume, 100 * block_bytes);
	CHECK(fsync(volume->fd.get()) != 0, "a flush that could not be done was said to be");
	wait_until("the pool says so",
		   [&] { return at.pool->status().find(" failed ") != std::string::npos; });
	CHECK(try_write(*volume, 101 * block_bytes) != 0, "a failed pool takes writes");
	CHECK(fsync(volume->fd.get()) != 0, "a failed pool says that something is safe");
	CHECK(at.pool->refuses("create 10"), "a failed pool makes volumes");
	volume->read(0, block_bytes);
	volume.reset();
	at.pool.reset();
	at.mend(at.meta, 0);
	check_pool(at.devices.meta);
	at.start("");
	auto again = at.use(id, safe);
	for (uint64_t block = 0; block < 64; block++)
		again->read(block * block_bytes, block_bytes);
	again->write(0, block_bytes, random);
	again->flush();
	again.reset();
	at.stop();
}

void wrong_tables()
{
	ensure_block();
	scene at;
	const auto refused = [&](const std::string &table, const char *what) {
		std::string text;
		CHECK(try_shell(fmt::format("dmsetup create corbel-wrong --table '0 {} {}'", 65536,
					    table),
				&text) != 0,
		      "{}", what);
		try_shell("dmsetup remove corbel-wrong");
	};

	refused("corbel-pool", "no devices");
	refused(fmt::format("corbel-pool {} 2 {}", at.meta.path(), at.data.path()), "one too few");
	refused(fmt::format("corbel-pool {} 1 /dev/nothing", at.meta.path()), "no such device");
	refused(fmt::format("corbel-pool {} 1 {} 1 unknown", at.meta.path(), at.data.path()),
		"an option that there is not");
	refused(fmt::format("corbel-pool {} 1 {} 1 low_water", at.meta.path(), at.data.path()),
		"an option without its value");
	refused(fmt::format("corbel-pool {} 1 {}", at.data.path(), at.meta.path()),
		"metadata that is none");
	refused(fmt::format("corbel-pool {} 1 {}", at.meta.path(), at.disks.path(2)),
		"a device without a label");
	refused("corbel-volume /dev/nothing 1", "no pool");
	refused(fmt::format("corbel-volume {} 1", at.data.path()), "a device that is no pool");
	at.start("");
	const uint64_t id = at.create();
	refused(fmt::format("corbel-volume {} {}", at.pool->path(), id), "longer than the volume");
	refused(fmt::format("corbel-volume {} {}", at.pool->path(), id + 1), "no such volume");
	refused(fmt::format("corbel-volume {} x", at.pool->path()), "not a number");
	refused(fmt::format("corbel-pool {} 1 {}", at.meta.path(), at.data.path()),
		"metadata that is in use");
	for (const char *message : {"nothing",
				    "create",
				    "create 0",
				    "create -1",
				    "create 99999999999999999999",
				    "create 1 2",
				    "snapshot",
				    "snapshot 77",
				    "delete 77",
				    "rollback 1",
				    "rollback 1 77",
				    "resize 1 0",
				    "limit 9 1",
				    "limit 0 99999999",
				    "resize_device 0 99999999",
				    "move 0 5 4 any",
				    "move 9 0 1 any",
				    "move 0 0 1 9",
				    "diff 1 77",
				    "mover 1"})
		CHECK(at.pool->refuses(message), "taken: {}", message);
	/* A device of the pool that is left out. */
	at.devices.data.push_back(at.disks.path(2));
	format_data(at.devices.meta, at.devices.data[1], "slow");
	at.pool->reload(pool_sectors(at.devices), pool_table(at.devices));
	at.stop();
	refused(fmt::format("corbel-pool {} 1 {}", at.meta.path(), at.data.path()),
		"a device of the pool is not there");
	at.start("");
	auto volume = at.use(id);
	CHECK_EQ(unload_module("dm_corbel"), -EAGAIN, "unloaded while it is in use");
	CHECK(at.pool->refuses(fmt::format("delete {}", id)), "deleted while it is in use");
	CHECK(at.pool->refuses(fmt::format("resize {} 1", id)), "made smaller than what is in use");
	volume.reset();
	at.stop();
	CHECK_EQ(unload_module("dm_corbel"), 0, "not unloaded when nothing uses it");
	ensure_block();
}

constexpr test_case cases[] = {
	{"data is full: told", data_full},
	{"data is full: waited for", data_full_and_waiting},
	{"metadata is full", metadata_full},
	{"the data device fails", data_device_fails},
	{"the metadata device fails", metadata_device_fails},
	{"wrong tables and messages", wrong_tables},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
