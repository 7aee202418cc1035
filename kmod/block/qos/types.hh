/* SPDX-License-Identifier: GPL-2.0 */
/*
 * types.hh - the numbers of QoS below the LUN, which must not be mixed up.
 *
 *   Sector    512 bytes of the device, counted from its start
 *   ObjectId  a workload object: what ranges belong to, what is limited and counted
 *   Time      nanoseconds of one clock that does not go back
 */
#pragma once

#include "../types.hh"

namespace corbel::qos {

using block::u16;
using block::u32;
using block::u64;
using block::u8;
using rt::Error;
using rt::Result;

using Sector = block::Number<struct SectorTag>;

struct ObjectId {
	u32 value = 0;

	constexpr auto operator<=>(const ObjectId &) const = default;
};

/* What no range names: journals, metadata of a file system, what lies between. */
inline constexpr ObjectId rest{};

/* As an offset in bytes is a signed number. */
inline constexpr u64 sector_end = u64{1} << 54;
inline constexpr unsigned sector_shift = 9;

using Time = u64;
inline constexpr Time never = ~u64{0};
inline constexpr u64 ns_per_s = 1'000'000'000;

enum class Op : u8 { read, write, discard, flush };
inline constexpr unsigned ops = 4;

} /* namespace corbel::qos */
