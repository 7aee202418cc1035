/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repair.hh - what a pool's metadata says twice, made to say the same.
 *
 * Counts of nodes follow from the trees, counts of contents from the volumes' maps, the
 * reverse map from the middle map, and totals from all of them. What is damaged there is
 * worked out anew and committed as the pool itself commits: to blocks that the state before
 * does not use, and then by a superblock in the other place. So the state before is all there
 * until the next commit, and a crash leaves it or the new one.
 *
 * It is done in memory first, where all of it is checked. Where that does not fit together,
 * nothing is written: a repair makes nothing worse. The nodes of the volume table, the volumes'
 * maps and the middle map are said nowhere else, and are not made up.
 */
#pragma once

#include "findings.hh"

#include <string>
#include <vector>

namespace corbel::pool {

struct Repair {
	bool changed = false; /* or would be */
	std::uint64_t found = 0; /* what the check before has found */
	std::uint64_t generation = 0; /* of the state that is there now, or would be */
	std::uint64_t blocks = 0; /* written */
	std::vector<std::string> done; /* sentences */
};

/* EUCLEAN: it cannot be, and nothing was changed; the sentence says what stands against it. */
[[nodiscard]] Result<Repair> repair(block::BlockDevice &device, std::uint64_t blocks,
				    const std::string &path, bool dry_run);

} /* namespace corbel::pool */
