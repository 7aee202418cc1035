/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inventory.hh - what is known of all guests, kept up in the background.
 *
 * One thread looks which guests there are; a few ask their monitors. A guest that does not
 * answer quickly is from then on asked by threads of their own, patiently, until it
 * answers: those that hang hold up one another and nobody else. Whoever wants to know gets
 * at once what was last seen.
 */
#pragma once

#include "guest_source.hh"
#include "socket_table.hh"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace corbel::qemu {

struct InventoryOptions {
	std::chrono::milliseconds period{5000}; /* after which all is looked at again */
	unsigned workers = 4; /* for guests that answer */
	unsigned patient_workers = 2; /* for those that did not */
	std::chrono::milliseconds quick_limit{200}; /* for all that a guest is asked */
	std::chrono::milliseconds patient_limit{2000};
	std::chrono::milliseconds stale_after{15000};
};

struct Snapshot {
	std::vector<std::shared_ptr<const GuestFacts>> guests; /* by pid */
	Time taken{};
	std::chrono::milliseconds stale_after{};
	std::optional<Time> searched; /* when it was last seen which guests there are */
	std::string error; /* why not since */
};

class Inventory {
public:
	/* @source must outlive it. */
	explicit Inventory(GuestSource &source, InventoryOptions options = {});
	/* Waits for what is being asked. */
	~Inventory();
	Inventory(const Inventory &) = delete;

	/* From any thread; waits for no guest. */
	[[nodiscard]] Snapshot snapshot() const;
	/* Looks at all guests now, and not only when the period has passed. */
	void refresh();

private:
	using Key = std::pair<pid_t, std::uint64_t>;
	struct Entry {
		FoundGuest found;
		std::shared_ptr<const GuestFacts> facts;
		bool waits = false; /* in a queue, or is being looked at */
		bool slow = false;
	};
	struct Queue {
		std::deque<Key> keys;
		std::condition_variable filled;
		std::chrono::milliseconds limit;
	};
	struct Table {
		std::chrono::steady_clock::time_point read;
		std::shared_ptr<const SocketTable> table;
	};

	void search();
	void take_over(std::vector<FoundGuest> found);
	void work(Queue &queue);
	[[nodiscard]] GuestFacts look(const FoundGuest &found, GuestFacts facts,
				      std::chrono::milliseconds limit, bool &slow);
	[[nodiscard]] Result<MonitorFacts> ask(const FoundGuest &found,
					       const ArgumentFacts &arguments,
					       std::chrono::milliseconds limit);
	[[nodiscard]] Result<std::shared_ptr<const SocketTable>>
	table_of(const FoundGuest &found, std::chrono::milliseconds age);

	GuestSource &source_;
	const InventoryOptions options_;

	mutable std::mutex lock_;
	std::condition_variable woken_;
	bool ending_ = false;
	bool wanted_ = false;
	std::map<Key, Entry> entries_;
	std::optional<Time> searched_;
	std::string error_;
	Queue quick_, patient_;

	std::mutex table_lock_;
	std::map<std::string, Table> tables_; /* by network */

	std::vector<std::thread> threads_;
};

/* Fields: Documentation/vms.md. */
[[nodiscard]] Json json_of(const Snapshot &snapshot);

} /* namespace corbel::qemu */
