// SPDX-License-Identifier: GPL-2.0-or-later
#include "gatherer.hh"

#include <algorithm>

namespace corbel::metrics {

namespace {

using std::chrono::milliseconds;

milliseconds since(LookPool::Clock::time_point then, LookPool::Clock::time_point now)
{
	return std::chrono::duration_cast<milliseconds>(now - then);
}

/* Whose monitor should answer us. */
bool has_monitor(const qemu::GuestFacts &guest)
{
	if (guest.manager == qemu::Manager::libvirt)
		return false;
	return guest.manager == qemu::Manager::corbel || guest.monitor.seen ||
	       std::ranges::any_of(guest.arguments.facts.sockets, [](const auto &socket) {
		       return socket.use == "qmp" && socket.path.starts_with('/');
	       });
}

} /* namespace */

Gatherer::Gatherer(Guests guests, std::shared_ptr<VmLooker> looker, GathererOptions options)
	: guests_(std::move(guests)),
	  looker_(std::move(looker)),
	  options_(options),
	  pool_(options.threads, options.patience),
	  thread_([this] { run(); })
{}

Gatherer::~Gatherer()
{
	{
		const std::lock_guard guard(lock_);

		ending_ = true;
	}
	ended_.notify_all();
	thread_.join();
}

void Gatherer::run()
{
	std::unique_lock guard(lock_);

	while (!ending_) {
		guard.unlock();
		take_over(guests_());
		begin_looks();
		pool_.tend();
		guard.lock();
		ended_.wait_for(guard, options_.tick, [&] { return ending_; });
	}
}

/* Who is gone is forgotten, and so is what a look at it will yet come to. */
void Gatherer::take_over(qemu::Snapshot snapshot)
{
	const auto now = Clock::now();
	const std::lock_guard guard(table_->lock);
	std::map<Key, Entry> entries;

	for (auto &guest : snapshot.guests) {
		const Key key(guest->pid, guest->started);
		auto known = table_->entries.extract(key);
		auto &entry = entries[key];

		if (known)
			entry = std::move(known.mapped());
		else
			entry.found = now;
		entry.facts = std::move(guest);
	}
	table_->entries = std::move(entries);
	table_->searched = snapshot.searched;
}

void Gatherer::begin_looks()
{
	const auto now = Clock::now();
	const std::lock_guard guard(table_->lock);

	for (auto &[key, entry] : table_->entries) {
		if (entry.under_way || now - entry.begun < options_.period)
			continue;
		entry.under_way = true;
		entry.begun = now;
		pool_.submit([table = table_, looker = looker_, key = key] {
			look(*table, *looker, key);
		});
	}
}

void Gatherer::look(Table &table, VmLooker &looker, const Key &key)
{
	std::shared_ptr<const VmNumbers> numbers;

	try {
		numbers = std::make_shared<const VmNumbers>(looker.look(key.first));
	} catch (const std::exception &) {
		numbers.reset(); /* What was seen before stays. */
	}
	const std::lock_guard guard(table.lock);
	const auto found = table.entries.find(key);
	if (found == table.entries.end())
		return;
	found->second.under_way = false;
	if (!numbers) {
		table.failures["process"]++;
		return;
	}
	for (const auto &source : numbers->failed)
		table.failures[source]++;
	found->second.numbers = std::move(numbers);
	found->second.seen = Clock::now();
}

View Gatherer::view() const
{
	View view{.vms = {},
		  .stale_after = options_.stale_after,
		  .search_age = {},
		  .stuck = pool_.stuck(),
		  .failures = {}};
	const auto at = Clock::now();
	const auto today = qemu::now();
	const std::lock_guard guard(table_->lock);

	view.vms.reserve(table_->entries.size());
	for (const auto &[key, entry] : table_->entries) {
		VmView vm{entry.facts,
			  entry.numbers,
			  since(entry.numbers ? entry.seen : entry.found, at),
			  {}};

		if (has_monitor(*entry.facts))
			vm.monitor_age = entry.facts->monitor.seen
						 ? std::max(today - *entry.facts->monitor.seen,
							    milliseconds(0))
						 : since(entry.found, at);
		view.vms.push_back(std::move(vm));
	}
	if (table_->searched)
		view.search_age = std::max(today - *table_->searched, milliseconds(0));
	view.failures = table_->failures;
	return view;
}

} /* namespace corbel::metrics */
