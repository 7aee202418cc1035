// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What reads and writes take while all blocks of a volume move: without a target that is as long
 * as a batch for those that meet one; with one, p99 is kept, and the mover goes on all the same.
 */
#include "checked_volume.hh"
#include "mover.hh"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint32_t block_bytes = 64 << 10;
constexpr uint64_t volume_bytes = 4 << 20, blocks = volume_bytes / block_bytes;
constexpr unsigned clients = 8, rounds = 2;

mover_receipt move_all(const dm_device &pool, unsigned from, uint64_t last,
		       const std::string &target)
{
	pool.message(fmt::format("move {} 0 {} {}{}", from, last, 1 - from, target));
	const mover_receipt told = finished(pool);
	CHECK_EQ(told.state, "done", "{}", pool.message("mover"));
	CHECK_EQ(told.middle, told.moved, "middle entries");
	return told;
}

/* Clients that read and write 512 bytes anywhere, each its own, and what that takes. */
class load {
public:
	explicit load(checked_volume &volume) : volume_(volume)
	{
		for (unsigned i = 0; i < clients; i++)
			threads_.emplace_back([this, i] { run(i); });
	}
	~load()
	{
		stop_ = true;
		for (std::thread &thread : threads_)
			thread.join();
	}
	load(const load &) = delete;

	/* us that 99 of 100 took no longer than, of at least @least I/Os while @what is done. */
	template <typename What>
	uint64_t p99(std::size_t least, What &&what)
	{
		{
			const std::lock_guard guard(lock_);
			took_.clear();
		}
		for (;;) {
			what();
			const std::lock_guard guard(lock_);
			CHECK(error_.empty(), "{}", error_);
			if (took_.size() < least)
				continue;
			std::ranges::sort(took_);
			return took_[took_.size() - 1 - took_.size() / 100];
		}
	}

private:
	void run(unsigned number)
	{
		using clock = std::chrono::steady_clock;
		constexpr uint64_t part = 4096 / clients;
		std::mt19937_64 random(number);
		auto *buffer = static_cast<char *>(std::aligned_alloc(4096, 4096));

		while (!stop_) {
			/* 512 bytes of each 4 KiB are this client's. */
			const uint64_t at = random() % (volume_bytes / 4096) * 4096 + number * part;
			const bool is_write = random() % 2;
			const auto begun = clock::now();

			for (uint64_t i = 0; is_write && i < part; i += 8) {
				const uint64_t word = random();
				std::memcpy(buffer + i, &word, 8);
			}
			const auto done = is_write ? pwrite(volume_.fd.get(), buffer, part,
							    static_cast<off_t>(at))
						   : pread(volume_.fd.get(), buffer, part,
							   static_cast<off_t>(at));
			const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
				clock::now() - begun);
			const std::lock_guard guard(lock_);
			if (done != static_cast<ssize_t>(part))
				error_ = fmt::format("{} bytes at {}: {}", part, at,
						     std::strerror(errno));
			else if (is_write)
				std::memcpy(&volume_.expected[at], buffer, part);
			else if (std::memcmp(&volume_.expected[at], buffer, part) != 0)
				error_ = fmt::format("what was read at {} is wrong", at);
			took_.push_back(static_cast<uint64_t>(took.count()));
		}
		std::free(buffer);
	}

	checked_volume &volume_;
	std::atomic<bool> stop_ = false;
	std::mutex lock_;
	std::vector<uint64_t> took_;
	std::string error_;
	std::vector<std::thread> threads_;
};

