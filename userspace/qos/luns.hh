/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * luns.hh - devices under QoS: each has one of device-mapper's above it, by whose target the
 * objects of the LUN are limited and counted.
 *
 * What is on the device is not touched, and seen through /dev/mapper/corbel-qos-LUN as it is.
 * What the target knows goes with its table: it is told all of it again when it has forgotten.
 *
 * Answers are what the verbs of the same names print. Called from any thread.
 */
#pragma once

#include "messages.hh"
#include "records.hh"

#include "../volumes/mapper.hh"

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace corbel::workloads {

inline constexpr std::uint64_t usual_io_bytes = 32768;

struct LunWish {
	std::string name, device;
	std::uint64_t depth, io_bytes;
	bool force;
};

using Warn = std::function<void(const std::string &sentence)>;

/* What was found when an object was last looked at, and what of it the target has. */
struct Known {
	std::string kind;
	std::uint64_t bytes = 0; /* of the disk */
	std::vector<extents::Extent> extents;
	std::vector<std::string> remarks;
	Spans spans; /* that the target has */
	bool sure = false; /* that it has those */
	std::optional<std::chrono::system_clock::time_point> looked;
	std::string error; /* why not since */
	unsigned failures = 0; /* in a row */
	bool again = true; /* to be looked at, whatever is told of it */
};
using KnownObjects = std::map<std::string, Known>;

class Luns {
public:
	Luns(state::Store &store, volumes::Mapper &mapper) : records_(store), mapper_(mapper) {}

	/* ---- what verbs do; with @dry_run they check all of it ---- */

	[[nodiscard]] Result<Json> add(const LunWish &wish, bool dry_run);
	/* EPERM: it has objects, and not @yes. */
	[[nodiscard]] Result<Json> remove(const std::string &lun, bool yes, bool dry_run);
	[[nodiscard]] Result<Json> list();

	/* Those that are remembered, after a start of the daemon. Silent without @warn. */
	void start_all(const Warn &warn);
	/* Tells targets again what they have forgotten, or were not told. */
	void tend(const Warn &warn);

	/* ---- what policies and objects build on ---- */

	[[nodiscard]] Records &records() { return records_; }
	/* For as long as something is decided and done. */
	[[nodiscard]] std::unique_lock<std::mutex> changing() { return std::unique_lock(lock_); }
	/* With that. */
	[[nodiscard]] KnownObjects &known(const std::string &lun) { return known_[lun]; }

	[[nodiscard]] Result<std::optional<volumes::Mapped>> find(const LunRecord &lun);
	/* ENODEV, in words, if it is not there. */
	[[nodiscard]] Result<volumes::Mapped> started(const LunRecord &lun);
	[[nodiscard]] Result<std::string> message(const LunRecord &lun, const std::string &text);
	[[nodiscard]] Result<std::string> status(const LunRecord &lun);
	/* Of all objects, by number. */
	[[nodiscard]] Result<std::map<std::uint64_t, ObjectCounters>>
	counters(const LunRecord &lun);
	/* That object is there, with its budget; one that is there already stays as it is. */
	[[nodiscard]] Result<void> tell(const LunRecord &lun, const ObjectRecord &object);
	/* It has neither ranges nor a budget. */
	[[nodiscard]] Result<void> untell(const LunRecord &lun, const ObjectRecord &object);

private:
	[[nodiscard]] Result<volumes::Table> table_of(const LunRecord &lun);
	[[nodiscard]] Result<void> start(LunRecord &lun);
	[[nodiscard]] Result<void> settle(LunRecord &lun);
	[[nodiscard]] Result<void> complete(LunRecord &lun, bool all);

	std::mutex lock_;
	Records records_;
	volumes::Mapper &mapper_;
	std::map<std::string, KnownObjects> known_;
};

/* "/dev/mapper/corbel-qos-LUN". */
[[nodiscard]] std::string path_of(const LunRecord &lun);

} /* namespace corbel::workloads */
