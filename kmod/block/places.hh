/* SPDX-License-Identifier: GPL-2.0 */
/*
 * places.hh - which numbers of a map are free: blocks of a data device, or MBAs.
 *
 * What is in use is told by the keys of the map alone (reverse or middle); here it is
 * remembered, by regions that are read when they are first looked at, together with what the
 * map does not tell:
 *
 *   free --take--> fresh --commit--> used --release--> freed --commit--> waiting
 *    |               |                ^                  |                  |
 *    |               |                +------abort-------+            begin_drain
 *    |               +--release--> undone ---commit, abort---> waiting      |
 *    |               +--abort------------------------------> waiting        v
 *    +--reserve--> reserved --confirm--> fresh                          draining
 *    ^                 |                                                    |
 *    +-----cancel------+<---------------------end_drain---------------------+
 *
 * A place that was given back is not given out before the transaction that did it is
 * committed, as the last committed state still has it; and not before those who may have
 * looked it up are done with it (a drain), as they would read or write what is another's.
 *
 * A region takes 2 KiB for 4096 places: 8 MiB for 1 TiB of 64 KiB blocks, if all are visited.
 */
#pragma once

#include "../rt/function_ref.hh"
#include "../rt/memory.hh"
#include "sabotage.hh"
#include "types.hh"

namespace corbel::block {

class Places {
public:
	enum class State : u8 { free, used, fresh, freed, undone, waiting, draining, reserved };

	Places() = default;
	Places(const Places &) = delete;
	Places &operator=(const Places &) = delete;
	~Places();

	/* Tells which of @count places from @first on the map has: @mark(place). Task. */
	using Mark = rt::FunctionRef<void(u64 place)>;
	using Load = rt::FunctionRef<Result<void>(u64 first, u64 count, Mark mark)>;

	/*
	 * A free one below @end, which becomes @state, fresh or reserved. It is the next one
	 * behind what was taken last, or the first from @from on, which leaves what others get
	 * as it was. Task; no_space: there is none.
	 */
	static constexpr u64 anywhere = ~u64{0};
	Result<u64> take(u64 end, State state, Load load, u64 from = anywhere);
	/* One that is in use is not any more; before the map forgets it. Task. */
	Result<void> release(u64 place, Load load);
	/* That which is reserved. */
	void confirm(u64 place) { set_known(place, State::fresh); }
	void cancel(u64 place) { set_known(place, State::free); }

	void committed();
	void aborted();
	/* False: there is nothing to drain. Not while another drain is under way. */
	bool begin_drain();
	void end_drain();

	/* Neither in use nor free. */
	[[nodiscard]] u64 held() const { return held_; }
	/* Of these, those that come free without anybody's doing but commit and drain. */
	[[nodiscard]] u64 reserved() const { return reserved_; }

private:
	static constexpr u64 per_region = 4096;
	static constexpr u32 per_word = 16, buckets = 128;

	struct Region {
		Region *next; /* of the bucket */
		u64 number;
		u32 free;
		bool touched; /* has places that are neither free nor used */
		u64 words[per_region / per_word];
	};

	static State state_of(const Region &region, u64 at)
	{
		return static_cast<State>(region.words[at / per_word] >> (at % per_word * 4) & 15);
	}
	static bool is_held(State state)
	{
		return state != State::free && state != State::used && state != State::fresh;
	}
	void set(Region &region, u64 at, State state);
	void set_known(u64 place, State state);
	Region *find(u64 number);
	Result<Region *> load_region(u64 number, Load load);
	template <typename Next>
	void change_all(Next &&next);

	Region *regions_[buckets]{};
	u64 next_ = 0, held_ = 0, reserved_ = 0;
	bool is_draining_ = false;
};

} /* namespace corbel::block */
