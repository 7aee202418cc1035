/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.hh - corbeld: what a host decides and remembers.
 *
 * One for each host. It keeps state in a file, works on jobs, and does the verbs that are
 * its own for the tool. It may be killed at any moment: jobs go on where they were.
 */
#pragma once

#include "arrivals.hh"
#include "departures.hh"
#include "hosts.hh"
#include "local_server.hh"
#include "pool_watch.hh"
#include "volume_disks.hh"
#include "warnings.hh"

#include "../jobs/engine.hh"
#include "../metrics/service.hh"
#include "../qemu/inventory.hh"
#include "../qos/follower.hh"
#include "../state/store.hh"
#include "../volumes/pools.hh"

#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>

namespace corbel::daemon {

struct Settings {
	std::string socket = "/run/corbel/corbeld.sock";
	std::string state = "/var/lib/corbel"; /* a folder */
	std::string group = "corbel"; /* who may look */
	std::string listen = fmt::format("[::]:{}", usual_port); /* for other hosts; empty: not */
	std::string vms = "/run/corbel/vm"; /* folder of those that it runs */
	std::string slice = "corbel"; /* of systemd's, or cgroup, for their processes */
	std::string metrics = "127.0.0.1:9437"; /* empty: none */
	unsigned keep_jobs = 1000; /* that have ended */
	unsigned keep_days = 30;
	MigrationLimits migration{};
};

class Daemon {
public:
	/* Answers when it returns. EBUSY: there is one already. */
	[[nodiscard]] static Result<std::unique_ptr<Daemon>> start(Settings settings);
	~Daemon();
	Daemon(const Daemon &) = delete;

private:
	explicit Daemon(Settings settings) : settings_(std::move(settings)) {}

	[[nodiscard]] Result<void> start();
	/* What is to be done now and then, until it is stopped. */
	void tend(const std::stop_token &stop);
	void forget_old_jobs();
	void serve_metrics();
	[[nodiscard]] Result<Json> status();
	[[nodiscard]] std::string state_file() const { return settings_.state + "/state"; }

	Settings settings_;
	std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
	ScopedFd lock_;
	std::unique_ptr<state::Store> store_;
	std::unique_ptr<Warnings> warnings_;
	std::unique_ptr<Hosts> hosts_;
	std::unique_ptr<volumes::Mapper> mapper_;
	std::unique_ptr<volumes::Pools> pools_;
	std::unique_ptr<PoolVolumes> volumes_;
	std::unique_ptr<Arrivals> arrivals_;
	std::unique_ptr<Departures> departures_;
	std::unique_ptr<workloads::Luns> luns_;
	std::unique_ptr<workloads::Layouts> layouts_;
	std::unique_ptr<workloads::Objects> objects_;
	std::unique_ptr<jobs::Engine> engine_;
	std::unique_ptr<qemu::GuestSource> guests_;
	std::unique_ptr<qemu::Inventory> inventory_;
	std::unique_ptr<metrics::Service> metrics_;
	Dispatcher dispatcher_;
	/* The first to go: they use all else. */
	std::unique_ptr<LocalServer> local_;
	std::unique_ptr<workloads::Follower> follower_;
	std::jthread tender_;
	std::unique_ptr<PoolWatch> watch_;
	std::jthread watcher_;
};

} /* namespace corbel::daemon */
