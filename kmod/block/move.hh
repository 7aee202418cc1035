/* SPDX-License-Identifier: GPL-2.0 */
/*
 * move.hh - a block of contents on its way to another place.
 *
 * Pool::begin_move reserves the new place and fills this in; who moves copies the contents,
 * while nobody writes to the block, and says finish_move or cancel_move. Until then the Move
 * stays where it is. That it is under way is kept in memory alone: after a crash the block is
 * where it was, and the place that was reserved is free.
 */
#pragma once

#include "../rt/intrusive_list.hh"
#include "types.hh"

namespace corbel::block {

struct Move {
	rt::ListHook of_pool;
	Mba mba;
	Pba from, to;
	bool stale = false; /* the block is gone, or may not be where it was */
};

} /* namespace corbel::block */
