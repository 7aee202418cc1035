/* SPDX-License-Identifier: GPL-2.0 */
/* requests.cc - what becomes of a request that could not be answered from memory. */
#include "engine.hh"

namespace corbel::block {

/* Logical entries: 0 unknown, 1 a hole, else ... */
static constexpr u64 hole = 1;
static constexpr u64 own = 1; /* may be written in place, if the mark is the volume's */

static constexpr u64 logical_entry(Mba mba, bool is_own)
{
	return (mba.value + 1) << 1 | (is_own ? own : 0);
}
static constexpr Mba mba_of(u64 entry)
{
	return {(entry >> 1) - 1};
}

/* Middle entries: 0 unknown, else ... */
static constexpr u64 moving = 1;

static constexpr u64 middle_entry(Pba pba, bool is_moving)
{
	return (pba.packed() + 1) << 1 | (is_moving ? moving : 0);
}
static constexpr Pba pba_of(u64 entry)
{
	return Pba::unpack((entry >> 1) - 1);
}

static constexpr u32 of_pool = 0; /* owner of middle entries */

corbel_found Engine::find(corbel_volume &volume, u64 block, bool write, u32 *device, u64 *place)
{
	u32 mark;

	if (write && (gate_.load(rt::Order::acquire) || failed_.load(rt::Order::relaxed)))
		return CORBEL_FOUND_NOTHING;
	const u64 entry = logical_.find(volume.owner, block, &mark);
	if (entry <= hole)
		return entry == hole && !write ? CORBEL_FOUND_HOLE : CORBEL_FOUND_NOTHING;
	if (write && (!(entry & own) || mark != volume.mark.load(rt::Order::acquire)))
		return CORBEL_FOUND_NOTHING;
	const u64 middle = middle_.find(of_pool, mba_of(entry).value);
	if (!middle || (write && middle & moving))
		return CORBEL_FOUND_NOTHING;
	const Pba pba = pba_of(middle);
	heat_.note(mba_of(entry));
	*device = pba.device;
	*place = pba.block;
	return CORBEL_FOUND_PLACE;
}

/* ---- filling of what find() reads -------------------------------------------------------- */

Result<u64> Engine::load_logical(corbel_volume &volume, Lba lba)
{
	const auto chunk = CORBEL_TRY(logical_.chunk(volume.owner, lba.value));
	u64 *entry = &chunk.entries[lba.value % MapCache::per_chunk];

	if (*entry)
		return *entry;
	u64 found[MapCache::per_chunk];
	const u64 first = lba.value - lba.value % MapCache::per_chunk;
	for (u64 &each : found)
		each = hole;
	CORBEL_TRY(
		pool_.read_logical(volume.id, {first}, MapCache::per_chunk, [&](Lba at, Mba mba) {
			found[at.value - first] = logical_entry(mba, false);
		}));
	for (u32 i = 0; i < MapCache::per_chunk; i++)
		if (!chunk.entries[i])
			rt::atomic_store(&chunk.entries[i], found[i], rt::Order::release);
	return *entry;
}

Result<Pba> Engine::place_of(Mba mba)
{
	const auto chunk = CORBEL_TRY(middle_.chunk(of_pool, mba.value));
	u64 *entry = &chunk.entries[mba.value % MapCache::per_chunk];

	if (!*entry) {
		const u64 first = mba.value - mba.value % MapCache::per_chunk;
		CORBEL_TRY(pool_.read_middle({first}, MapCache::per_chunk, [&](Mba at, Pba pba) {
			if (!chunk.entries[at.value - first])
				rt::atomic_store(&chunk.entries[at.value - first],
						 middle_entry(pba, mover_.has(at)),
						 rt::Order::release);
		}));
	}
	if (!*entry)
		return Error::bad_message;
	return pba_of(*entry);
}

/* It may be written in place until somebody shares it. */
void Engine::note_own(corbel_volume &volume, Lba lba, Mba mba, Pba pba)
{
	/* Before anybody can write to it with FUA, and believe that what leads to it is safe. */
	note_changed();
	/* A chunk that is there is always found: without memory, nothing was known either. */
	(void)middle_.chunk(of_pool, mba.value);
	note_place(mba, pba);
	const auto made = logical_.chunk(volume.owner, lba.value);
	if (!made.ok())
		return;
	const auto chunk = made.value(); /* it is ok */
	const u32 mark = volume.mark.load(rt::Order::relaxed);
	logical_.change(volume.owner, lba.value, [&] {
		for (u32 i = 0; *chunk.mark != mark && i < MapCache::per_chunk; i++)
			if (chunk.entries[i] > hole)
				rt::atomic_store(&chunk.entries[i], chunk.entries[i] & ~own,
						 rt::Order::relaxed);
		rt::atomic_store(chunk.mark, mark, rt::Order::relaxed);
		rt::atomic_store(&chunk.entries[lba.value % MapCache::per_chunk],
				 logical_entry(mba, true), rt::Order::relaxed);
	});
}

void Engine::note_place(Mba mba, Pba pba)
{
	middle_.set(of_pool, mba.value, middle_entry(pba, mover_.has(mba)));
}

/* ---- reads and writes ------------------------------------------------------------------------ */

void Engine::submit(corbel_request *request, Pba pba)
{
	corbel_request_submit(shim_, request, pba.device, pba.block);
}

void Engine::submit_counted(corbel_request *request, Mba mba, Pba pba)
{
	heat_.note(mba);
	submit(request, pba);
}

corbel_block_job *Engine::job_of(const corbel_volume *volume, u64 block)
{
	for (corbel_block_job &job : buckets_[block % buckets])
		if (job.volume->id == volume->id && job.lba == Lba{block})
			return &job;
	return nullptr;
}

void Engine::handle(corbel_request *request)
{
	if (failed_.load(rt::Order::relaxed)) {
		corbel_request_end(request, rt::to_errno(Error::io));
		return;
	}
	switch (request->kind) {
	case CORBEL_REQUEST_FLUSH:
		flushes_.push(request);
		break;
	case CORBEL_REQUEST_DISCARD:
		handle_discard(request);
		break;
	default:
		handle_access(request);
		break;
	}
}

void Engine::handle_access(corbel_request *request)
{
	corbel_volume &volume = *request->volume;
	const Lba lba{request->block};

	if (corbel_block_job *job = job_of(&volume, lba.value)) {
		job->waiting.push(request);
		return;
	}
	const auto done = [&]() -> Result<void> {
		if (request->kind == CORBEL_REQUEST_READ) {
			const u64 entry = CORBEL_TRY(load_logical(volume, lba));
			if (entry == hole)
				corbel_request_zeroes(request);
			else
				submit_counted(request, mba_of(entry),
					       CORBEL_TRY(place_of(mba_of(entry))));
			return {};
		}
		const auto plan = CORBEL_TRY(pool_.begin_write(volume.id, lba, placement_));
		if (plan.kind != WritePlan::Kind::in_place) {
			start_job(request, plan);
			return {};
		}
		if (mover_.has(plan.mba)) {
			mover_.wait(request);
			return {};
		}
		note_own(volume, lba, plan.mba, plan.pba);
		/* What leads to it has to be durable as well when it ends. */
		if (request->fua && pool_.is_changed())
			fua_.push(request);
		else
			submit_counted(request, plan.mba, plan.pba);
		return {};
	}();
	if (!done.ok())
		no_room(request, done.error());
}

void Engine::start_job(corbel_request *request, const WritePlan &plan)
{
	corbel_block_job *job = free_jobs_;

	if (!job) {
		pool_.cancel_write(plan);
		no_job_.push(request);
		return;
	}
	free_jobs_ = job->next;
	job->volume = request->volume;
	job->lba = {request->block};
	job->plan = plan;
	job->write = request;
	job->error.store(0, rt::Order::relaxed);
	buckets_[request->block % buckets].push_back(*job);
	request->job = job;

	const u32 end = request->first + request->sectors, size = block_sectors();
	corbel_place rest{plan.pba.device, plan.pba.block, 0, 0};
	if (!request->first)
		rest.first = end, rest.sectors = size - end;
	else
		/* One copy of all, with what is written in the middle, is cheaper than two. */
		rest.sectors = end == size ? request->first : size;
	job->is_overwritten = request->first && end != size;
	job->parts.store(rest.sectors ? 2 : 1, rt::Order::relaxed);
	job->epoch = corbel_pool_enter(shim_);
	if (plan.kind == WritePlan::Kind::copied && rest.sectors) {
		const corbel_place from{plan.old.device, plan.old.block, rest.first, rest.sectors};

		corbel_place_copy(shim_, &from, &rest, job);
	} else if (rest.sectors) {
		corbel_place_zero(shim_, &rest, job);
	}
	if (!job->is_overwritten)
		submit_for_job(*job);
}

void Engine::submit_for_job(corbel_block_job &job)
{
	corbel_request_submit_for_job(shim_, job.write, job.plan.pba.device, job.plan.pba.block);
}

void Engine::copied(corbel_block_job &job, int error)
{
	if (job.is_overwritten && error)
		part_ended(job, error);
	else if (job.is_overwritten)
		submit_for_job(job);
	part_ended(job, error);
}

void Engine::part_ended(corbel_block_job &job, int error)
{
	if (error)
		job.error.store(error, rt::Order::relaxed);
	if (job.parts.fetch_sub(1, rt::Order::acq_rel) == 1)
		job_ended(&job);
}

void Engine::job_ended(corbel_block_job *job)
{
	corbel_pool_leave(shim_, job->epoch);
	const u64 flags = lock_.lock();
	job->next = ended_;
	ended_ = job;
	lock_.unlock(flags);
	kick();
}

/* Its numbers may have to come free first, by a commit and a drain. */
Result<Mba> Engine::finish_write(corbel_block_job &job)
{
	for (u32 attempt = 0;; attempt++) {
		const auto finished = pool_.finish_write(job.volume->id, job.lba, job.plan);

		if (finished.ok() || finished.error() == Error::stale || attempt == 2 ||
		    pool_.is_broken())
			return finished;
		if (attempt == 0)
			CORBEL_TRY(commit(Flush::needed));
		else
			drain_now();
	}
}

void Engine::finish_job(corbel_block_job *job)
{
	corbel_request *write = job->write;
	int error = job->error.load(rt::Order::relaxed);

	if (!error && !failed_.load(rt::Order::relaxed)) {
		const auto mba = finish_write(*job);

		if (mba.ok()) {
			note_own(*job->volume, job->lba, mba.value(), job->plan.pba); /* ok */
			note_layout(*job->volume);
			heat_.note(mba.value());
		} else {
			error = mba.to_errno();
			if (mba.error() != Error::stale && !pool_.is_broken())
				pool_.cancel_write(job->plan);
			if (pool_.is_broken())
				fail(mba.error());
		}
	} else {
		error = error ? error : rt::to_errno(Error::io);
		if (!pool_.is_broken())
			pool_.cancel_write(job->plan);
	}
	buckets_[job->lba.value % buckets].remove(*job);
	deferred_now_.take(job->waiting);
	deferred_now_.take(no_job_);
	job->next = free_jobs_;
	free_jobs_ = job;
	if (write->fua && !error)
		flushes_.push(write);
	else
		corbel_request_end(write, error);
}

void Engine::handle_discard(corbel_request *request)
{
	corbel_volume &volume = *request->volume;

	for (auto &bucket : buckets_)
		for (corbel_block_job &job : bucket)
			if (job.volume->id == volume.id &&
			    job.lba.value - request->block < request->blocks) {
				job.waiting.push(request);
				return;
			}
	while (request->blocks) {
		const auto done = pool_.discard(volume.id, {request->block}, request->blocks);

		if (!done.ok()) {
			no_room(request, done.error());
			return;
		}
		const u64 count = done.value(); /* it is ok */
		for (u64 i = 0; i < count; i++)
			logical_.set(volume.owner, request->block + i, hole);
		note_layout(volume);
		request->block += count;
		request->blocks -= count;
	}
	corbel_request_end(request, 0);
}

/* ---- waiting --------------------------------------------------------------------------------- */

void Engine::no_room(corbel_request *request, Error error)
{
	if (error == Error::again && !again_is_final_) {
		again_.push(request);
		return;
	}
	if (error == Error::again)
		error = Error::no_space;
	if (error == Error::no_space) {
		note_full();
		if (!options_.error_if_no_space) {
			if (!request->volume->is_stopping) {
				if (!waiting_since_)
					waiting_since_ = corbel_monotonic_ns();
				no_space_.push(request);
				return;
			}
		}
	} else if (error != Error::permission && error != Error::range &&
		   error != Error::no_memory) {
		fail(error);
	}
	corbel_request_end(request, rt::to_errno(error));
}

void Engine::expire_waiting(u64 now)
{
	static constexpr u64 patience = u64{60} * 1000 * 1000 * 1000;

	if (no_space_.empty()) {
		waiting_since_ = 0;
		return;
	}
	if (now - waiting_since_ < patience)
		corbel_pool_kick_in(shim_, 1000);
	else
		end_all(no_space_, Error::no_space);
}

void Engine::end_all(RequestList &list, Error error)
{
	while (corbel_request *request = list.pop())
		corbel_request_end(request, rt::to_errno(error));
}

void Engine::set_stopping(corbel_volume *volume, bool stopping)
{
	const rt::MutexGuard guard(mutex_);
	RequestList others;

	volume->is_stopping = stopping;
	if (!stopping)
		return;
	while (corbel_request *request = no_space_.pop())
		if (request->volume == volume)
			corbel_request_end(request, rt::to_errno(Error::no_space));
		else
			others.push(request);
	no_space_.take(others);
}

} /* namespace corbel::block */
