/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gatherer.hh - what was last seen of every VM, kept up in the background.
 *
 * One look at a VM at a time: one that does not come back is waited for, and what was seen
 * before stays, with its age.
 */
#pragma once

#include "look_pool.hh"
#include "vm_numbers.hh"

#include "../qemu/inventory.hh"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace corbel::metrics {

struct GathererOptions {
	std::chrono::milliseconds tick{500}; /* after which guests that came are seen */
	std::chrono::milliseconds period{5000}; /* after which each is looked at again */
	std::chrono::milliseconds patience{1000}; /* with a look, before it counts as stuck */
	std::chrono::milliseconds stale_after{15000};
	unsigned threads = 4;
};

/* Ages are as of the moment of asking. */
struct VmView {
	std::shared_ptr<const qemu::GuestFacts> facts;
	std::shared_ptr<const VmNumbers> numbers; /* null: it has never been looked at */
	std::chrono::milliseconds age{}; /* of the numbers, or since it was found */
	std::optional<std::chrono::milliseconds> monitor_age; /* none: it is not asked */
};

struct View {
	std::vector<VmView> vms;
	std::chrono::milliseconds stale_after{};
	std::optional<std::chrono::milliseconds> search_age;
	std::size_t stuck = 0;
	Values failures; /* looks that failed, by source */
};

class Gatherer {
public:
	using Clock = std::chrono::steady_clock;
	/* Which VMs there are; answers at once. */
	using Guests = std::function<qemu::Snapshot()>;

	/* @guests must outlive it; @looker is kept for as long as a look is under way. */
	Gatherer(Guests guests, std::shared_ptr<VmLooker> looker, GathererOptions options = {});
	/* Waits for no look. */
	~Gatherer();
	Gatherer(const Gatherer &) = delete;

	/* From any thread; waits for no VM. */
	[[nodiscard]] View view() const;

private:
	using Key = std::pair<pid_t, std::uint64_t>;
	struct Entry {
		std::shared_ptr<const qemu::GuestFacts> facts;
		std::shared_ptr<const VmNumbers> numbers;
		Clock::time_point found;
		Clock::time_point begun{}; /* the last look */
		Clock::time_point seen{};
		bool under_way = false;
	};
	/* Of looks, too, which may come back when the gatherer is gone. */
	struct Table {
		std::mutex lock;
		std::map<Key, Entry> entries;
		std::optional<qemu::Time> searched;
		Values failures;
	};

	void run();
	void take_over(qemu::Snapshot snapshot);
	void begin_looks();
	static void look(Table &table, VmLooker &looker, const Key &key);

	Guests guests_;
	std::shared_ptr<VmLooker> looker_;
	const GathererOptions options_;
	std::shared_ptr<Table> table_ = std::make_shared<Table>();
	LookPool pool_;

	std::mutex lock_;
	std::condition_variable ended_;
	bool ending_ = false;
	std::thread thread_;
};

} /* namespace corbel::metrics */
