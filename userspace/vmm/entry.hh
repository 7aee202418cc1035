/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * entry.hh - the entries of a recording: those of <corbel/replay.h>, of which the module writes
 * the kind `tsc` and the monitor all others. Documentation/formats.md has them one by one.
 */
#pragma once

#include <corbel/replay.h>

#include <cstdint>
#include <string_view>

namespace corbel::vmm {

enum class Kind : std::uint8_t {
	tsc = CORBEL_REPLAY_TSC,
	exit = CORBEL_REPLAY_FIRST_OTHER,
	time,
	data,
	interrupt,
	check,
	end,
	disk,
	sent,
	landmark = CORBEL_REPLAY_FIRST_ASYNC,
};

/* Where data came from. */
enum class Channel : std::uint8_t { console, entropy, net, vsock };

constexpr Kind kind_of(const corbel_replay_entry &entry)
{
	return static_cast<Kind>(entry.tag >> 56);
}

constexpr std::uint8_t info_of(const corbel_replay_entry &entry)
{
	return static_cast<std::uint8_t>(entry.tag >> 48);
}

/* Addresses of the upper half have their upper bits set. */
constexpr std::uint64_t rip_of(const corbel_replay_entry &entry)
{
	return static_cast<std::uint64_t>(static_cast<std::int64_t>(entry.tag << 16) >> 16);
}

constexpr corbel_replay_entry make_entry(Kind kind, std::uint8_t info, std::uint64_t rip,
					 std::uint64_t value)
{
	return {value, CORBEL_REPLAY_TAG(static_cast<std::uint8_t>(kind), info, rip)};
}

[[nodiscard]] std::string_view name_of(Kind kind);

} /* namespace corbel::vmm */
