// SPDX-License-Identifier: GPL-2.0-or-later
#include "inventory.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

using namespace std::chrono_literals;

/* A table of sockets is read anew after so long: with a thousand guests it is long. */
constexpr auto table_age = 500ms;
/* What was taken may have been so by us: that is seen in a table that is younger. */
constexpr auto recent = 50ms;

} /* namespace */

Inventory::Inventory(GuestSource &source, InventoryOptions options)
	: source_(source), options_(options)
{
	quick_.limit = options_.quick_limit;
	patient_.limit = options_.patient_limit;
	threads_.emplace_back([this] { search(); });
	for (unsigned i = 0; i < options_.workers; i++)
		threads_.emplace_back([this] { work(quick_); });
	for (unsigned i = 0; i < options_.patient_workers; i++)
		threads_.emplace_back([this] { work(patient_); });
}

Inventory::~Inventory()
{
	{
		const std::lock_guard guard(lock_);

		ending_ = true;
	}
	woken_.notify_all();
	quick_.filled.notify_all();
	patient_.filled.notify_all();
	for (auto &thread : threads_)
		thread.join();
}

Snapshot Inventory::snapshot() const
{
	Snapshot snapshot;
	const std::lock_guard guard(lock_);

	snapshot.guests.reserve(entries_.size());
	for (const auto &[key, entry] : entries_)
		snapshot.guests.push_back(entry.facts);
	snapshot.taken = now();
	snapshot.stale_after = options_.stale_after;
	snapshot.searched = searched_;
	snapshot.error = error_;
	return snapshot;
}

void Inventory::refresh()
{
	{
		const std::lock_guard guard(lock_);

		wanted_ = true;
	}
	woken_.notify_all();
}

void Inventory::search()
{
	std::unique_lock guard(lock_);

	while (!ending_) {
		wanted_ = false;
		guard.unlock();
		auto found = source_.find();
		guard.lock();
		if (found) {
			take_over(std::move(*found));
			searched_ = now();
			error_.clear();
		} else {
			error_ = found.error().sentence;
		}
		woken_.wait_for(guard, options_.period, [&] { return ending_ || wanted_; });
	}
}

/* Who is gone is forgotten; who is still being asked is not asked twice. */
void Inventory::take_over(std::vector<FoundGuest> found)
{
	std::map<Key, Entry> entries;

	for (auto &guest : found) {
		const Key key(guest.pid, guest.started);
		auto known = entries_.extract(key);
		auto &entry = entries[key];

		if (known)
			entry = std::move(known.mapped());
		else
			entry.facts =
				std::make_shared<GuestFacts>(GuestFacts{.pid = guest.pid,
									.started = guest.started,
									.process = guest.process,
									.name = guest.name,
									.vcpus = guest.vcpus,
									.manager = guest.manager,
									.arguments = {},
									.monitor = {}});
		entry.found = std::move(guest);
		if (std::exchange(entry.waits, true))
			continue;
		auto &queue = entry.slow ? patient_ : quick_;
		queue.keys.push_back(key);
		queue.filled.notify_one();
	}
	entries_ = std::move(entries);
}

void Inventory::work(Queue &queue)
{
	std::unique_lock guard(lock_);

	for (;;) {
		queue.filled.wait(guard, [&] { return ending_ || !queue.keys.empty(); });
		if (ending_)
			return;
		const auto key = queue.keys.front();
		queue.keys.pop_front();
		auto entry = entries_.find(key);
		if (entry == entries_.end())
			continue;
		const auto found = entry->second.found;
		const auto before = entry->second.facts;
		bool slow = entry->second.slow;

		guard.unlock();
		auto facts =
			std::make_shared<const GuestFacts>(look(found, *before, queue.limit, slow));
		guard.lock();
		entry = entries_.find(key);
		if (entry == entries_.end())
			continue;
		entry->second.facts = std::move(facts);
		entry->second.slow = slow;
		entry->second.waits = false;
	}
}

