/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuild.hh - one transaction that makes maps agree with those that they follow from. */
#pragma once

#include "census.hh"

namespace corbel::pool {

/*
 * Of the pool on @device, whose counts and totals are right but for @counts of nodes that
 * nothing refers to. Says in @done what was done. EUCLEAN: a map says what cannot be; ENOSPC.
 */
[[nodiscard]] Result<void> rebuild(block::BlockDevice &device, std::uint64_t meta_blocks,
				   Census &census, const std::vector<std::uint32_t> &counts,
				   const std::string &path, std::vector<std::string> &done);

} /* namespace corbel::pool */
