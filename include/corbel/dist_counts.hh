/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dist_counts.hh - arithmetic of the ledger of <corbel/dist.h>. One text for both sides.
 */
#pragma once

#include <corbel/dist.h>

namespace corbel::irq {

/* Adds the ledger of one id to that of several. */
constexpr void add_counts(corbel_dist_counts &sum, const corbel_dist_counts &of)
{
	sum.raised += of.raised;
	sum.restored += of.restored;
	sum.delivered += of.delivered;
	sum.coalesced += of.coalesced;
	sum.refused += of.refused;
	sum.withdrawn += of.withdrawn;
	sum.pending += of.pending;
}

} /* namespace corbel::irq */
