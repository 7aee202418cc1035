/* SPDX-License-Identifier: GPL-2.0 */
/*
 * engine.hh - a pool at work: requests of volumes, copies, commits, drains, movers.
 *
 * The Pool says what the maps are; the engine sees to what its caller has to (see pool.hh).
 * There is one mutex around everything but find(), which reads what is kept of the maps in
 * memory (see map_cache.hh) while it holds an epoch.
 *
 *   logical entries   (volume's owner number, Lba) -> hole, or Mba and whether it may be
 *                     written in place; the latter only if the chunk's mark is the volume's,
 *                     which changes with each snapshot
 *   middle entries    Mba -> place, or "being moved": may be read, not written
 *
 * Moving a block changes one middle entry here too, whoever else has looked it up.
 *
 *   write to what is not the volume's own: begin_write, copy and write to the new place,
 *   finish_write, then it ends. Who else comes for the block meanwhile waits with the job.
 *   Nothing is in the maps before it is on a device, so a commit waits for no copy.
 *
 *   flush: flush the data devices, commit, end all flushes that came before.
 *
 *   layout: a number that grows with what maps say, told by events that are 100 ms apart.
 *
 *   snapshot: no write is let in (gate), those under way are waited for, the maps are
 *   changed and committed, writes go on.
 */
#pragma once

#include "../../rt/lock.hh"
#include "../heat.hh"
#include "../map_cache.hh"
#include "mover.hh"
#include "../pool.hh"
#include "../reply.hh"
#include "request_list.hh"
#include "../target.h"

namespace corbel::block {
class Engine;
}

/* A volume that is in use. */
struct corbel_volume {
	corbel::block::Engine &engine;
	corbel::block::VolumeId id;
	u64 blocks;
	bool read_only;
	u32 owner; /* of chunks */
	corbel::rt::Atomic<u32> mark; /* what was alone is not since it last changed */
	corbel::rt::ListHook of_engine;
	bool is_stopping; /* it is being suspended: nothing waits for space */
	u64 layout; /* as Engine::layout_ was when its own map last changed */
};

/* A block that is being made a volume's own. */
struct corbel_block_job {
	corbel::rt::ListHook of_bucket;
	corbel_block_job *next = nullptr; /* ended, or not in use */
	corbel::block::Engine *engine = nullptr;
	corbel_volume *volume = nullptr;
	corbel::block::Lba lba;
	corbel::block::WritePlan plan;
	corbel_request *write = nullptr;
	corbel::block::RequestList waiting;
	corbel::rt::Atomic<u32> parts;
	corbel::rt::Atomic<int> error;
	int epoch = -1;
	bool is_overwritten = false; /* the write follows the copy */
};

namespace corbel::block {

class Engine final : private BlockDevice {
public:
	explicit Engine(corbel_pool *shim) : shim_(shim), pool_(*this) {}
	Engine(const Engine &) = delete;
	Engine &operator=(const Engine &) = delete;
	~Engine();

	/* What target.h has of them. */
	Result<void> open(u64 meta_blocks, u64 cache_bytes);
	Result<u16> device(const u8 *uuid, const char *tier, u64 blocks);
	bool is_complete(u32 present, u8 *missing);
	Result<void> start(const corbel_engine_options &options);
	Result<void> commit_all();
	/* No volume is open. No copy and no drain is begun any more; and then, when the worker runs no more. */
	void quiesce();
	void stop();
	Result<void> message(unsigned argc, char **argv, Reply &reply);
	void status(Reply &reply);
	void device_status(u16 device, Reply &reply);
	Result<corbel_volume *> open_volume(VolumeId id, u64 blocks);
	void close_volume(corbel_volume *volume);
	void set_stopping(corbel_volume *volume, bool stopping);
	void volume_status(corbel_volume *volume, Reply &reply);
	corbel_found find(corbel_volume &volume, u64 block, bool write, u32 *device, u64 *place);
	[[nodiscard]] bool is_changed() const { return changed_.load(rt::Order::acquire); }
	void defer(corbel_request *request);
	void work();
	void drained();
	/* Of a job: what is copied or zeroed, from task context; any part of it. */
	void copied(corbel_block_job &job, int error);
	void part_ended(corbel_block_job &job, int error);
	void kick() { corbel_pool_kick(shim_); }
	/* An I/O came at @begun and has ended, while that is measured. Atomic. */
	void measured(u64 begun, u64 now) { mover_.note(begun, now); }

	[[nodiscard]] const SuperblockV1 &super() const { return pool_.super(); }
	[[nodiscard]] u32 block_sectors() const { return pool_.super().data_block_bytes / 512; }

private:
	friend class Mover;

	/* BlockDevice */
	Result<void> read(Meta block, void *data) override
	{
		return rt::check_shim(corbel_meta_read(shim_, block.value, data));
	}
	Result<void> write(Meta block, const void *data) override
	{
		return rt::check_shim(corbel_meta_write(shim_, block.value, data));
	}
	Result<void> flush() override { return rt::check_shim(corbel_meta_flush(shim_)); }

