// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that fail under load, by dm-flakey and the error target, for a while or for good; and
 * a power failure, behind which nothing is written any more though it is said to be: what was
 * acknowledged by a flush is there when the devices are well again, and nothing is that never
 * was.
 */
#include "block_pool.hh"
#include "file.hh"
#include "tap.hh"
#include "wait.hh"

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <mutex>
#include <random>
#include <sys/ioctl.h>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 8 << 20, meta_bytes = 8 << 20, data_bytes = 32 << 20;
constexpr uint64_t unit_bytes = 4096, units = volume_bytes / unit_bytes;
constexpr unsigned workers = 2;

/* Versions of 4 KiB, which are written at once or not at all. */
struct unit {
	uint32_t known = 0; /* written last without an error */
	uint32_t last = 0; /* tried last */
	uint32_t discarded = 0; /* the last version that is zeros */
	std::atomic<uint32_t> safe = 0; /* acknowledged by a flush */
};

class checked_load {
public:
	explicit checked_load(uint64_t id) : id(id) {}
	~checked_load() { stop(); }

	void use(const dm_device &pool)
	{
		device = std::make_unique<dm_device>(
			"corbel-test-volume", volume_bytes / 512,
			fmt::format("corbel-volume {} {}", pool.path(), id));
		fd = unique_fd(open(device->path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
		CHECK(fd, "{}: {}", device->path(), std::strerror(errno));
	}
	void start()
	{
		lies = ends = false;
		for (unsigned i = 0; i < workers; i++)
			threads.emplace_back([this, i] {
				try {
					work(i);
				} catch (const std::exception &error) {
					const std::lock_guard guard(telling);
					wrong = error.what();
				}
			});
	}
	/* What was seen to be wrong is thrown. */
	void finish()
	{
		stop();
		CHECK(wrong.empty(), "{}", wrong);
	}
	void let_go()
	{
		fd.reset();
		device.reset();
	}
	/* All that was acknowledged is there; goes on from what is there. */
	void judge()
	{
		buffer data;

		for (uint64_t i = 0; i < units; i++) {
			unit &at = all[i];
			CHECK_EQ(pread(fd.get(), data.get(), unit_bytes, i * unit_bytes),
				 unit_bytes, "unit {}: {}", i, std::strerror(errno));
			const uint32_t version = version_of(data.get(), i);
			CHECK(version >= at.safe && version <= at.last,
			      "unit {} has version {}: {} was acknowledged, {} written last", i,
			      version, at.safe.load(), at.last);
			at.known = version;
		}
	}
	/* Of this kind there are that many more. */
	void await(const char *what, const std::atomic<uint64_t> &count, uint64_t more)
	{
		const uint64_t before = count;

		wait_until(what, [&] {
			const std::lock_guard guard(telling);
			return !wrong.empty() || count >= before + more;
		});
		const std::lock_guard guard(telling);
		CHECK(wrong.empty(), "{}", wrong);
	}

	/* What is read, or said to be safe, from now on is not to be believed. */
	std::atomic<bool> lies = false;
	std::atomic<uint64_t> writes = 0, flushes = 0, errors = 0, flush_errors = 0;
	uint64_t id;

private:
	struct deleter {
		void operator()(char *data) const { std::free(data); }
	};
	struct buffer : std::unique_ptr<char[], deleter> {
		buffer()
			: std::unique_ptr<char[], deleter>(
				  static_cast<char *>(std::aligned_alloc(4096, block_bytes)))
		{}
	};

	static uint64_t word_of(uint64_t number, uint32_t version)
	{
		return number << 32 | version;
	}
	uint32_t version_of(const char *data, uint64_t number) const
	{
		uint64_t first;

		std::memcpy(&first, data, sizeof(first));
		const auto version = static_cast<uint32_t>(first);
		CHECK(!first || first == word_of(number, version),
		      "unit {} has {:#x}, which is no version of it", number, first);
		CHECK(std::memcmp(data, data + 8, unit_bytes - 8) == 0, "unit {} is torn", number);
		return first ? version : all[number].discarded;
	}

	void note(ssize_t done)
	{
		if (done >= 0)
			return;
		CHECK_EQ(errno, EIO, "of what the device failed");
		errors++;
	}
	void write(uint64_t first, uint64_t count, buffer &data)
	{
		for (uint64_t i = 0; i < count; i++) {
			const uint64_t word = word_of(first + i, ++all[first + i].last);
			for (uint64_t at = 0; at < unit_bytes; at += sizeof(word))
				std::memcpy(&data[i * unit_bytes + at], &word, sizeof(word));
		}
		const auto done =
			pwrite(fd.get(), data.get(), count * unit_bytes, first * unit_bytes);
		note(done);
		for (uint64_t i = 0; done > 0 && i < static_cast<uint64_t>(done) / unit_bytes; i++)
			all[first + i].known = all[first + i].last;
		writes += done > 0;
	}
	void read(uint64_t first, uint64_t count, buffer &data)
	{
		const auto done =
			pread(fd.get(), data.get(), count * unit_bytes, first * unit_bytes);

		note(done);
		for (uint64_t i = 0;
		     done > 0 && !lies && i < static_cast<uint64_t>(done) / unit_bytes; i++) {
			const unit &at = all[first + i];
			const uint32_t version = version_of(&data[i * unit_bytes], first + i);
			CHECK(version >= at.known && version <= at.last,
			      "unit {} has version {}: {} was written last, {} tried", first + i,
			      version, at.known, at.last);
		}
	}
	/* A block, so that metadata changes, too. */
	void discard(uint64_t first)
	{
		uint64_t range[]{first * unit_bytes, block_bytes};
		const uint64_t end = first + block_bytes / unit_bytes;

		for (uint64_t i = first; i < end; i++)
			all[i].discarded = ++all[i].last;
		const int done = ioctl(fd.get(), BLKDISCARD, range);
		note(done);
		for (uint64_t i = first; done == 0 && i < end; i++)
			all[i].known = all[i].last;
	}
	void flush(uint64_t from, uint64_t end)
	{
		std::vector<uint32_t> known;

		for (uint64_t i = from; i < end; i++)
			known.push_back(all[i].known);
		if (fsync(fd.get()) != 0) {
			CHECK_EQ(errno, EIO, "of a flush");
			flush_errors++;
			return;
		}
		for (uint64_t i = from; i < end && !lies; i++)
			all[i].safe = known[i - from];
		flushes++;
	}
	/* Has the units of its part for itself. */
	void work(unsigned worker)
	{
		constexpr uint64_t part = units / workers;
		std::mt19937_64 random(worker);
		buffer data;

		while (!ends) {
			const uint64_t first = worker * part + random() % part;
			const uint64_t count =
				std::min(1 + random() % 16, (worker + 1) * part - first);

			switch (random() % 10) {
			default:
				write(first, count, data);
				break;
			case 0 ... 2:
				read(first, count, data);
				break;
			case 3:
				discard(first / 16 * 16);
				break;
			case 4:
				flush(worker * part, (worker + 1) * part);
				break;
			}
		}
	}
	void stop()
	{
		ends = true;
		for (std::thread &thread : threads)
			thread.join();
		threads.clear();
	}

	std::unique_ptr<unit[]> all{new unit[units]};
	std::unique_ptr<dm_device> device;
	unique_fd fd;
	std::vector<std::thread> threads;
	std::atomic<bool> ends = false;
	std::mutex telling;
	std::string wrong;
};

/*
 * Metadata and data are parts of one device, so that the power fails for both at once; each
 * can be made to fail by itself, too.
 */
struct scene {
	scene()
		: disks(1, meta_bytes + data_bytes),
		  base("corbel-base", (meta_bytes + data_bytes) / 512, well(disks.path(0))),
		  meta("corbel-meta", meta_bytes / 512, well(base.path())),
		  data("corbel-data", data_bytes / 512, well(base.path(), meta_bytes)),
		  devices{meta.path(), {data.path()}, block_bytes}
	{
		format_pool(devices);
		start();
		load = std::make_unique<checked_load>(std::stoull(
			pool->message(fmt::format("create {}", volume_bytes / block_bytes))));
		load->use(*pool);
	}
	static std::string well(const std::string &device, uint64_t at = 0)
	{
		return fmt::format("linear {} {}", device, at / 512);
	}
	/* From now on, and not only for some seconds. */
	static std::string flaky(const std::string &device, uint64_t at, const char *how)
	{
		return fmt::format("flakey {} {} 0 100000 {}", device, at / 512, how);
	}
	void start()
	{
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices, "1 error_if_no_space"));
	}
	void stop()
	{
		load->let_go();
		pool.reset();
	}
	static void reload(const dm_device &device, const std::string &table)
	{
		device.reload(device_sectors(device.path()), table);
	}
	/* So that blocks are shared, and copied. Nobody says that it can be done now. */
	void take_snapshot()
	{
		std::string text;

		if (snapshot)
			try_shell(fmt::format("dmsetup message corbel-test 0 delete {}", snapshot));
		snapshot = try_shell(fmt::format("dmsetup message corbel-test 0 snapshot {}",
						 load->id),
				     &text) == 0
				   ? std::stoull(text)
				   : 0;
	}
	bool has_failed() const { return pool->status().find(" failed ") != std::string::npos; }
	/* All is well again. */
	void judge_anew()
	{
		stop();
		check_pool(devices.meta);
		start();
		load->use(*pool);
		load->judge();
	}

