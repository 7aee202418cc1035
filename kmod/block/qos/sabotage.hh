/* SPDX-License-Identifier: GPL-2.0 */
/* sabotage.hh - what the tests break, one at a time; see ../sabotage.hh. */
#pragma once

namespace corbel::qos {

enum class Sabotage {
	none,
	rank_off, /* a node of the index is searched wrongly */
	gap_left_out, /* what is between two ranges goes to the first */
	overlap_accepted,
	old_ranges_kept, /* a replacement adds */
	remainder_lost, /* of the time that a cost takes */
	lateness_lost, /* credit that a late timer let pass */
	change_keeps_debt, /* a new limit waits for what the old one owed */
	idle_keeps_tag, /* who comes back is served until he has caught up */
	floor_runs_ahead, /* service above the floor counts against it later */
	floor_ignored,
	weight_ignored,
	class_ignored,
	share_by_first, /* the objects of a budget are not served in turn */
	rest_queued,
	latency_ignored,
	bucket_off,
	torn_snapshot, /* counters are read while they change */
	heat_in_first, /* I/O over several cells is counted in the first */
};

#ifdef CORBEL_BLOCK_SABOTAGE
inline constinit Sabotage sabotage = Sabotage::none;
inline bool sabotaged(Sabotage what)
{
	return sabotage == what;
}
#else
constexpr bool sabotaged(Sabotage)
{
	return false;
}
#endif

} /* namespace corbel::qos */
