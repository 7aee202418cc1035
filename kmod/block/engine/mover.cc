/* SPDX-License-Identifier: GPL-2.0 */
#include "engine.hh"

namespace corbel::block {

Result<void> Mover::start(const Wish &wish)
{
	const auto *devices = engine_.super().devices;

	if (is_running())
		return Error::busy;
	if (wish.device >= max_devices || !devices[wish.device].blocks || wish.first > wish.last ||
	    (wish.to != any_device && (wish.to >= max_devices || !devices[wish.to].blocks)))
		return Error::invalid;
	u64 end = devices[wish.device].blocks;
	if (wish.volume.value) {
		const auto volume = CORBEL_TRY(engine_.pool_.find_volume(wish.volume));
		if (volume.flags & volume_deleting)
			return Error::not_found;
		if (wish.first >= volume.blocks || wish.place >= end)
			return Error::range;
		end = volume.blocks;
	}
	state_ = State::running;
	stage_ = Stage::picking;
	is_cancelled_ = drained_ = false;
	device_ = wish.device;
	first_ = next_ = wish.first;
	last_ = wish.last < end ? wish.last : end - 1;
	volume_ = wish.volume;
	place_ = wish.place;
	to_ = wish.to;
	coldest_ = wish.coldest;
	hottest_ = wish.hottest;
	left_ = wish.most;
	error_ = 0;
	count_ = 0;
	moved_ = skipped_ = middle_ = reverse_ = 0;
	bytes_before_ = engine_.pool_.written().bytes;
	throttle_.begin(wish.target, corbel_monotonic_ns());
	corbel_pool_measure(engine_.shim_, true);
	engine_.kick();
	return {};
}

void Mover::cancel()
{
	is_cancelled_ = is_running();
	engine_.kick();
}

void Mover::stop()
{
	for (u32 i = 0; i < count_; i++)
		drop(moves_[i]);
	count_ = 0;
	state_ = State::idle;
	corbel_pool_measure(engine_.shim_, false);
}

/* Also of a pool that is broken, where finish_move may have gone half of the way. */
void Mover::drop(Move &move)
{
	if (move.of_pool.linked())
		engine_.pool_.cancel_move(move);
}

bool Mover::has(Mba mba) const
{
	for (u32 i = 0; i < count_; i++)
		if (moves_[i].mba == mba)
			return true;
	return false;
}

bool Mover::step()
{
	if (!is_running())
		return false;
	switch (stage_) {
	case Stage::picking:
		return pick();
	case Stage::draining:
		if (!drained_)
			return false;
		copy();
		return true;
	case Stage::copying:
		if (copying_.load(rt::Order::acquire))
			return false;
		return finish();
	}
	return false;
}

/* Of the device. None: next_ has gone on. */
Result<u32> Mover::find_places(Found *found, u32 most)
{
	u64 behind = last_ + 1;
	u32 count = 0, looks = 0;

	CORBEL_TRY(engine_.pool_.walk_device(device_, next_, last_,
					     [&](Pba pba, Mba mba) -> Result<bool> {
						     const u8 heat = engine_.heat_.of(mba);
						     if (heat >= coldest_ && heat <= hottest_)
							     found[count++] = {mba, pba.block};
						     if (++looks == most_looks)
							     behind = pba.block + 1;
						     return count < most && looks < most_looks;
					     }));
	if (!count)
		next_ = behind;
	return count;
}

/* Of the volume: those that are not where they belong, up to one that is. The same. */
Result<u32> Mover::find_blocks(Found *found, u32 most)
{
	u64 behind = last_ + 1, place = place_;
	u32 count = 0, looks = 0;

	CORBEL_TRY(engine_.pool_.walk_volume(
		volume_, {next_}, [&](Lba lba, Mba mba, Pba pba) -> Result<bool> {
			if (lba.value > last_)
				return false;
			const bool belongs = pba == Pba{device_, place};
			if (belongs && count)
				return false;
			place++;
			if (belongs) {
				place_ = place;
				next_ = lba.value + 1;
			} else {
				found[count++] = {mba, lba.value};
			}
			if (++looks == most_looks)
				behind = lba.value + 1;
			return count < most && looks < most_looks;
		}));
	if (!count)
		next_ = behind;
	return count;
}

/* False: it waits for space, or for a commit. */
bool Mover::begin(const Found *found, u32 count)
{
	Placement placement{.device = to_ == any_device ? u16{0} : static_cast<u16>(to_),
			    .only = to_ != any_device};

	for (u32 i = 0; i < count; i++) {
		if (gathers())
			placement.from = place_;
		Move &move = moves_[count_];
		const auto begun = engine_.pool_.begin_move(move, found[i].mba, placement);

		if (!begun.ok() && begun.error() == Error::again && !count_) {
			/* Places that others gave back come free by a commit and a drain. */
			if (engine_.pool_.is_changed() &&
			    engine_.commit(Engine::Flush::needed).ok())
				return false;
			if (engine_.drain_asked_ || engine_.drain_due_)
				return false;
		}
		/* The room is at its end, or others were there first: nothing goes elsewhere. */
		const bool is_over = gathers() && (begun.ok() ? move.to.block != place_
							      : begun.error() == Error::no_space);
		if (is_over && begun.ok())
			engine_.pool_.cancel_move(move);
		if (is_over || !begun.ok()) {
			if (!count_ && is_over)
				end(State::done);
			else if (!count_)
				end(State::failed, begun.to_errno());
			break;
		}
		/* To where it was to be taken from: there is nowhere better. */
		if (!gathers() && move.to.device == device_ && move.to.block >= first_ &&
		    move.to.block <= last_) {
			engine_.pool_.cancel_move(move);
			if (!count_)
				end(State::failed, rt::to_errno(Error::no_space));
			break;
		}
		next_ = found[i].at + 1;
		place_++;
		left_--;
		count_++;
		engine_.note_place(move.mba, move.from);
	}
	return true;
}

/* Keeps writes from the next few blocks. False: it waits for space, a commit, or its turn. */
bool Mover::pick()
{
	if (is_cancelled_ || next_ > last_ || !left_) {
		end(is_cancelled_ ? State::cancelled : State::done);
		return true;
	}
	if (engine_.failed_.load(rt::Order::relaxed)) {
		end(State::failed, rt::to_errno(Error::io));
		return true;
	}
	const u64 now = corbel_monotonic_ns();
	if (const u64 wait = throttle_.wait(now)) {
		corbel_pool_kick_in(engine_.shim_, static_cast<u32>((wait + 999999) / 1000000));
		return false;
	}
	Found found[batch];
	const u32 most = left_ < throttle_.blocks() ? static_cast<u32>(left_) : throttle_.blocks();
	const auto count = gathers() ? find_blocks(found, most) : find_places(found, most);
	if (!count.ok()) {
		end(State::failed, count.to_errno());
		return true;
	}
	if (!count.value()) /* it is ok */
		return true;
	if (!begin(found, count.value())) /* it is ok */
		return false;
	if (count_) {
		stage_ = Stage::draining;
		drained_ = false;
		batch_began_ = now;
	}
	return true;
}

void Mover::copy()
{
	stage_ = Stage::copying;
	copy_error_.store(0, rt::Order::relaxed);
	copying_.store(count_, rt::Order::release);
	for (u32 i = 0; i < count_; i++) {
		const corbel_place from{moves_[i].from.device, moves_[i].from.block, 0,
					engine_.block_sectors()};
		const corbel_place to{moves_[i].to.device, moves_[i].to.block, 0,
				      engine_.block_sectors()};

		corbel_place_move(engine_.shim_, &from, &to, this);
	}
}

void Mover::copied(int error)
{
	if (error)
		copy_error_.store(error, rt::Order::relaxed);
	if (copying_.fetch_sub(1, rt::Order::acq_rel) == 1)
		engine_.kick();
}

bool Mover::finish()
{
	const int error = copy_error_.load(rt::Order::relaxed);
	Mba done[batch];
	Pba places[batch];
	u32 count = 0;

	for (u32 i = 0; i < count_; i++) {
		Move &move = moves_[i];
		const Written before = engine_.pool_.written();
		Result<void> finished = Error::io;

		for (u32 attempt = 0; !error && attempt < 2; attempt++) {
			finished = engine_.pool_.finish_move(move);
			if (finished.ok() || finished.error() != Error::again || attempt ||
			    !engine_.commit(Engine::Flush::needed).ok())
				break;
		}
		const Written after = engine_.pool_.written();
		middle_ += after.middle - before.middle;
		reverse_ += after.reverse - before.reverse;
		moved_ += finished.ok();
		if (finished.ok()) {
			places[count] = move.to;
			done[count++] = move.mba;
			continue;
		}
		/* Freed meanwhile: there is nothing to be moved. */
		skipped_++;
		if (finished.error() == Error::stale)
			continue;
		drop(move);
		places[count] = move.from;
		done[count++] = move.mba;
		error_ = finished.to_errno();
	}
	count_ = 0;
	/* Before anybody can write to the new places with FUA. */
	engine_.note_changed();
	engine_.note_moved();
	for (u32 i = 0; i < count; i++)
		engine_.note_place(done[i], places[i]);
	engine_.retry(waiting_);
	throttle_.moved(batch_began_, corbel_monotonic_ns());
	stage_ = Stage::picking;
	if (error_)
		end(State::failed, error_);
	return true;
}

void Mover::end(State state, int error)
{
	state_ = state;
	error_ = error;
	throttle_.end(corbel_monotonic_ns());
	corbel_pool_measure(engine_.shim_, false);
	/* What was moved is where it is said to be, whatever happens. */
	const auto committed = engine_.commit(Engine::Flush::needed);
	if (!committed.ok() && state_ != State::failed) {
		state_ = State::failed;
		error_ = committed.to_errno();
	}
	bytes_ = engine_.pool_.written().bytes - bytes_before_;
	corbel_pool_event(engine_.shim_);
}

void Mover::report(Reply &reply) const
{
	switch (state_) {
	case State::idle:
		reply << "idle";
		break;
	case State::running:
		reply << "running";
		break;
	case State::done:
		reply << "done";
		break;
	case State::failed:
		reply << "failed " << static_cast<u64>(-error_);
		break;
	case State::cancelled:
		reply << "cancelled";
		break;
	}
	const u64 bytes =
		state_ == State::running ? engine_.pool_.written().bytes - bytes_before_ : bytes_;
	for (const u64 number :
	     {u64{device_}, first_, next_, last_, moved_, middle_, reverse_, bytes, skipped_,
	      throttle_.target() / 1000, throttle_.seen() / 1000, throttle_.paused() / 1000000,
	      volume_.value})
		reply << " " << number;
}

} /* namespace corbel::block */

void corbel_block_move_ended(void *move, int error)
{
	static_cast<corbel::block::Mover *>(move)->copied(error);
}
