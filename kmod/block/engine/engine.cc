/* SPDX-License-Identifier: GPL-2.0 */
/* engine.cc - the worker: what is done in which order, commits and drains. */
#include "engine.hh"

namespace corbel::block {

static constexpr u64 second = 1000ULL * 1000 * 1000;
/* What is not flushed is committed after it, as by dm-thin. */
static constexpr u64 commit_interval = second;

Engine::~Engine()
{
	mutex_.destroy();
}

Result<void> Engine::open(u64 meta_blocks, u64 cache_bytes)
{
	/* Of nodes; the entries for find() take most, as they are what saves a way to here. */
	const u64 nodes = cache_bytes / 4 / meta_bytes;

	CORBEL_TRY(mutex_.init(rt::Role::block));
	lock_.init();
	CORBEL_TRY(pool_.open(meta_blocks, nodes < 256 ? 256 : static_cast<u32>(nodes),
			      Access::read_write));
	CORBEL_TRY(logical_.init(cache_bytes * 3 / 8));
	CORBEL_TRY(middle_.init(cache_bytes * 3 / 8));
	job_memory_ = CORBEL_TRY(
		rt::Pages::make(jobs * sizeof(corbel_block_job), rt::Pages::Use::kernel));
	auto *job = job_memory_.as<corbel_block_job>();
	for (u32 i = 0; i < jobs; i++, job++) {
		::new (static_cast<void *>(job)) corbel_block_job;
		job->engine = this;
		job->next = free_jobs_;
		free_jobs_ = job;
	}
	layout_ = moved_ = told_layout_ = corbel_monotonic_ns();
	return {};
}

Result<u16> Engine::device(const u8 *uuid, const char *tier, u64 blocks)
{
	const rt::MutexGuard guard(mutex_);
	Uuid wanted;
	std::size_t length = 0;

	for (u16 number = 0; number < max_devices; number++) {
		const DeviceV1 &device = super().devices[number];
		if (!device.blocks || __builtin_memcmp(device.uuid, uuid, sizeof(device.uuid)) != 0)
			continue;
		if (device.blocks > blocks)
			return Error::range;
		devices_ |= 1U << number;
		capacity_[number] = blocks;
		return number;
	}
	__builtin_memcpy(wanted.bytes, uuid, sizeof(wanted.bytes));
	while (length < tier_bytes && tier[length])
		length++;
	const u16 number = CORBEL_TRY(pool_.add_device(wanted, rt::Text(tier, length), blocks));
	devices_ |= 1U << number;
	capacity_[number] = blocks;
	retry(no_space_);
	kick();
	return number;
}

bool Engine::is_complete(u32 present, u8 *missing)
{
	const rt::MutexGuard guard(mutex_);

	for (u32 number = 0; number < max_devices; number++) {
		const DeviceV1 &device = super().devices[number];
		if (device.blocks && !(present >> number & 1)) {
			__builtin_memcpy(missing, device.uuid, sizeof(device.uuid));
			return false;
		}
	}
	return true;
}

Result<void> Engine::start(const corbel_engine_options &options)
{
	const rt::MutexGuard guard(mutex_);

	options_ = options;
	is_started_ = true;
	retry(no_space_);
	kick();
	return commit(Flush::needed);
}

Result<void> Engine::commit_all()
{
	const rt::MutexGuard guard(mutex_);

	return commit(Flush::all);
}

void Engine::quiesce()
{
	const rt::MutexGuard guard(mutex_);

	is_quiescent_ = true;
}

void Engine::stop()
{
	const rt::MutexGuard guard(mutex_);

	mover_.stop();
	if (!failed_.load(rt::Order::relaxed))
		(void)commit(Flush::all);
}

/* ---- commits and drains ----------------------------------------------------------------- */

Result<void> Engine::commit(Flush flush)
{
	u32 devices = flush == Flush::all ? devices_ : 0;

	for (u16 number = 0; number < max_devices; number++)
		if (pool_.needs_flush(number))
			devices |= 1U << number;
	/* In the maps is only what has been written to the devices. */
	if (devices)
		CORBEL_TRY(rt::check_shim(corbel_data_flush(shim_, devices)));
	if (!pool_.is_changed())
		return {};
	const auto committed = pool_.commit();
	if (!committed.ok()) {
		fail(committed.error());
		return committed;
	}
	committed_at_ = corbel_monotonic_ns();
	changed_.store(false, rt::Order::release);
	drain_due_ = true;
	return {};
}

/*
 * Metadata cannot be read or written. What was acknowledged since the last commit may be
 * lost, so that nobody may be told any more that it is safe.
 */
void Engine::fail(Error error)
{
	(void)error;
	if (failed_.load(rt::Order::relaxed))
		return;
	failed_.store(true, rt::Order::release);
	corbel_log_warn("corbel: a pool has failed: its metadata cannot be read or written; "
			"see the status of its device\n");
	corbel_pool_event(shim_);
	end_all(again_, Error::io);
	end_all(no_space_, Error::io);
	end_all(fua_, Error::io);
	end_all(flushes_, Error::io);
}

void Engine::ask_drain()
{
	if (drain_asked_ || is_quiescent_)
		return;
	if (drain_due_) {
		drain_due_ = false;
		pool_drains_ = pool_.begin_drain();
	}
	mover_drains_ = mover_.wants_drain();
	drain_asked_ = pool_drains_ || mover_drains_;
	if (drain_asked_)
		corbel_pool_call_drained(shim_);
}

void Engine::end_drain()
{
	drain_asked_ = false;
	if (mover_drains_)
		mover_.drained();
	if (pool_drains_)
		pool_.end_drain();
	pool_drains_ = mover_drains_ = false;
	retry(again_);
	retry(no_space_);
}

/* Where nothing else can be done before. Epochs end without the worker. */
void Engine::drain_now()
{
	if (pool_drains_) {
		corbel_pool_synchronize(shim_);
		pool_.end_drain();
		pool_drains_ = false;
	}
	/* What was given back since that one began. */
	if (pool_.begin_drain()) {
		corbel_pool_synchronize(shim_);
		pool_.end_drain();
	}
}

void Engine::drained()
{
	drained_.store(true, rt::Order::release);
	kick();
}

/* ---- space ---------------------------------------------------------------------------------- */

void Engine::note_full()
{
	if (!is_full_)
		corbel_pool_event(shim_);
	is_full_ = true;
}

void Engine::check_space()
{
	u64 free = 0;

	for (u16 number = 0; number < max_devices; number++)
		if (devices_ >> number & 1)
			free += pool_.free_blocks(number);
	const bool is_low =
		free < options_.low_water || pool_.usable_meta() < super().meta_blocks / 16;
	if (is_low && !is_low_)
		corbel_pool_event(shim_);
	is_low_ = is_low;
	if (free && pool_.usable_meta())
		is_full_ = false;
}

/* At once, and then not so often that those who listen do nothing else. */
void Engine::tell_layout(u64 now)
{
	static constexpr u64 apart = 100, millisecond = 1000 * 1000;

	if (told_layout_ == layout_)
		return;
	const u64 passed = (now - told_at_) / millisecond;
	if (passed < apart) {
		corbel_pool_kick_in(shim_, static_cast<u32>(apart - passed));
		return;
	}
	told_layout_ = layout_;
	told_at_ = now;
	corbel_pool_event(shim_);
}

void Engine::begin_deleting()
{
	is_deleting_ = true;
	/* It may be one that has been passed. */
	deleting_ = {};
}

void Engine::delete_step()
{
	static constexpr u32 steps = 16;

	for (u32 i = 0; is_deleting_ && i < steps && !failed_.load(rt::Order::relaxed); i++) {
		const auto next = pool_.next_volume(deleting_);
		if (!next.ok()) {
			is_deleting_ = false;
			deleting_ = {};
			return;
		}
		const VolumeId id = next.value(); /* it is ok */
		const auto volume = pool_.find_volume(id);
		if (!volume.ok()) {
			fail(volume.error());
			return;
		}
		if (!(volume.value().flags & volume_deleting)) {
			deleting_ = id;
			continue;
		}
		const auto done = pool_.delete_some(id);
		if (!done.ok() && done.error() == Error::again) {
			if (!commit(Flush::needed).ok())
				return;
		} else if (!done.ok()) {
			fail(done.error());
		}
	}
	if (is_deleting_)
		kick();
}

/* ---- the worker ----------------------------------------------------------------------------- */

void Engine::defer(corbel_request *request)
{
	const u64 flags = lock_.lock();

	deferred_.push(request);
	lock_.unlock(flags);
	kick();
}

/* False: there was nothing to do. */
bool Engine::work_once()
{
	const u64 flags = lock_.lock();
	deferred_now_.take(deferred_);
	corbel_block_job *ended = ended_;
	ended_ = nullptr;
	lock_.unlock(flags);

	bool any = ended || !deferred_now_.empty();
	if (drained_.exchange(false, rt::Order::acq_rel)) {
		end_drain();
		any = true;
	}
	while (ended) {
		corbel_block_job *job = ended;

		ended = job->next;
		finish_job(job);
	}
	RequestList now;
	now.take(deferred_now_);
	while (corbel_request *request = now.pop())
		handle(request);
	any |= !is_quiescent_ && mover_.step();
	if (pool_.is_broken())
		fail(Error::io);
	note_changed();
	return any;
}

void Engine::work()
{
	static constexpr u32 passes = 16;
	const rt::MutexGuard guard(mutex_);

	bool any = true;
	for (u32 i = 0; any && i < passes; i++)
		any = work_once();
	delete_step();
	const u64 now = corbel_monotonic_ns();
	const bool is_due = pool_.is_changed() && now - committed_at_ >= commit_interval;
	if (!failed_.load(rt::Order::relaxed) &&
	    (is_due || !flushes_.empty() || !fua_.empty() || !again_.empty())) {
		const auto committed = commit(flushes_.empty() ? Flush::needed : Flush::all);

		while (corbel_request *request = flushes_.pop())
			corbel_request_end(request, committed.to_errno());
		/* Before anything changes again. */
		while (corbel_request *request = fua_.pop())
			if (committed.ok())
				handle(request);
			else
				corbel_request_end(request, committed.to_errno());
	}
	ask_drain();
	if (!again_.empty() && !drain_asked_) {
		/* Nothing will come free by waiting. */
		again_is_final_ = true;
		retry(again_);
		(void)work_once();
		again_is_final_ = false;
	}
	expire_waiting(now);
	check_space();
	tell_layout(now);
	if (any || !deferred_now_.empty())
		kick();
	else if (pool_.is_changed())
		corbel_pool_kick_in(shim_, 1000);
}

/* ---- volumes -------------------------------------------------------------------------------- */

Result<corbel_volume *> Engine::open_volume(VolumeId id, u64 blocks)
{
	const rt::MutexGuard guard(mutex_);

	if (!is_started_)
		return Error::no_device;
	const auto found = CORBEL_TRY(pool_.find_volume(id));
	if (found.flags & volume_deleting)
		return Error::not_found;
	if (blocks > found.blocks)
		return Error::range;
	void *memory = corbel_alloc(sizeof(corbel_volume), true);
	if (!memory)
		return Error::no_memory;
	/* One that is open already, in the table before, is the same for all that is kept. */
	corbel_volume *before = opened(id);
	auto *volume = ::new (memory) corbel_volume{
		*this, id, blocks, (found.flags & volume_read_only) != 0, {}, {}, {}, {}, {}};
	volume->owner = before ? before->owner : next_owner_++;
	volume->mark.store(before ? before->mark.load(rt::Order::relaxed) : next_mark_++,
			   rt::Order::relaxed);
	/* What was changed while nobody had it open is not known. */
	note_layout(*volume);
	volumes_.push_back(*volume);
	return volume;
}

void Engine::close_volume(corbel_volume *volume)
{
	const rt::MutexGuard guard(mutex_);

	volumes_.remove(*volume);
	/* Another table's, which takes its place. */
	if (corbel_volume *other = opened(volume->id); other && other->layout < volume->layout)
		other->layout = volume->layout;
	volume->~corbel_volume();
	corbel_free(volume);
}

corbel_volume *Engine::opened(VolumeId id)
{
	for (corbel_volume &volume : volumes_)
		if (volume.id == id)
			return &volume;
	return nullptr;
}

} /* namespace corbel::block */