GuestFacts Inventory::look(const FoundGuest &found, GuestFacts facts,
			   std::chrono::milliseconds limit, bool &slow)
{
	auto arguments = facts_of_arguments(found.command_line);

	facts.name = found.name;
	facts.vcpus = found.vcpus;
	facts.manager = found.manager;
	if (arguments) {
		facts.arguments = {std::move(*arguments), now(), {}};
		if (facts.manager == Manager::nobody && facts.arguments.facts.looks_like_libvirt)
			facts.manager = Manager::libvirt;
	} else {
		facts.arguments.error = arguments.error().sentence;
	}

	auto monitor = facts.manager == Manager::libvirt
			       ? failure(EACCES, "Its monitor is libvirt's: it is not asked.")
			       : ask(found, facts.arguments.facts, limit);
	slow = !monitor && monitor.error().number == ETIMEDOUT;
	if (monitor)
		facts.monitor = {std::move(*monitor), now(), {}};
	else
		facts.monitor.error = monitor.error().sentence;
	return facts;
}

Result<MonitorFacts> Inventory::ask(const FoundGuest &found, const ArgumentFacts &arguments,
				    std::chrono::milliseconds limit)
{
	std::vector<std::string> paths;
	auto sentence = std::string("It has no QMP socket in the file system: only its command "
				    "line is known.");

	if (!found.own_monitor.empty())
		paths.push_back(found.own_monitor);
	else
		for (const auto &socket : arguments.sockets)
			if (socket.use == "qmp" && socket.path.starts_with('/'))
				paths.push_back(socket.path);
	if (paths.empty())
		return failure(ENOENT, std::move(sentence));
	if (!found.same_files)
		return failure(EXDEV, "It sees other files than we do: its monitor is not asked.");

	auto table = CORBEL_EXPECT(table_of(found, table_age));
	if (std::ranges::any_of(paths, [&](const auto &path) {
		    return table->use_of(path) == SocketUse::taken;
	    })) {
		std::this_thread::sleep_for(recent);
		table = CORBEL_EXPECT(table_of(found, recent));
	}
	for (const auto &path : paths)
		switch (table->use_of(path)) {
		case SocketUse::free:
			return facts_of_monitor(path, limit, found.peer);
		case SocketUse::taken:
			sentence = fmt::format("Somebody else is connected to {}, or QEMU takes no "
					       "connection any more: it is not asked.",
					       path);
			break;
		case SocketUse::absent:
			sentence = fmt::format("Nobody listens at {}.", path);
			break;
		}
	return failure(EBUSY, std::move(sentence));
}

Result<std::shared_ptr<const SocketTable>> Inventory::table_of(const FoundGuest &found,
							       std::chrono::milliseconds age)
{
	const std::lock_guard guard(table_lock_);
	auto &kept = tables_[found.network];
	const auto at = std::chrono::steady_clock::now();

	if (!kept.table || at - kept.read > age) {
		kept.table = std::make_shared<const SocketTable>(
			CORBEL_EXPECT(SocketTable::read(found.socket_table)));
		kept.read = at;
		/* Networks come and go with their guests. */
		std::erase_if(tables_, [&](const auto &pair) {
			return at - pair.second.read > 100 * table_age;
		});
	}
	return tables_[found.network].table;
}

Json json_of(const Snapshot &snapshot)
{
	Json json{{"taken_ms", snapshot.taken.time_since_epoch().count()},
		  {"searched_ms", nullptr},
		  {"error", snapshot.error},
		  {"guests", Json::array()}};

	if (snapshot.searched)
		json["searched_ms"] = snapshot.searched->time_since_epoch().count();
	for (const auto &guest : snapshot.guests)
		json["guests"].push_back(json_of(*guest, snapshot.taken, snapshot.stale_after));
	return json;
}

} /* namespace corbel::qemu */