	ram_disks disks;
	dm_device base, meta, data;
	pool_devices devices;
	std::unique_ptr<dm_device> pool;
	std::unique_ptr<checked_load> load;
	uint64_t snapshot = 0;
};

void prepare()
{
	ensure_block();
	if (try_shell("modprobe dm-flakey"))
		skip("this kernel has no dm-flakey");
}

/* The pool goes on, over and over: it is the data alone that is not taken. */
void data_under_load(const std::string &failing)
{
	scene at;

	at.load->start();
	for (unsigned round = 0; round < amount(2, 8); round++) {
		at.take_snapshot();
		at.load->await("writes are done", at.load->writes, 100);
		at.reload(at.data, failing);
		at.load->await("writes fail", at.load->errors, 20);
		at.take_snapshot();
		at.load->await("more of them fail", at.load->errors, 20);
		at.reload(at.data, at.well(at.base.path(), meta_bytes));
		CHECK(!at.has_failed(), "{}", at.pool->status());
		at.load->await("flushes are done again", at.load->flushes, 10);
	}
	at.load->finish();
	comment("{} writes and {} flushes done, {} and {} failed", at.load->writes.load(),
		at.load->flushes.load(), at.load->errors.load(), at.load->flush_errors.load());
	at.load->judge();
	at.judge_anew();
	at.stop();
}

