// SPDX-License-Identifier: GPL-2.0-or-later
#include "group.hh"

#include "../qemu/cgroup.hh"

#include <libcorbel/number.hh>
#include <libcorbel/text_file.hh>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

namespace fs = std::filesystem;

constexpr int freeze_attempts = 500; /* of 10 ms */
constexpr std::array limit_files = {"memory.max", "memory.high", "pids.max", "cpu.max",
				    "cpu.weight"};

/* The words behind @key in /proc/PID/status. */
std::vector<std::string> words_of(pid_t pid, std::string_view key)
{
	std::istringstream lines(text_of_file(fmt::format("/proc/{}/status", pid)).value_or(""));

	for (std::string line; std::getline(lines, line);)
		if (line.starts_with(key)) {
			std::istringstream words(line.substr(key.size()));
			return {std::istream_iterator<std::string>(words), {}};
		}
	return {};
}

/* Bytes of one line of /proc/PID/smaps_rollup. */
std::uint64_t sum_of(const std::string &rollup, std::string_view key)
{
	const auto at = rollup.find(fmt::format("\n{}:", key));

	if (at == rollup.npos)
		return 0;
	std::istringstream words(rollup.substr(at + key.size() + 2));
	std::uint64_t kib = 0;
	return words >> kib ? kib << 10 : 0;
}

} /* namespace */

Result<Group> Group::find(const std::string &id)
{
	const auto mount = qemu::cgroup_mount();
	auto name = id;

	if (mount.empty())
		return failure(ENOENT, "No cgroup tree of version 2 is mounted here.");
	if (const auto pid = number_of<std::uint64_t>(id)) {
		const auto line = first_line_of(fmt::format("/proc/{}/cgroup", *pid));
		const auto at = line ? line->find("0::/") : std::string::npos;
		if (at == std::string::npos)
			return failure(ENOENT, fmt::format("There is no process {} in a cgroup of "
							   "version 2.",
							   *pid));
		name = line->substr(at + 4);
	} else if (name.starts_with(mount.string() + "/")) {
		name.erase(0, mount.string().size() + 1);
	}
	const auto path = fs::path(name).lexically_normal();
	if (name.empty() || path.is_absolute() || path == "." || path.string().starts_with(".."))
		return failure(EINVAL,
			       fmt::format("'{}' names no container: say its cgroup, below {}, or "
					   "the number of one of its processes.",
					   id, mount.string()));
	Group group(mount / path);
	if (!group.exists())
		return failure(ENOENT,
			       fmt::format("There is no cgroup {}.", group.folder().string()));
	return group;
}

std::string Group::name() const
{
	return folder_.lexically_relative(qemu::cgroup_mount()).string();
}

bool Group::exists() const
{
	std::error_code error;

	return fs::exists(folder_ / "cgroup.freeze", error);
}

std::vector<pid_t> Group::processes() const
{
	std::istringstream text(text_of_file(folder_ / "cgroup.procs").value_or(""));

	return {std::istream_iterator<pid_t>(text), {}};
}

Result<pid_t> Group::first_process() const
{
	const auto pids = processes();
	const std::set<pid_t> all(pids.begin(), pids.end());
	std::vector<pid_t> first;
	std::error_code error;

	for (const auto &entry : fs::directory_iterator(folder_, error))
		if (entry.is_directory(error))
			return failure(EBUSY,
				       fmt::format("{} has cgroups below it ({}), which do not "
						   "move: a container that moves has one.",
						   name(), entry.path().filename().string()));
	for (const auto pid : pids) {
		const auto parent = words_of(pid, "PPid:");
		if (!parent.empty() && !all.contains(std::atoi(parent.front().c_str())))
			first.push_back(pid);
	}
	if (pids.empty())
		return failure(ENOENT, fmt::format("There is no process in {}.", name()));
	if (first.size() != 1)
		return failure(EBUSY,
			       fmt::format("{} has {} processes that descend from none in it, "
					   "and must have one.",
					   name(), first.size()));
	const auto numbers = words_of(first.front(), "NSpid:");
	if (numbers.size() < 2 || numbers.back() != "1")
		return failure(EBUSY,
			       fmt::format("Process {} of {} is not number 1 of a PID namespace "
					   "of its own: the numbers of its processes could be "
					   "taken there.",
					   first.front(), name()));
	return first.front();
}

std::uint64_t Group::memory() const
{
	std::uint64_t sum = 0;

	for (const auto pid : processes()) {
		const auto rollup =
			"\n" + text_of_file(fmt::format("/proc/{}/smaps_rollup", pid)).value_or("");
		for (const char *key : {"Anonymous", "Swap", "Pss_Shmem"})
			sum += sum_of(rollup, key);
	}
	return sum;
}

Result<void> Group::freeze(bool on) const
{
	const auto wanted = fmt::format("frozen {}", on ? 1 : 0);

	CORBEL_EXPECT(qemu::put_into_cgroup(folder_ / "cgroup.freeze", on ? "1" : "0"));
	for (int i = 0; i < freeze_attempts; i++) {
		if (text_of_file(folder_ / "cgroup.events").value_or("").contains(wanted))
			return {};
		::poll(nullptr, 0, 10);
	}
	return failure(EAGAIN, fmt::format("{} cannot be {}: one of its processes waits for "
					   "something that cannot be interrupted.",
					   name(), on ? "frozen" : "let go on"));
}

bool Group::is_frozen() const
{
	return first_line_of(folder_ / "cgroup.freeze").value_or("") == "1";
}

fs::path Group::limit_below(std::uint64_t bytes) const
{
	const auto number_in = [](const fs::path &file) {
		return number_of<std::uint64_t>(first_line_of(file).value_or(""));
	};

	for (auto at = folder_; ::access((at / "cgroup.procs").c_str(), F_OK) == 0;
	     at = at.parent_path()) {
		const auto most = number_in(at / "memory.max");

		if (!most || number_in(at / "memory.current").value_or(0) + bytes <= *most)
			continue;
		if (!qemu::put_into_cgroup(at / "memory.reclaim", fmt::format("{}", bytes)))
			return at / "memory.max";
	}
	return {};
}

Group::Limits Group::limits() const
{
	Limits limits;

	for (const char *file : limit_files)
		if (const auto line = first_line_of(folder_ / file);
		    line && !line->starts_with("max"))
			limits[file] = *line;
	return limits;
}

std::vector<std::string> Group::set(const Limits &limits) const
{
	std::vector<std::string> missed;

	for (const auto &[file, value] : limits) {
		if (std::ranges::find(limit_files, file) == limit_files.end())
			continue;
		if (const auto done = qemu::put_into_cgroup(folder_ / file, value); !done)
			missed.push_back(done.error().sentence);
	}
	return missed;
}

} /* namespace corbel::containers */
