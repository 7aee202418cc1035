/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device under QoS, and what its objects have counted.
 */
#pragma once

#include "block_pool.hh"
#include "tap.hh"

#include <array>
#include <sstream>

namespace corbel::selftest {

struct op_counts {
	uint64_t ios, bytes, errors, service_ns;
};

struct object_counts {
	std::array<op_counts, 4> by_op; /* read, write, discard, flush */
	uint64_t throttled, throttled_ns;
};

inline object_counts counts_of(const dm_device &device, unsigned object)
{
	std::istringstream text(device.message(fmt::format("stats {}", object)));
	object_counts counts;

	for (op_counts &each : counts.by_op)
		text >> each.ios >> each.bytes >> each.errors >> each.service_ns;
	text >> counts.throttled >> counts.throttled_ns;
	CHECK(text, "not what an object counts: {}", text.str());
	return counts;
}

} // namespace corbel::selftest
