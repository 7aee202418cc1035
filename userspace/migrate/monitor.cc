// SPDX-License-Identifier: GPL-2.0-or-later
#include "monitor.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::migrate {

namespace {

using namespace std::chrono_literals;
using qemu::Json;

constexpr auto command_limit = 5s;
/* To begin a mirror both QEMUs look at their disks. The guest runs: there is no hurry. */
constexpr auto mirror_limit = 30s;
constexpr const char *fd_name = "corbel-migration";
constexpr std::uint64_t downtime_limit_ms = 100;

} /* namespace */

Result<Monitor> Monitor::connect(const qemu::Runtime &runtime, const qemu::Launch &launch)
{
	return Monitor(
		CORBEL_EXPECT(qemu::Qmp::connect(runtime.monitor(), command_limit, launch.pid)));
}

Result<void> Monitor::tell(const std::string &command, const Json &arguments,
			   std::chrono::milliseconds limit)
{
	(void)CORBEL_EXPECT(qmp_.execute(command, limit, arguments));
	return {};
}

Result<std::string> Monitor::status()
{
	return qemu::string_in(CORBEL_EXPECT(qmp_.execute("query-status", command_limit)),
			       "status");
}

bool Monitor::runs(const std::string &status)
{
	return status == "running" || status == "debug" || status == "watchdog";
}

Result<void> Monitor::stop()
{
	return tell("stop");
}

Result<void> Monitor::go()
{
	return tell("cont");
}

Result<std::vector<std::string>> Monitor::blockers()
{
	const auto info = CORBEL_EXPECT(qmp_.execute("query-migrate", command_limit));
	std::vector<std::string> reasons;

	if (const auto found = info.find("blocked-reasons");
	    found != info.end() && found->is_array())
		for (const auto &reason : *found)
			if (reason.is_string())
				reasons.push_back(reason.get<std::string>());
	return reasons;
}

Result<void> Monitor::set_up(bool own_memory, bool source)
{
	Json capabilities = Json::array();
	const auto set = [&](const char *name, bool on) {
		capabilities.push_back({{"capability", name}, {"state", on}});
	};

	set("events", true);
	set("x-ignore-shared", !own_memory);
	set("pause-before-switchover", own_memory && source);
	CORBEL_EXPECT(tell("migrate-set-capabilities", {{"capabilities", capabilities}}));
	/* Its own limit is 128 MiB/s. */
	return tell("migrate-set-parameters", {{"max-bandwidth", std::uint64_t{1} << 40},
					       {"downtime-limit", downtime_limit_ms}});
}

Result<void> Monitor::send_to(int fd)
{
	CORBEL_EXPECT(qmp_.give(fd, fd_name, command_limit));
	return tell("migrate", {{"uri", fmt::format("fd:{}", fd_name)}});
}

Result<void> Monitor::receive_from(int fd)
{
	CORBEL_EXPECT(qmp_.give(fd, fd_name, command_limit));
	return tell("migrate-incoming", {{"uri", fmt::format("fd:{}", fd_name)}});
}

Result<void> Monitor::finish()
{
	return tell("migrate-continue", {{"state", "pre-switchover"}});
}

Result<void> Monitor::cancel()
{
	return tell("migrate_cancel");
}

Result<void> Monitor::wait_for_event(std::chrono::milliseconds limit)
{
	(void)CORBEL_EXPECT(qmp_.next_event(limit));
	return {};
}

Result<Transfer> Monitor::transfer()
{
	const auto info = CORBEL_EXPECT(qmp_.execute("query-migrate", command_limit));
	Transfer transfer{.status = qemu::string_in(info, "status"),
			  .error = qemu::string_in(info, "error-desc"),
			  .downtime_ms = qemu::number_in(info, "downtime")};

	if (const auto ram = info.find("ram"); ram != info.end() && ram->is_object()) {
		transfer.total = qemu::number_in(*ram, "total");
		const auto left = qemu::number_in(*ram, "remaining");
		transfer.done = transfer.total > left ? transfer.total - left : 0;
	}
	return transfer;
}

/* ---- disks ------------------------------------------------------------------------- */

Result<void> Monitor::serve_disks(const std::filesystem::path &socket,
				  const std::vector<std::string> &nodes)
{
	const auto exports = CORBEL_EXPECT(qmp_.execute("query-block-exports", command_limit));

	/* It may be there; whether it is shows below. */
	(void)tell("nbd-server-start",
		   {{"addr", {{"type", "unix"}, {"data", {{"path", socket.string()}}}}}});
	for (const auto &node : nodes) {
		if (std::ranges::any_of(exports, [&](const auto &each) {
			    return qemu::string_in(each, "id") == node;
		    }))
			continue;
		CORBEL_EXPECT(tell("block-export-add", {{"type", "nbd"},
							{"id", node},
							{"node-name", node},
							{"name", node},
							{"writable", true}}));
	}
	return {};
}

Result<void> Monitor::end_serving()
{
	return tell("nbd-server-stop");
}

/* The guest does not wait for what goes there. */
Result<void> Monitor::begin_mirror(const std::string &name, const std::string &node, int fd)
{
	CORBEL_EXPECT(qmp_.give(fd, name, command_limit));
	CORBEL_EXPECT(tell("blockdev-add",
			   {{"driver", "nbd"},
			    {"node-name", name},
			    {"server", {{"type", "fd"}, {"str", name}}},
			    {"export", node}},
			   mirror_limit));
	return tell("blockdev-mirror",
		    {{"job-id", name},
		     {"device", node},
		     {"target", name},
		     {"sync", "full"},
		     {"auto-dismiss", false}},
		    mirror_limit);
}

Result<std::vector<Mirror>> Monitor::mirrors()
{
	const auto jobs = CORBEL_EXPECT(qmp_.execute("query-jobs", command_limit));
	std::vector<Mirror> found;

	for (const auto &job : jobs)
		if (qemu::string_in(job, "type") == "mirror")
			found.push_back({.name = qemu::string_in(job, "id"),
					 .status = qemu::string_in(job, "status"),
					 .error = qemu::string_in(job, "error"),
					 .done = qemu::number_in(job, "current-progress"),
					 .total = qemu::number_in(job, "total-progress")});
	return found;
}

Result<void> Monitor::end_mirror(const std::string &name)
{
	return tell("block-job-cancel", {{"device", name}, {"force", false}});
}

Result<void> Monitor::break_mirror(const std::string &name)
{
	(void)tell("yank",
		   {{"instances", Json::array({{{"type", "block-node"}, {"node-name", name}}})}});
	return tell("job-cancel", {{"id", name}});
}

Result<void> Monitor::forget_mirror(const std::string &name)
{
	CORBEL_EXPECT(tell("job-dismiss", {{"id", name}}));
	return tell("blockdev-del", {{"node-name", name}});
}

} /* namespace corbel::migrate */
