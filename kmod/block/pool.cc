/* SPDX-License-Identifier: GPL-2.0 */
#include "pool.hh"

namespace corbel::block {

Result<void> Pool::commit()
{
	CORBEL_TRY(store_.commit());
	for (Places &places : places_)
		places.committed();
	mbas_.committed();
	fresh_ = 0;
	unshared_ = false;
	return {};
}

Result<void> Pool::abort()
{
	const bool was_committed = CORBEL_TRY(store_.abort());

	stale_moves(nullptr);
	for (Places &places : places_)
		was_committed ? places.committed() : places.aborted();
	was_committed ? mbas_.committed() : mbas_.aborted();
	fresh_ = 0;
	unshared_ = false;
	return {};
}

bool Pool::begin_drain()
{
	bool any = mbas_.begin_drain();

	for (Places &places : places_)
		any |= places.begin_drain();
	return any;
}

void Pool::end_drain()
{
	for (Places &places : places_)
		places.end_drain();
	mbas_.end_drain();
}

Written Pool::written() const
{
	return {.logical = logical_written_,
		.middle = middle_written_,
		.reverse = reverse_written_,
		.bytes = store_.written()};
}

u64 Pool::usable_meta() const
{
	return free_meta() > Store::reserved ? free_meta() - Store::reserved : 0;
}

} /* namespace corbel::block */
