/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arrivals.hh - VMs that come to this host: the destination's end of a migration.
 *
 * What was written is in the store, below `migrate/in/`; what is seen is looked at anew each
 * time. So a daemon that is started finds those that were under way, and goes on.
 */
#pragma once

#include "hosts.hh"
#include "peer_service.hh"

#include "../containers/wish.hh"
#include "../migrate/data_socket.hh"
#include "../migrate/lease.hh"
#include "../migrate/monitor.hh"
#include "../migrate/protocol.hh"
#include "../migrate/wish.hh"
#include "../qemu/runner.hh"
#include "../state/store.hh"

#include <libcorbel/memory.hh>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

namespace corbel::daemon {

/* For how long who waits for whom, and where it all is. */
struct MigrationLimits {
	/* The other end is given up; the source waits for half as long again. */
	std::chrono::milliseconds patience = std::chrono::minutes(10);
	std::chrono::milliseconds lease = std::chrono::seconds(3);
	/* Clocks may differ in rate by less than a tenth: so much longer the source waits. */
	std::chrono::milliseconds lease_over = std::chrono::milliseconds(4500);
	std::string watcher = "/proc/self/exe";
	std::filesystem::path containers{}; /* folder of those that come and go */
	std::string slice = "corbel"; /* cgroup of those that have come, without its ending */
	migrate::VolumeDisks *volumes = nullptr; /* of this host's pools, if it has any */
};

class Arrivals {
public:
	/* All of these outlive it. Looks after those that are under way. */
	Arrivals(state::Store &store, Hosts &hosts, Warnings &warnings, qemu::RunnerOptions options,
		 MigrationLimits limits);
	~Arrivals();
	Arrivals(const Arrivals &) = delete;

	[[nodiscard]] Result<v1::MigrateAnswer> order(const trust::HostId &from,
						      const v1::MigrateOrder &order);
	[[nodiscard]] Result<v1::MigrateConnectReply>
	connect(const trust::HostId &from, const v1::MigrateConnectRequest &request);

	/* A VM of this name is under way to here. */
	[[nodiscard]] bool expects(const std::string &vm);

	/* Those that have ended before. */
	[[nodiscard]] Result<void> forget(std::chrono::system_clock::time_point before);

private:
	using Clock = std::chrono::steady_clock;
	struct Arrival;
	struct Told; /* an order with what came with it */

	[[nodiscard]] Result<std::shared_ptr<Arrival>> find(const std::string &session,
							    const trust::HostId &from);
	[[nodiscard]] Result<void> check(const migrate::Wish &wish);
	[[nodiscard]] Result<void> check(const containers::Wish &wish) const;
	/* Of its name, where it is when it has come. */
	[[nodiscard]] containers::Group place_of(const containers::Wish &wish) const;
	[[nodiscard]] Result<void> keep(Arrival &arrival);
	/* What keep() wrote. */
	[[nodiscard]] Result<void> read(Arrival &arrival, const std::string &text) const;
	/* What is wished for, of its text. */
	[[nodiscard]] Result<void> understand(Arrival &arrival, const std::string &wish) const;
	/* Until there is nothing more to be done now. */
	[[nodiscard]] Result<void> drive(Arrival &arrival, const Told &told);
	[[nodiscard]] bool left_something(const Arrival &arrival) const;
	[[nodiscard]] migrate::GuestHere ask_qemu(Arrival &arrival, const qemu::Launch &launch);
	[[nodiscard]] migrate::DestinationSeen look(Arrival &arrival, const Told &told);
	void look_at_container(Arrival &arrival, migrate::DestinationSeen &seen) const;
	[[nodiscard]] Result<void> act(Arrival &arrival, const Told &told,
				       const migrate::DestinationStep &step);
	/* As act(), of a container. */
	[[nodiscard]] Result<void> act_on_container(Arrival &arrival, const Told &told,
						    migrate::DestinationAct act);
	static void tell_lost(Arrival &arrival);
	[[nodiscard]] Result<void> write(Arrival &arrival,
					 const migrate::DestinationRecord &record);
	[[nodiscard]] Result<void> give_back(Arrival &arrival);
	void settle(Arrival &arrival, migrate::Order order);
	[[nodiscard]] Result<void> make(Arrival &arrival);
	[[nodiscard]] Result<void> make_disks(Arrival &arrival);
	[[nodiscard]] Result<void> load(Arrival &arrival, const std::string &state);
	[[nodiscard]] Result<void> go(Arrival &arrival);
	[[nodiscard]] Result<void> destroy(Arrival &arrival);
	void take_connections(const std::shared_ptr<Arrival> &arrival, ScopedFd listener,
			      migrate::DataKeys keys, bool plain, const std::string &use);
	/* The NBD server of the QEMU that was made. */
	[[nodiscard]] Result<ScopedFd> connect_to_disks(Arrival &arrival,
							const qemu::Launch &launch);
	[[nodiscard]] std::string pages_of(Arrival &arrival);
	void tend(const std::stop_token &stop);
	/* One turn of it. */
	void look_after(Arrival &arrival);
	/* It has ended, and nothing of it is left to do. */
	[[nodiscard]] bool is_over(Arrival &arrival);
	void ask(Arrival &arrival);

	state::Store &store_;
	Hosts &hosts_;
	Warnings &warnings_;
	qemu::RunnerOptions options_;
	MigrationLimits limits_;
	std::mutex lock_;
	std::map<std::string, std::shared_ptr<Arrival>> arrivals_; /* by session */
	std::jthread tender_;
};

} /* namespace corbel::daemon */