	/* requests.cc */
	void handle(corbel_request *request);
	void handle_access(corbel_request *request);
	void handle_discard(corbel_request *request);
	void submit(corbel_request *request, Pba pba);
	void submit_counted(corbel_request *request, Mba mba, Pba pba);
	void start_job(corbel_request *request, const WritePlan &plan);
	void submit_for_job(corbel_block_job &job);
	void job_ended(corbel_block_job *job);
	void finish_job(corbel_block_job *job);
	corbel_block_job *job_of(const corbel_volume *volume, u64 block);
	Result<Mba> finish_write(corbel_block_job &job);
	Result<Pba> place_of(Mba mba);
	Result<u64> load_logical(corbel_volume &volume, Lba lba);
	void note_own(corbel_volume &volume, Lba lba, Mba mba, Pba pba);
	void note_place(Mba mba, Pba pba);
	void no_room(corbel_request *request, Error error);
	void expire_waiting(u64 now);
	static void end_all(RequestList &list, Error error);

	/* engine.cc */
	enum class Flush : bool { needed, all };
	Result<void> commit(Flush flush);
	bool work_once();
	void note_changed() { changed_.store(pool_.is_changed(), rt::Order::release); }
	void begin_deleting();
	void fail(Error error);
	void note_full();
	void check_space();
	void delete_step();
	void ask_drain();
	void end_drain();
	void drain_now();
	void retry(RequestList &list) { deferred_now_.take(list); }
	/* Blocks lie elsewhere: of @volume, or nobody knows of which. */
	void note_layout(corbel_volume &volume) { volume.layout = ++layout_; }
	void note_moved() { moved_ = ++layout_; }
	void tell_layout(u64 now);

	/* messages.cc */
	struct Command;
	static const Command commands[];
	struct Arguments {
		static constexpr u32 most = 32;
		u64 values[most];
		u32 count;
	};
	Result<void> create(const Arguments &arguments, Reply &reply);
	Result<void> snapshot(const Arguments &arguments, Reply &reply);
	Result<void> clone(const Arguments &arguments, Reply &reply);
	Result<void> roll_back(const Arguments &arguments, Reply &reply);
	Result<void> remove(const Arguments &arguments, Reply &reply);
	Result<void> resize(const Arguments &arguments, Reply &reply);
	Result<void> list(const Arguments &arguments, Reply &reply);
	Result<void> diff(const Arguments &arguments, Reply &reply);
	Result<void> map(const Arguments &arguments, Reply &reply);
	Result<void> show_layout(const Arguments &arguments, Reply &reply);
	Result<void> limit(const Arguments &arguments, Reply &reply);
	Result<void> resize_device(const Arguments &arguments, Reply &reply);
	static Result<u64> target_of(const Arguments &arguments, u32 number);
	Result<void> move(const Arguments &arguments, Reply &reply);
	Result<void> gather(const Arguments &arguments, Reply &reply);
	Result<void> show_free(const Arguments &arguments, Reply &reply);
	Result<void> show_mover(const Arguments &arguments, Reply &reply);
	Result<void> cancel(const Arguments &arguments, Reply &reply);
	Result<void> flush_all(const Arguments &arguments, Reply &reply);
	Result<void> heat_on(const Arguments &arguments, Reply &reply);
	Result<void> heat_off(const Arguments &arguments, Reply &reply);
	Result<void> heat_age(const Arguments &arguments, Reply &reply);
	Result<void> show_heat(const Arguments &arguments, Reply &reply);
	Result<void> share(const Arguments &arguments, bool read_only, Reply &reply);
	corbel_volume *opened(VolumeId id);
	/* No write is under way or begins before open_gate(). Task. */
	void close_gate();
	void open_gate();
	void note_shared(VolumeId id);

	corbel_pool *shim_;
	rt::Mutex mutex_;
	Pool pool_;
	MapCache logical_, middle_;
	Heat heat_;
	Mover mover_{*this};
	corbel_engine_options options_{};
	rt::List<corbel_volume, &corbel_volume::of_engine> volumes_;
	u32 next_owner_ = 1, next_mark_ = 1;
	Placement placement_{};
	u32 devices_ = 0; /* a bit each that there is */
	u64 capacity_[max_devices]{}; /* blocks that there are, in use by the pool or not */
	bool is_started_ = false, is_low_ = false, is_full_ = false, is_quiescent_ = false;
	bool drain_due_ = false; /* a commit may have given back places */
	bool drain_asked_ = false; /* the shim was asked to call */
	bool pool_drains_ = false, mover_drains_ = false; /* what the drain is for */
	bool again_is_final_ = false;
	rt::Atomic<bool> drained_{false};
	rt::Atomic<bool> gate_{false}, failed_{false}, changed_{false};
	u64 committed_at_ = 0; /* ns */
	u64 waiting_since_ = 0; /* since when there have been some in no_space_ */
	/* One more with each change of a map; from the clock on, so that no number comes twice. */
	u64 layout_ = 0;
	u64 moved_ = 0; /* what it was at the last move */
	u64 told_layout_ = 0, told_at_ = 0; /* by an event; ns */
	VolumeId deleting_{}; /* the last that was looked at */
	bool is_deleting_ = true; /* there may be some to delete */

	rt::SpinLock lock_; /* deferred_, ended_ */
	RequestList deferred_;
	corbel_block_job *ended_ = nullptr;

	RequestList deferred_now_; /* to be handled, in the worker's own hands */
	RequestList flushes_; /* and what is to be committed before it ends */
	RequestList fua_; /* in place, behind a commit */
	RequestList again_; /* for a commit and a drain */
	RequestList no_space_;
	RequestList no_job_;

	static constexpr u32 jobs = 128, buckets = 64;
	rt::List<corbel_block_job, &corbel_block_job::of_bucket> buckets_[buckets];
	corbel_block_job *free_jobs_ = nullptr;
	rt::Pages job_memory_;
};

} /* namespace corbel::block */
