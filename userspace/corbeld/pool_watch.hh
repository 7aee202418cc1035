/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool_watch.hh - warns of pools that become full, or fail.
 *
 * The kernel has an event for each; what is the matter is asked of the pool. Who is in a state
 * is warned of once, and again when he was out of it.
 */
#pragma once

#include "warnings.hh"

#include "../volumes/alarms.hh"
#include "../volumes/pools.hh"

#include <map>
#include <set>
#include <stop_token>
#include <string>

namespace corbel::daemon {

class PoolWatch {
public:
	/* Both outlive it. */
	PoolWatch(volumes::Pools &pools, Warnings &warnings) : pools_(pools), warnings_(warnings) {}

	/* At each event, until it is stopped. */
	void run(const std::stop_token &stop);
	/* Now. By one thread. */
	void look();

private:
	volumes::Pools &pools_;
	Warnings &warnings_;
	std::map<std::string, std::set<volumes::Alarm>> known_; /* by the pools' UUIDs */
};

} /* namespace corbel::daemon */
