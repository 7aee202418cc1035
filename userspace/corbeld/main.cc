// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.cc - the daemon as a process: its options, its signals, its end.
 */
#include "daemon.hh"
#include "log.hh"

#include "../containers/criu.hh"
#include "../containers/page_server.hh"
#include "../corbel/wakeup.hh"

#include <corbel/version.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace {

using namespace corbel;

int serve(const daemon::Settings &settings)
{
	/* First of all, so that every thread has the signals blocked. */
	auto waiter = cli::Waiter::make(false);
	if (!waiter) {
		daemon::log(daemon::Level::error, waiter.error().sentence);
		return 1;
	}
	auto daemon = daemon::Daemon::start(settings);
	if (!daemon) {
		daemon::log(daemon::Level::error, daemon.error().sentence);
		return 1;
	}
	::sd_notify(0, "READY=1");
	while (waiter->wait_until(cli::Waiter::Clock::time_point::max()) != cli::Wakeup::quit)
		;
	::sd_notify(0, "STOPPING=1");
	daemon::log(daemon::Level::notice, "corbeld ends; jobs go on with the next one.");
	daemon->reset();
	return 0;
}

} /* namespace */

int main(int argc, char **argv)
{
	daemon::Settings settings;
	bool foreground = false;

	if (argc == 5 && argv[1] == std::string_view("--watch-lease"))
		return migrate::watch_lease(argv[2], std::atoi(argv[3]),
					    std::strtoull(argv[4], nullptr, 10));
	if (argc == 7 && argv[1] == std::string_view("--serve-container"))
		return containers::serve_container(
			{argv[2], static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)),
			 argv[4]},
			std::atoi(argv[5]), std::atoi(argv[6]));
	if (argc == 5 && argv[1] == std::string_view("--restore-container"))
		return containers::restore_container(
			argv[2], static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)),
			argv[4]);
	std::uint32_t patience_s = 600;
	CLI::App app{"corbeld: the daemon of a host that runs Corbel", "corbeld"};

	app.set_version_flag("--version", "corbeld " CORBEL_VERSION);
	app.add_flag("--foreground", foreground,
		     "Does not go into the background. It never does: who starts it sees to that");
	app.add_option("--socket", settings.socket, "Where the tool finds it")
		->capture_default_str();
	app.add_option("--state", settings.state, "Folder of what it remembers")
		->capture_default_str();
	app.add_option("--vms", settings.vms, "Folder of the VMs that it runs")
		->capture_default_str();
	app.add_option("--slice", settings.slice,
		       "Name, without .slice, for the cgroups of VMs: a second daemon on a machine "
		       "has another")
		->capture_default_str();
	app.add_option("--group", settings.group, "Group whose members may ask but not change")
		->capture_default_str();
	app.add_option(
		   "--listen", settings.listen,
		   "Where other hosts are let in; '' for none. Nobody is before `corbel host init`")
		->capture_default_str();
	app.add_option("--metrics", settings.metrics,
		       "ADDRESS:PORT at which Prometheus finds /metrics; empty: none")
		->capture_default_str();
	app.add_option("--keep-jobs", settings.keep_jobs,
		       "Jobs that are remembered when they have ended")
		->capture_default_str();
	app.add_option("--keep-days", settings.keep_days, "For how long they are")
		->capture_default_str();
	app.add_option("--patience", patience_s,
		       "Seconds without word of the other host after which a migration gives it up")
		->capture_default_str();
	app.footer("Exit status: 0 ended by a signal, 1 failure, 2 wrong usage.");
	try {
		app.parse(argc, argv);
	} catch (const CLI::ParseError &error) {
		return app.exit(error) == 0 ? 0 : 2;
	}
	settings.migration.patience = std::chrono::seconds(patience_s);
	std::signal(SIGPIPE, SIG_IGN);
	try {
		return serve(settings);
	} catch (const std::exception &error) {
		daemon::log(daemon::Level::error, error.what());
		return 1;
	}
}
