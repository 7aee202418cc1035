/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.hh - corbeld: what a host decides and remembers.
 *
 * One for each host. It keeps state in a file, works on jobs, and does the verbs that are
 * its own for the tool. It may be killed at any moment: jobs go on where they were.
 */
#pragma once

#include "hosts.hh"
#include "local_server.hh"
#include "warnings.hh"

#include "../jobs/engine.hh"
#include "../qemu/inventory.hh"
#include "../state/store.hh"

#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace corbel::daemon {

struct Settings {
	std::string socket = "/run/corbel/corbeld.sock";
	std::string state = "/var/lib/corbel"; /* a folder */
	std::string group = "corbel"; /* who may look */
	std::string listen = fmt::format("[::]:{}", usual_port); /* for other hosts; empty: not */
	std::string vms = "/run/corbel/vm"; /* a folder */
	unsigned keep_jobs = 1000; /* that have ended */
	unsigned keep_days = 30;
};

class Daemon {
public:
	/* Answers when it returns. EBUSY: there is one already. */
	[[nodiscard]] static Result<std::unique_ptr<Daemon>> start(Settings settings);
	Daemon(const Daemon &) = delete;

	/* What is to be done now and then. */
	void tend();

private:
	explicit Daemon(Settings settings) : settings_(std::move(settings)) {}

	[[nodiscard]] Result<void> start();
	[[nodiscard]] Result<Json> status();
	[[nodiscard]] std::string state_file() const { return settings_.state + "/state"; }

	Settings settings_;
	std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
	ScopedFd lock_;
	std::unique_ptr<state::Store> store_;
	std::unique_ptr<Warnings> warnings_;
	std::unique_ptr<Hosts> hosts_;
	std::unique_ptr<jobs::Engine> engine_;
	std::unique_ptr<qemu::HostGuests> guests_;
	std::unique_ptr<qemu::Inventory> inventory_;
	Dispatcher dispatcher_;
	/* The first to go: it uses all else. */
	std::unique_ptr<LocalServer> local_;
};

} /* namespace corbel::daemon */
