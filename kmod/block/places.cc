/* SPDX-License-Identifier: GPL-2.0 */
#include "places.hh"

namespace corbel::block {

Places::~Places()
{
	for (Region *region : regions_)
		while (region) {
			Region *next = region->next;

			corbel_free(region);
			region = next;
		}
}

void Places::set(Region &region, u64 at, State state)
{
	const State old = state_of(region, at);
	u64 &word = region.words[at / per_word];
	const unsigned shift = at % per_word * 4;

	word = (word & ~(u64{15} << shift)) | u64{static_cast<u8>(state)} << shift;
	region.free += (state == State::free) - (old == State::free);
	held_ += u64{is_held(state)} - u64{is_held(old)};
	reserved_ += u64{state == State::reserved} - u64{old == State::reserved};
	if (state != State::free && state != State::used)
		region.touched = true;
}

Places::Region *Places::find(u64 number)
{
	Region *region = regions_[number % buckets];

	while (region && region->number != number)
		region = region->next;
	return region;
}

/* Its region is in memory, as it was taken from there. */
void Places::set_known(u64 place, State state)
{
	if (Region *region = find(place / per_region))
		set(*region, place % per_region, state);
}

Result<Places::Region *> Places::load_region(u64 number, Load load)
{
	if (Region *region = find(number))
		return region;
	auto *region = static_cast<Region *>(corbel_alloc(sizeof(Region), true));
	if (!region)
		return Error::no_memory;
	region->number = number;
	region->free = per_region;
	const u64 first = number * per_region;
	const auto loaded = load(first, per_region, [&](u64 place) {
		if (place - first < per_region)
			set(*region, place - first, State::used);
	});
	if (!loaded.ok()) {
		corbel_free(region);
		return loaded.error();
	}
	region->next = regions_[number % buckets];
	regions_[number % buckets] = region;
	return region;
}

Result<u64> Places::take(u64 end, State state, Load load, u64 from)
{
	u64 &next = from == anywhere ? next_ : from;

	if (next >= end)
		next = 0;
	/* Once around, and the first region again for what is before the start. */
	const u64 regions = (end + per_region - 1) / per_region;
	for (u64 i = 0; i <= regions && end; i++) {
		const u64 number = next / per_region, first = number * per_region;
		Region *region = CORBEL_TRY(load_region(number, load));
		const u64 count = end - first < per_region ? end - first : per_region;

		for (u64 at = next - first; region->free && at < count; at++) {
			if (state_of(*region, at) != State::free)
				continue;
			set(*region, at, state);
			next = first + at + 1;
			return first + at;
		}
		next = number + 1 < regions ? first + per_region : 0;
	}
	return Error::no_space;
}

Result<void> Places::release(u64 place, Load load)
{
	Region *region = CORBEL_TRY(load_region(place / per_region, load));
	const u64 at = place % per_region;

	switch (state_of(*region, at)) {
	case State::used:
		set(*region, at,
		    sabotaged(Sabotage::data_reused_before_commit) ? State::free : State::freed);
		return {};
	case State::fresh:
		set(*region, at, State::undone);
		return {};
	default:
		return Error::bad_message;
	}
}

/* Every place of regions with others than free and used ones becomes what @next says. */
template <typename Next>
void Places::change_all(Next &&next)
{
	for (Region *region : regions_)
		for (; region; region = region->next) {
			if (!region->touched)
				continue;
			region->touched = false;
			for (u64 at = 0; at < per_region; at++) {
				/* Whole words of free or used places are passed over. */
				const u64 word = region->words[at / per_word];
				if (at % per_word == 0 && !(word & 0xeeeeeeeeeeeeeeee)) {
					at += per_word - 1;
					continue;
				}
				set(*region, at, next(state_of(*region, at)));
			}
		}
}

void Places::committed()
{
	change_all([](State state) {
		switch (state) {
		case State::fresh:
			return State::used;
		case State::freed:
		case State::undone:
			return sabotaged(Sabotage::data_reused_before_drain) ? State::free
									     : State::waiting;
		default:
			return state;
		}
	});
}

void Places::aborted()
{
	change_all([](State state) {
		switch (state) {
		case State::fresh:
		case State::undone:
			return State::waiting;
		case State::freed:
			return State::used;
		default:
			return state;
		}
	});
}

bool Places::begin_drain()
{
	bool any = false;

	if (is_draining_)
		return false;
	change_all([&](State state) {
		if (state != State::waiting)
			return state;
		any = true;
		return State::draining;
	});
	is_draining_ = any;
	return any;
}

void Places::end_drain()
{
	change_all([](State state) { return state == State::draining ? State::free : state; });
	is_draining_ = false;
}

} /* namespace corbel::block */
