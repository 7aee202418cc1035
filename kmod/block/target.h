/* SPDX-License-Identifier: GPL-2.0 */
/*
 * target.h - between the device-mapper targets (C) and the engine of a pool (C++).
 *
 *   bio of a volume --> volume_map --> corbel_volume_find     what is in memory: remapped there
 *                            |                                and then, nothing is locked
 *                            v
 *                       corbel_engine_defer --> corbel_engine_work, in the pool's worker,
 *                                               under the engine's mutex
 *
 * Epochs. Who looks a place up holds an epoch until his I/O to it has ended. Those that began
 * before a moment are waited for by corbel_pool_synchronize() or, without sleeping, by
 * corbel_pool_call_drained(); then what they may have looked up can be given to others.
 *
 * "task": process context, may sleep. "atomic": any context but NMI. Errors are negated errno
 * values. Sectors are of 512 bytes, blocks of the pool's size unless it says metadata.
 */
#ifndef CORBEL_BLOCK_TARGET_H
#define CORBEL_BLOCK_TARGET_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct corbel_pool; /* C: devices, worker, epochs */
struct corbel_engine; /* C++: maps, what is under way */
struct corbel_volume; /* C++: a volume that is in use */
struct corbel_block_job; /* C++: a block that is being made someone's own */

#define CORBEL_BLOCK_DEVICES 24

enum corbel_request_kind {
	CORBEL_REQUEST_READ,
	CORBEL_REQUEST_WRITE,
	CORBEL_REQUEST_DISCARD,
	CORBEL_REQUEST_FLUSH,
};

/* A bio of a volume, in the memory that device-mapper keeps beside it. */
struct corbel_request {
	struct corbel_request *next;
	struct corbel_volume *volume;
	struct corbel_block_job *job;
	void *ended; /* the bio's own bi_end_io, while a job has it */
	u64 begun; /* ns; 0: nobody wants to know */
	u64 block;
	u64 blocks; /* of a discard: whole ones, 0 is possible */
	u32 first, sectors; /* within the block */
	int epoch; /* below 0: none */
	u8 kind; /* corbel_request_kind */
	bool fua;
	u8 status; /* of the bio, when a job has ended */
};

/* ---- C++, for C --------------------------------------------------------------------------- */

/*
 * Opens the pool on the metadata device. @cache_bytes: for maps in memory. -ENOENT: there is
 * no pool; -EBADMSG: damaged; -EOPNOTSUPP: made by a later version; -ENOSPC: the device has
 * become smaller. Task.
 */
int corbel_engine_new(struct corbel_pool *pool, u64 meta_blocks, u64 cache_bytes,
		      struct corbel_engine **engine);
/* No volume is open. From now on the worker begins no copy and no drain. Task. */
void corbel_engine_quiesce(struct corbel_engine *engine);
/* Commits what is not. No copy is under way, the worker does not run. Task. NULL is fine. */
void corbel_engine_free(struct corbel_engine *engine);
u32 corbel_engine_block_sectors(const struct corbel_engine *engine);
/* The 16 bytes of the pool's UUID. */
const u8 *corbel_engine_uuid(const struct corbel_engine *engine);

/*
 * What a device with that UUID is called in the pool; it is added if it is not there. -ERANGE:
 * it has become smaller; -ENOSPC. Task.
 */
int corbel_engine_device(struct corbel_engine *engine, const u8 *uuid, const char *tier,
			 u64 blocks);
/* 0, or -ENODEV with the @uuid of one that is not among those in the bits of @present. Task. */
int corbel_engine_complete(struct corbel_engine *engine, u32 present, u8 *uuid);

/* What the first block of a data device says, in that block's memory. */
struct corbel_label {
	const u8 *pool, *device; /* UUIDs, 16 bytes */
	const char *tier; /* 16 bytes */
	u64 start; /* of the data, sector */
};
/* -ENOENT: it is no label; -EBADMSG: damaged; -EOPNOTSUPP: a later version. Atomic. */
int corbel_label_read(const void *block, struct corbel_label *label);

struct corbel_engine_options {
	bool error_if_no_space;
	u64 low_water; /* blocks */
};
/* From now on volumes can be opened. Task. */
int corbel_engine_start(struct corbel_engine *engine, const struct corbel_engine_options *options);
/* All is on the devices that was acknowledged. Task. */
int corbel_engine_commit(struct corbel_engine *engine);
/*
 * Text into @reply of @size bytes, ended by NUL. 0; -EINVAL: not a message, or its arguments
 * are wrong, @reply says what it should be; others as the message says. Task.
 */
int corbel_engine_message(struct corbel_engine *engine, unsigned argc, char **argv, char *reply,
			  u32 size);
/* As `dmsetup status` has it, without the devices' numbers (which C knows). Task. */
void corbel_engine_status(struct corbel_engine *engine, char *text, u32 size);
/* Tier, used/blocks/limit of a device. Task. */
void corbel_engine_device_status(struct corbel_engine *engine, u16 device, char *text, u32 size);

