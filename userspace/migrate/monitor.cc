// SPDX-License-Identifier: GPL-2.0-or-later
#include "monitor.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::migrate {

namespace {

using namespace std::chrono_literals;
using qemu::Json;

constexpr auto command_limit = 5s;
constexpr const char *fd_name = "corbel-migration";
constexpr std::uint64_t downtime_limit_ms = 100;

} /* namespace */

Result<Monitor> Monitor::connect(const qemu::Runtime &runtime, const qemu::Launch &launch,
				 std::chrono::milliseconds limit)
{
	return Monitor(CORBEL_EXPECT(qemu::Qmp::connect(runtime.monitor(), limit, launch.pid)));
}

Result<void> Monitor::tell(const std::string &command, const Json &arguments)
{
	(void)CORBEL_EXPECT(qmp_.execute(command, command_limit, arguments));
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

} /* namespace corbel::migrate */
