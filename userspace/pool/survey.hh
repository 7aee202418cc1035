/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survey.hh - what can be told of a pool's metadata before it is opened: which superblocks
 * there are, and whether the counts that the one that counts names can be believed.
 */
#pragma once

#include "meta_device.hh"

#include <array>
#include <optional>
#include <vector>

namespace corbel::pool {

struct Survey {
	block::SuperblockV1 super; /* the one that counts */
	/* Of blocks 0 and 1; none: it is no whole superblock. */
	std::array<std::optional<std::uint64_t>, 2> generations;
	std::vector<std::uint64_t> damaged_counts; /* numbers of blocks of counts */
	bool later; /* some of these are whole and of a later generation */

	/* The other superblock should be there and is not: the first commit alone has none. */
	[[nodiscard]] bool lacks_copy() const
	{
		return super.header.generation > 1 && !(generations[0] && generations[1]);
	}
	[[nodiscard]] std::uint64_t missing_copy() const { return generations[0] ? 1 : 0; }
};

/* ENOENT, EOPNOTSUPP, ENOSPC, EBADMSG: there is none that can be looked into. */
[[nodiscard]] Result<Survey> survey(block::BlockDevice &device, std::uint64_t blocks,
				    const std::string &path);

/* Where block @number of counts lies, of which place @second counts. */
[[nodiscard]] block::Meta counts_place(std::uint64_t number, bool second);
/* Which one does. */
[[nodiscard]] bool is_second(const block::SuperblockV1 &super, std::uint64_t number);

} /* namespace corbel::pool */
