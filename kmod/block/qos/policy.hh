/* SPDX-License-Identifier: GPL-2.0 */
/*
 * policy.hh - what a budget is entitled to.
 *
 * What one I/O costs: reads and writes one unit for each CostModel::io_bytes begun, and their
 * bytes; a discard one unit and no bytes, as none are moved; a flush nothing. I/O is taken as
 * it comes in: what was split above counts as the parts it was split into, what is split here,
 * at the border of a range, as two.
 */
#pragma once

#include "types.hh"

namespace corbel::qos {

enum class Limited : u8 { read_ios, write_ios, ios, read_bytes, write_bytes, bytes };
inline constexpr unsigned limit_count = 6;

struct Limit {
	u64 rate = 0; /* a second; 0: no limit */
	u64 burst = 0; /* what may go at once beyond that, after so much was not used */
};

/* Of all I/O that nothing but the device holds, that of a lower class goes first. */
enum class Class : u8 { interactive, normal, background };
inline constexpr unsigned classes = 3;

struct Policy {
	static constexpr u32 max_weight = 1000;

	Limit limits[limit_count];
	u64 floor = 0; /* units a second that it gets even if others then get less */
	u32 weight = 100; /* 1 .. max_weight: of what floors leave */
	Class priority = Class::normal;
	Time latency_target = 0; /* that 90 % of its I/O should take no longer; 0: none */

	[[nodiscard]] const Limit &limit(Limited which) const
	{
		return limits[static_cast<unsigned>(which)];
	}
	[[nodiscard]] Limit &limit(Limited which) { return limits[static_cast<unsigned>(which)]; }

	/* invalid: a weight or class that there is not, a burst of nothing, a floor above a limit. */
	[[nodiscard]] Result<void> check() const
	{
		if (weight == 0 || weight > max_weight ||
		    static_cast<unsigned>(priority) >= classes)
			return Error::invalid;
		for (const Limit &limit : limits)
			if (!limit.rate && limit.burst)
				return Error::invalid;
		const u64 most = limit(Limited::ios).rate;
		return most && floor > most ? Result<void>(Error::invalid) : Result<void>();
	}
};

struct CostModel {
	u32 io_bytes = 32768; /* 0: any size is one unit */

	[[nodiscard]] u32 units(Op op, u32 bytes) const
	{
		if (op == Op::discard || io_bytes == 0 || bytes <= io_bytes)
			return 1;
		return 1 + (bytes - 1) / io_bytes;
	}
};

} /* namespace corbel::qos */