/* @blocks: of the table's line. -ENOENT; -ERANGE: longer than the volume; -EBUSY. Task. */
int corbel_volume_open(struct corbel_engine *engine, u64 id, u64 blocks,
		       struct corbel_volume **volume);
/* No request of it is left. Task. NULL is fine. */
void corbel_volume_close(struct corbel_volume *volume);
/* While it is so, requests that have no space fail, so that it can be suspended. Task. */
void corbel_volume_set_stopping(struct corbel_volume *volume, bool stopping);
bool corbel_volume_read_only(const struct corbel_volume *volume);
void corbel_volume_status(struct corbel_volume *volume, char *text, u32 size);

enum corbel_found {
	CORBEL_FOUND_PLACE, /* may be read, or written */
	CORBEL_FOUND_HOLE,
	CORBEL_FOUND_NOTHING, /* ask the engine */
};
/* From memory; the caller has an epoch. Atomic. */
enum corbel_found corbel_volume_find(struct corbel_volume *volume, u64 block, bool write,
				     u32 *device, u64 *place);
/* A flush has more to do than to reach the devices. Atomic. */
bool corbel_engine_is_changed(const struct corbel_engine *engine);
/* The engine ends it, or submits it. It holds no epoch. Atomic. */
void corbel_engine_defer(struct corbel_engine *engine, struct corbel_request *request);
/* A read or write that came at @begun has ended, in ns. Atomic. */
void corbel_engine_measured(struct corbel_engine *engine, u64 begun, u64 now);
/* In the worker. */
void corbel_engine_work(struct corbel_engine *engine);
/* The drain that was asked for is over. Atomic. */
void corbel_engine_drained(struct corbel_engine *engine);
/* Of @job, once each: what is kept of the block is in its new place, task; the write, atomic. */
void corbel_block_job_copied(struct corbel_block_job *job, int error);
void corbel_block_job_written(struct corbel_block_job *job, int error);
void corbel_block_move_ended(void *move, int error);

/* ---- C, for C++ --------------------------------------------------------------------------- */

/* The worker runs soon; in @milliseconds at the latest. Atomic. */
void corbel_pool_kick(struct corbel_pool *pool);
void corbel_pool_kick_in(struct corbel_pool *pool, u32 milliseconds);
/* Whether corbel_engine_measured() is called, of what comes from now on. Task. */
void corbel_pool_measure(struct corbel_pool *pool, bool on);
/* Wakes who waits for an event of the pool's device. Task. */
void corbel_pool_event(struct corbel_pool *pool);

int corbel_pool_enter(struct corbel_pool *pool); /* an epoch. Atomic. */
void corbel_pool_leave(struct corbel_pool *pool, int epoch);
void corbel_pool_synchronize(struct corbel_pool *pool); /* Task. */
/* corbel_engine_drained() when those before are over. One at a time. Atomic. */
void corbel_pool_call_drained(struct corbel_pool *pool);

/*
 * Allocations of this task do no I/O until it is restored, as I/O may wait for the engine.
 * Task.
 */
u32 corbel_noio_save(void);
void corbel_noio_restore(u32 flags);

/*
 * Blocks of metadata, 4096 bytes. Reading waits for all that was written. A write is only
 * begun: what became of it is told by the flush behind it. Task, one at a time.
 */
int corbel_meta_read(struct corbel_pool *pool, u64 block, void *data);
int corbel_meta_write(struct corbel_pool *pool, u64 block, const void *data);
int corbel_meta_flush(struct corbel_pool *pool);

/* Data devices by number, those in the bits of @devices at the same time. Task. */
int corbel_data_flush(struct corbel_pool *pool, u32 devices);

struct corbel_place {
	u32 device;
	u64 block;
	u32 first, sectors; /* within the block */
};
/* Zeroes, or copies to the same place within the block @to; then corbel_block_job_copied(). Task. */
void corbel_place_zero(struct corbel_pool *pool, const struct corbel_place *to,
		       struct corbel_block_job *job);
void corbel_place_copy(struct corbel_pool *pool, const struct corbel_place *from,
		       const struct corbel_place *to, struct corbel_block_job *job);
/* The same for a mover: corbel_block_move_ended(@move, error). Task. */
void corbel_place_move(struct corbel_pool *pool, const struct corbel_place *from,
		       const struct corbel_place *to, void *move);

/* What becomes of a request. Task, except as said. */
void corbel_request_submit(struct corbel_pool *pool, struct corbel_request *request, u32 device,
			   u64 block);
/* Its end is a part of request->job and is kept back from its owner, FUA left to the caller. */
void corbel_request_submit_for_job(struct corbel_pool *pool, struct corbel_request *request,
				   u32 device, u64 block);
void corbel_request_zeroes(struct corbel_request *request);
/* @error: 0 or negated. Of one that a job had: as the bio ended, if that was worse. Atomic. */
void corbel_request_end(struct corbel_request *request, int error);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_BLOCK_TARGET_H */