void data_fails()
{
	prepare();
	data_under_load("error");
}

void data_takes_no_writes()
{
	prepare();
	data_under_load(scene::flaky("/dev/mapper/corbel-base", meta_bytes, "1 error_writes"));
}

/* The pool says that it has failed, and is as it was acknowledged when it is started again. */
void metadata_under_load(const std::string &failing)
{
	scene at;

	for (unsigned round = 0; round < amount(2, 6); round++) {
		at.load->start();
		at.take_snapshot();
		at.load->await("writes are done", at.load->writes, 100);
		at.reload(at.meta, failing);
		at.load->await("flushes fail", at.load->flush_errors, 1);
		wait_until("the pool says so", [&] { return at.has_failed(); });
		const uint64_t flushes = at.load->flushes;
		at.load->await("writes fail", at.load->errors, 20);
		at.reload(at.meta, at.well(at.base.path()));
		/* It does not pretend to be well. */
		at.load->await("writes still fail", at.load->errors, 20);
		CHECK_EQ(at.load->flushes.load(), flushes, "a failed pool acknowledges flushes");
		CHECK(at.has_failed(), "{}", at.pool->status());
		at.load->finish();
		at.judge_anew();
	}
	comment("{} writes and {} flushes done, {} and {} failed", at.load->writes.load(),
		at.load->flushes.load(), at.load->errors.load(), at.load->flush_errors.load());
	at.stop();
}

void metadata_fails()
{
	prepare();
	metadata_under_load("error");
}

void metadata_takes_no_writes()
{
	prepare();
	metadata_under_load(scene::flaky("/dev/mapper/corbel-base", 0, "1 error_writes"));
}

/* Everything is said to be written and nothing is, as when only a cache has it that is lost. */
void power_fails()
{
	prepare();
	scene at;

	for (unsigned round = 0; round < amount(3, 10); round++) {
		at.load->start();
		at.take_snapshot();
		at.load->await("flushes are done", at.load->flushes, 20);
		at.load->lies = true;
		at.reload(at.base, at.flaky(at.disks.path(0), 0, "1 drop_writes"));
		/* It fails if it reads metadata again that it has written, and needs not. */
		wait_until("some were lost", [&, before = at.load->writes.load()] {
			return at.load->writes >= before + 100 || at.has_failed();
		});
		at.load->finish();
		at.stop();
		at.reload(at.base, at.well(at.disks.path(0)));
		check_pool(at.devices.meta);
		at.start();
		at.load->use(*at.pool);
		at.load->judge();
	}
	comment("{} writes and {} flushes done", at.load->writes.load(), at.load->flushes.load());
	at.judge_anew();
	at.stop();
}

constexpr test_case cases[] = {
	{"the data device fails under load, and comes back", data_fails},
	{"the data device takes no writes for a while", data_takes_no_writes},
	{"the metadata device fails under load", metadata_fails},
	{"the metadata device takes no writes", metadata_takes_no_writes},
	{"the power fails", power_fails},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
