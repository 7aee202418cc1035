/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pool's mover says of itself, as Documentation/blocks.md has it.
 */
#pragma once

#include "block_pool.hh"
#include "tap.hh"
#include "wait.hh"

#include <sstream>

namespace corbel::selftest {

struct mover_receipt {
	std::string state;
	uint64_t device, first, next, last, moved, middle, reverse, bytes, skipped;
	uint64_t target, seen, paused; /* us, us, ms */
	uint64_t volume;
};

/* Of one that has not failed, and was begun. */
inline mover_receipt mover_of(const dm_device &pool)
{
	std::istringstream text(pool.message("mover"));
	mover_receipt told;

	text >> told.state >> told.device >> told.first >> told.next >> told.last >> told.moved >>
		told.middle >> told.reverse >> told.bytes >> told.skipped >> told.target >>
		told.seen >> told.paused >> told.volume;
	CHECK(text, "not a receipt: {}", text.str());
	return told;
}

/* When it does not run any more. */
inline mover_receipt finished(const dm_device &pool)
{
	mover_receipt told;

	wait_until("the mover ends", [&] { return (told = mover_of(pool)).state != "running"; });
	return told;
}

} // namespace corbel::selftest
