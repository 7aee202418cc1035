/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sabotage.hh - what the tests break, one at a time, to see that they notice.
 *
 * Only the unit tests define CORBEL_BLOCK_SABOTAGE; anywhere else nothing of this is left.
 */
#pragma once

namespace corbel::block {

enum class Sabotage {
	none,
	no_flush_before_superblock,
	no_flush_after_superblock,
	no_flush_at_open,
	superblock_in_one_place,
	counts_in_one_place,
	nodes_in_place, /* a committed node is changed where it lies */
	meta_reused_before_commit,
	data_reused_before_commit,
	data_reused_before_drain,
	copy_without_raise, /* a shared leaf is copied, its blocks are not counted */
	middle_count_off,
	reverse_left_behind, /* a move does not take the old place out */
	shared_written_in_place,
	unshared_written_in_place, /* what only the last committed state shares */
	moved_unasked, /* a move is finished though its block is gone */
	lateness_forgiven, /* I/O that is late slows no mover down */
	pause_without_end, /* a mover waits until nothing is owed, however long */
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

} /* namespace corbel::block */
