/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrate_handlers.hh - `corbel migrate`, and what other hosts ask for to move VMs. */
#pragma once

#include "departures.hh"
#include "dispatcher.hh"

#include "../jobs/engine.hh"

#include <atomic>

namespace corbel::daemon {

/* Both ends, for other hosts, until it is told to end. */
class Migrations final : public MigrationPeer {
public:
	Migrations(Arrivals &arrivals, Departures &departures)
		: arrivals_(arrivals), departures_(departures)
	{}

	[[nodiscard]] Result<v1::MigrateAnswer> order(const trust::HostId &from,
						      const v1::MigrateOrder &order) override;
	[[nodiscard]] Result<v1::MigrateConnectReply>
	connect(const trust::HostId &from, const v1::MigrateConnectRequest &request) override;
	[[nodiscard]] Result<v1::MigrateAskReply>
	ask(const trust::HostId &from, const v1::MigrateAskRequest &request) override;

private:
	Arrivals &arrivals_;
	Departures &departures_;
};

/* All of these outlive @dispatcher. */
void add_migrate_handlers(Dispatcher &dispatcher, Hosts &hosts, Departures &departures,
			  jobs::Engine &engine);

/* A VM of that name is under way, from here or to here: a sentence that says so. */
[[nodiscard]] Result<void> check_not_moving(Arrivals &arrivals, jobs::Engine &engine,
					    const std::string &vm);
/* The VM of that name is another host's: a sentence that says so, and what to do about it. */
[[nodiscard]] Result<void> check_is_here(state::Store &store, const std::string &vm);

} /* namespace corbel::daemon */
