/* SPDX-License-Identifier: GPL-2.0-or-later */
/* messages.hh - what the target corbel-qos is told, and what it answers, read. */
#pragma once

#include "ranges.hh"
#include "words.hh"

#include <libcorbel/error.hh>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corbel::workloads {

struct TargetStatus {
	std::uint64_t objects; /* rest too */
	std::uint64_t ranges, budgets, map_bytes, in_flight;
};

struct OpCounters {
	std::uint64_t ios, bytes, errors, ns; /* ns at the device */
};
/* Reads, writes, discards, flushes. */
struct ObjectCounters {
	std::array<OpCounters, 4> by_op;
	std::uint64_t throttled, throttled_ns;
};
inline constexpr std::array<std::string_view, 4> op_names{"read", "write", "discard", "flush"};

struct CounterTable {
	std::map<std::uint64_t, ObjectCounters> objects; /* by number */
	std::uint64_t next; /* the first that was not told of; 0: there are no more */
};

struct HeatCell {
	std::uint64_t index;
	std::uint64_t reads, writes, read_bytes, written_bytes;
};
struct HeatCells {
	std::uint64_t shift; /* of sectors */
	std::uint64_t count; /* of the device */
	std::uint64_t next;
	std::vector<HeatCell> cells; /* not those that are all zero */
};

inline constexpr std::array<std::string_view, 4> histogram_names{"read", "write", "other", "queue"};

struct Owner {
	std::uint64_t object;
	std::uint64_t end; /* sector that is the next one's */
};

/* Of an object all ranges that it is to have. */
struct RangeChange {
	std::uint64_t number;
	const Spans *spans;
};

/* A range set in base64. E2BIG: more ranges than the target has room for. */
[[nodiscard]] Result<std::string> set_message(std::vector<RangeChange> changes);

/* EPROTO: the module is of another version. */
[[nodiscard]] Result<TargetStatus> parse_target_status(const std::string &text);
[[nodiscard]] Result<CounterTable> parse_table(const std::string &text);
[[nodiscard]] Result<HeatCells> parse_cells(const std::string &text);
[[nodiscard]] Result<Histogram> parse_histogram(const std::string &text);
[[nodiscard]] Result<Owner> parse_owner(const std::string &text);

} /* namespace corbel::workloads */
