/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.hh - a container: a cgroup, and the processes in it.
 *
 * It is named by its cgroup, below the mount of version 2 ("machine/web", or its whole path), or
 * by the number of one of its processes. It has one process that all others descend from, which
 * is number 1 of a PID namespace of its own, as container runtimes make it: elsewhere the numbers
 * of its processes may be taken.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace corbel::containers {

class Group {
public:
	explicit Group(std::filesystem::path folder) : folder_(std::move(folder)) {}

	/* ENOENT: there is none. EINVAL: that names none. */
	[[nodiscard]] static Result<Group> find(const std::string &id);

	[[nodiscard]] const std::filesystem::path &folder() const { return folder_; }
	/* Below the mount, as it is told to people. */
	[[nodiscard]] std::string name() const;
	/* Its own, without what is above it. */
	[[nodiscard]] std::string last_name() const { return folder_.filename().string(); }

	[[nodiscard]] bool exists() const;
	/* By their numbers in this process's namespace. */
	[[nodiscard]] std::vector<pid_t> processes() const;
	/* EBUSY: it is not a container as above, with the reason. */
	[[nodiscard]] Result<pid_t> first_process() const;
	/* Bytes that move: private pages and memory that its processes share. */
	[[nodiscard]] std::uint64_t memory() const;

	/* Returns when all of them stand still, or can run again. EAGAIN: not within a while. */
	[[nodiscard]] Result<void> freeze(bool on) const;
	/* As it was asked for. */
	[[nodiscard]] bool is_frozen() const;

	/* What lets it have no more than it has, so many bytes being meant, not even when what can be
	   reclaimed is; empty: nothing does. Itself and all above it are looked at. */
	[[nodiscard]] std::filesystem::path limit_below(std::uint64_t bytes) const;

	/* What it was limited to, by the names of its files; without what is not. */
	using Limits = std::map<std::string, std::string>;
	[[nodiscard]] Limits limits() const;
	/* What could not be set is told. */
	[[nodiscard]] std::vector<std::string> set(const Limits &limits) const;

private:
	std::filesystem::path folder_;
};

} /* namespace corbel::containers */
