/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mover.hh - empties a part of a data device, block by block, while it is in use; or gathers
 * blocks of a volume, in their order, where there is room for them side by side.
 *
 *   pick a few blocks --> keep writes from them --> (drain: writes under way have ended)
 *        ^                                              |
 *        +--- change a middle entry each <--- copied <--+
 *
 * Reads go on throughout. Writes to the few blocks of a batch wait for it. What is moved lies
 * in memory alone until it is committed with all else; a mover that is cut off is begun again,
 * and finds what is left. How fast it goes is said by the Throttle.
 */
#pragma once

#include "../../rt/atomic.hh"
#include "../move.hh"
#include "../places.hh"
#include "../throttle.hh"
#include "request_list.hh"

namespace corbel::block {

class Engine;
class Reply;

class Mover {
public:
	explicit Mover(Engine &engine) : engine_(engine) {}

	/* Below: with the engine's mutex. */

	/* What it is asked for. */
	static constexpr u64 any_device = ~u64{0};
	struct Wish {
		u16 device;
		u64 first, last; /* places of @device, or blocks of @volume */
		u64 to; /* a device, or any_device */
		u64 target; /* of Throttle, ns */
		/* Of blocks that are so hot, so many at most. */
		u8 coldest = 0, hottest = 255;
		u64 most = ~u64{0};
		/* To be gathered on @device, which is @to, from @place on, as far as that is free. */
		VolumeId volume{};
		u64 place = Places::anywhere;
	};
	/* busy: it runs; invalid; not_found: the volume. */
	Result<void> start(const Wish &wish);
	void cancel();
	/* No copy is under way and the worker runs no more. */
	void stop();
	[[nodiscard]] bool is_running() const { return state_ == State::running; }
	/* The next step, if it can be made; false: it cannot. */
	bool step();
	/* Writes that were under way when the batch was picked have to end. */
	[[nodiscard]] bool wants_drain() const { return stage_ == Stage::draining && !drained_; }
	void drained() { drained_ = true; }
	/* It may not be written to now. */
	[[nodiscard]] bool has(Mba mba) const;
	void wait(corbel_request *request) { waiting_.push(request); }
	void report(Reply &reply) const;

	/* Atomic. */
	void copied(int error);
	void note(u64 begun, u64 now) { throttle_.note(begun, now); }

private:
	enum class State : u8 { idle, running, done, failed, cancelled };
	enum class Stage : u8 { picking, draining, copying };
	static constexpr u32 batch = Throttle::most_blocks;

	static constexpr u32 most_looks = 4096; /* at blocks, a step */

	struct Found {
		Mba mba;
		u64 at; /* where next_ is then */
	};

	[[nodiscard]] bool gathers() const { return volume_.value; }
	void drop(Move &move);
	Result<u32> find_places(Found *found, u32 most);
	Result<u32> find_blocks(Found *found, u32 most);
	bool pick();
	bool begin(const Found *found, u32 count);
	void copy();
	bool finish();
	void end(State state, int error = 0);

	Engine &engine_;
	State state_ = State::idle;
	Stage stage_ = Stage::picking;
	bool is_cancelled_ = false, drained_ = false;
	u16 device_ = 0;
	u64 first_ = 0, next_ = 0, last_ = 0, to_ = 0;
	VolumeId volume_{};
	u64 place_ = 0; /* where the next block of the volume belongs */
	u64 batch_began_ = 0; /* ns */
	u8 coldest_ = 0, hottest_ = 255;
	u64 left_ = 0; /* blocks that may still be moved */
	int error_ = 0;
	Move moves_[batch];
	u32 count_ = 0;
	rt::Atomic<u32> copying_{0};
	rt::Atomic<int> copy_error_{0};
	RequestList waiting_;
	Throttle throttle_;
	u64 moved_ = 0, skipped_ = 0, middle_ = 0, reverse_ = 0, bytes_ = 0, bytes_before_ = 0;
};

} /* namespace corbel::block */
