// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_watch.hh"

#include "../volumes/mapper_events.hh"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;
using volumes::Alarm;
using volumes::MapperEvents;

/* An event is there before what the kernel holds back for requests has been given out. */
constexpr auto at_most = 10s;

void wait_without(const std::stop_token &stop)
{
	std::mutex lock;
	std::condition_variable_any never;
	std::unique_lock guard(lock);

	(void)never.wait_for(guard, stop, at_most, [&] { return stop.stop_requested(); });
}

} /* namespace */

void PoolWatch::run(const std::stop_token &stop)
{
	std::optional<MapperEvents> events;

	while (!stop.stop_requested()) {
		/* Device-mapper may be loaded later. */
		if (!events)
			if (auto opened = MapperEvents::open())
				events = std::move(*opened);
		/* Before it is looked, so that nothing falls in between. */
		if (events && !events->arm())
			events.reset();
		look();
		if (events)
			events->wait(stop, at_most);
		else
			wait_without(stop);
	}
}

void PoolWatch::look()
{
	const auto pools = pools_.records().pools();
	std::map<std::string, std::set<Alarm>> now;

	/* What the store has not told now it does the next time. */
	if (!pools)
		return;
	for (const auto &pool : *pools) {
		if (!pool.started)
			continue;
		const auto status = pools_.status(pool);
		if (!status)
			continue;
		const auto &before = known_[pool.uuid];
		for (const auto alarm : volumes::alarms_of(*status)) {
			now[pool.uuid].insert(alarm);
			if (!before.contains(alarm))
				warnings_.add(alarm == Alarm::data_low || alarm == Alarm::meta_low
						      ? jobs::Severity::warning
						      : jobs::Severity::error,
					      sentence_of(alarm, pool.name, *status));
		}
	}
	known_ = std::move(now);
}

} /* namespace corbel::daemon */