/* Data devices that take some ms. */
struct scene {
	scene() : disks(3, 64 << 20)
	{
		format_pool({disks.path(0), {disks.path(1), disks.path(2)}, block_bytes});
		for (unsigned i = 1; i < 3; i++)
			slow.push_back(std::make_unique<dm_device>(
				fmt::format("corbel-slow-{}", i), device_sectors(disks.path(i)),
				fmt::format("delay {} 0 2", disks.path(i))));
		devices = {disks.path(0), {slow[0]->path(), slow[1]->path()}, block_bytes};
		pool = std::make_unique<dm_device>("corbel-test", pool_sectors(devices),
						   pool_table(devices));
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

/*
 * Time is of instructions that were run: what I/O takes is not what else the host has to do, which
 * elsewhere lengthens p99 of the same load to its double or half from one second to the next.
 */
bool is_counted()
{
	const char *lane = getenv("CORBEL_LANE");

	return lane && std::string(lane) == "count";
}

/* Of the rounds that were disturbed least. */
double ratio(const std::vector<uint64_t> &a, const std::vector<uint64_t> &b)
{
	return static_cast<double>(std::ranges::min(a)) / static_cast<double>(std::ranges::min(b));
}

void side_by_side()
{
	prepare();
	scene at;
	std::mt19937_64 random(1);
	{
		checked_volume volume(
			*at.pool, std::stoull(at.pool->message(fmt::format("create {}", blocks))),
			std::vector<char>(volume_bytes));
		volume.fill(random);
		{
			load clients_of(volume);
			const auto ios = amount(2000, 10000);
			std::vector<uint64_t> idle, without, with;
			unsigned from = 0;
			mover_receipt told{};
			uint64_t moved = 0, paused = 0;
			const auto wait = [] {
				std::this_thread::sleep_for(std::chrono::milliseconds(10));
			};
			const auto move = [&](const std::string &target) {
				told = move_all(*at.pool, from, 1 << 20, target);
				CHECK_EQ(told.moved, blocks, "of one pass");
				from = 1 - from;
			};

			for (unsigned round = 0; round < rounds; round++) {
				idle.push_back(clients_of.p99(ios, wait));
				without.push_back(clients_of.p99(ios, [&] {
					move("");
					CHECK_EQ(told.paused, 0U, "ms paused without a target");
				}));
				with.push_back(clients_of.p99(ios, [&] {
					move(" 0");
					moved += told.moved;
					paused += told.paused;
				}));
				CHECK(told.target > 0, "it has looked, and has no target");
				comment("p99 idle {} us; all moves, without a target {} us; by "
					"looks {} us, which had a target of {} us and saw {} us",
					idle.back(), without.back(), with.back(), told.target,
					told.seen);
			}
			comment("without a target {:.2f}, by looks {:.2f} times as long as idle "
				"(goal: 1.50); least of {} rounds; {} blocks, {} ms paused",
				ratio(without, idle), ratio(with, idle), rounds, moved, paused);
			CHECK(paused > 0, "it made no pause");
			if (is_counted()) {
				CHECK(ratio(without, idle) > 1.5, "the load meets no batch");
				CHECK(ratio(with, idle) <= 1.5, "p99 is longer than it may be");
			}
		}
		volume.read_all();
	}
	at.pool->remove();
	check_pool(at.devices.meta);
}

/* A target that cannot be met: each I/O is late, and blocks move on. */
void never_starves()
{
	prepare();
	scene at;
	std::mt19937_64 random(2);
	checked_volume volume(*at.pool,
			      std::stoull(at.pool->message(fmt::format("create {}", blocks))),
			      std::vector<char>(volume_bytes));

	volume.fill(random);
	CHECK(at.pool->refuses("move 0 0 1 1 60000001"), "a target of more than a minute");
	CHECK(at.pool->refuses("move 0 0 1 1 x"), "a target that is no number");
	CHECK(at.pool->refuses("move 0 0 1 1 1 1"), "too many words");
	{
		load clients_of(volume);
		const mover_receipt told = move_all(*at.pool, 0, 23, " 1");

		CHECK_EQ(told.target, 1U, "us");
		CHECK(told.moved > 0, "nothing was moved");
		CHECK(told.paused > 0, "it made no pause");
		comment("{} blocks moved with a target of 1 us, {} ms paused", told.moved,
			told.paused);
		/* It can be cancelled while it waits. */
		at.pool->message(fmt::format("move 0 24 {} 1 1", 1 << 20));
		wait_until("it waits", [&] { return mover_of(*at.pool).moved > 0; });
		at.pool->message("cancel");
		wait_until("it ends", [&] { return mover_of(*at.pool).state == "cancelled"; });
	}
	volume.read_all();
}

constexpr test_case cases[] = {
	{"what I/O takes while all blocks move", side_by_side},
	{"a target that cannot be met", never_starves},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
