// SPDX-License-Identifier: GPL-2.0
/*
 * volume_target_shim.c - device-mapper's target corbel-volume: a volume, snapshot or clone of
 * a pool.
 *
 *   corbel-volume POOL VOLUME_ID
 */
#include <linux/slab.h>

#include "pool_shim.h"

/* One request takes a while in the worker, and others wait. */
#define MAX_DISCARD_BYTES (1UL << 30)

struct volume_target {
	struct dm_dev *pool_dev;
	struct corbel_pool *pool;
	struct corbel_volume *volume;
	u64 id;
};

static int volume_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct volume_target *target;
	u64 block_sectors;
	int result;

	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target) {
		ti->error = "there is not enough memory for a target";
		return -ENOMEM;
	}
	if (argc != 2 || kstrtou64(argv[1], 10, &target->id)) {
		ti->error = "expected: POOL VOLUME_ID";
		result = -EINVAL;
		goto free;
	}
	result = dm_get_device(ti, argv[0], FMODE_READ | FMODE_WRITE, &target->pool_dev);
	if (result) {
		ti->error = "the pool's device cannot be opened";
		goto free;
	}
	target->pool = corbel_pool_of_device(target->pool_dev->bdev);
	if (!target->pool) {
		ti->error = "it is no pool's device, or has not been resumed";
		result = -EINVAL;
		goto put_device;
	}
	block_sectors = 1ULL << target->pool->block_shift;
	result = corbel_volume_open(target->pool->engine, target->id,
				    DIV_ROUND_UP_ULL(ti->len, block_sectors), &target->volume);
	if (result) {
		ti->error = result == -ENOENT	? "there is no volume of that number"
			    : result == -ERANGE ? "the volume is smaller than the table says"
						: "the volume cannot be opened";
		goto put_pool;
	}
	result = dm_set_target_max_io_len(ti, block_sectors);
	if (result) {
		ti->error = "the size of blocks is not possible";
		goto close;
	}
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->accounts_remapped_io = true;
	ti->per_io_data_size = sizeof(struct corbel_request);
	ti->private = target;
	return 0;

close:
	corbel_volume_close(target->volume);
put_pool:
	corbel_pool_put_volume(target->pool);
put_device:
	dm_put_device(ti, target->pool_dev);
free:
	kfree(target);
	return result;
}

static void volume_dtr(struct dm_target *ti)
{
	struct volume_target *target = ti->private;

	corbel_volume_close(target->volume);
	corbel_pool_put_volume(target->pool);
	dm_put_device(ti, target->pool_dev);
	kfree(target);
}

static struct bio *bio_of(struct corbel_request *request)
{
	return dm_bio_from_per_bio_data(request, sizeof(*request));
}

static void remap(struct corbel_pool *pool, struct bio *bio, u32 device, u64 block, u32 first)
{
	bio_set_dev(bio, pool->devices[device].bdev);
	bio->bi_iter.bi_sector = pool->devices[device].start + (block << pool->block_shift) + first;
}

static int volume_map(struct dm_target *ti, struct bio *bio)
{
	struct volume_target *target = ti->private;
	struct corbel_pool *pool = target->pool;
	struct corbel_request *request = dm_per_bio_data(bio, sizeof(*request));
	const u64 sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	const u64 block = sector >> pool->block_shift;
	const u32 first = sector & ((1U << pool->block_shift) - 1);
	const bool is_write = op_is_write(bio_op(bio));
	u64 place, end;
	u32 device;

	request->epoch = -1;
	request->ended = NULL;
	request->begun = 0;
	if (is_write && corbel_volume_read_only(target->volume) &&
	    !(bio->bi_opf & REQ_PREFLUSH && !bio_sectors(bio)))
		return DM_MAPIO_KILL;
	request->fua = bio->bi_opf & REQ_FUA;
	if (likely((bio_op(bio) == REQ_OP_READ || bio_op(bio) == REQ_OP_WRITE) &&
		   !(bio->bi_opf & REQ_PREFLUSH))) {
		request->kind = is_write ? CORBEL_REQUEST_WRITE : CORBEL_REQUEST_READ;
		if (unlikely(READ_ONCE(pool->is_measured)))
			request->begun = ktime_get_ns();
		request->epoch = corbel_pool_enter(pool);
		switch (corbel_volume_find(target->volume, block, is_write, &device, &place)) {
		case CORBEL_FOUND_PLACE:
			/* What leads to it has to be committed; asked behind the look-up. */
			if (unlikely(request->fua && corbel_engine_is_changed(pool->engine)))
				break;
			remap(pool, bio, device, place, first);
			return DM_MAPIO_REMAPPED;
		case CORBEL_FOUND_HOLE:
			zero_fill_bio(bio);
			bio_endio(bio);
			return DM_MAPIO_SUBMITTED;
		case CORBEL_FOUND_NOTHING:
			break;
		}
		corbel_pool_leave(pool, request->epoch);
		request->epoch = -1;
	} else if (bio->bi_opf & REQ_PREFLUSH) {
		request->kind = CORBEL_REQUEST_FLUSH;
	} else if (bio_op(bio) == REQ_OP_DISCARD) {
		request->kind = CORBEL_REQUEST_DISCARD;
	} else {
		return DM_MAPIO_KILL;
	}
	request->volume = target->volume;
	request->job = NULL;
	request->status = 0;
	request->block = block;
	request->first = first;
	request->sectors = bio_sectors(bio);
	if (request->kind == CORBEL_REQUEST_DISCARD) {
		/* Whole blocks only. */
		request->block = (sector + (1U << pool->block_shift) - 1) >> pool->block_shift;
		end = (sector + bio_sectors(bio)) >> pool->block_shift;
		request->blocks = end > request->block ? end - request->block : 0;
	}
	corbel_engine_defer(pool->engine, request);
	return DM_MAPIO_SUBMITTED;
}

static int volume_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct volume_target *target = ti->private;
	struct corbel_request *request = dm_per_bio_data(bio, sizeof(*request));

	if (request->epoch >= 0)
		corbel_pool_leave(target->pool, request->epoch);
	if (unlikely(request->begun))
		corbel_engine_measured(target->pool->engine, request->begun, ktime_get_ns());
	return DM_ENDIO_DONE;
}

/* ---- what becomes of a request ---------------------------------------------------- */

void corbel_request_submit(struct corbel_pool *pool, struct corbel_request *request, u32 device,
			   u64 block)
{
	struct bio *bio = bio_of(request);

	request->epoch = corbel_pool_enter(pool);
	remap(pool, bio, device, block, request->first);
	dm_submit_bio_remap(bio, NULL);
}

static void job_bio_ended(struct bio *bio)
{
	struct corbel_request *request = dm_per_bio_data(bio, sizeof(*request));

	request->status = bio->bi_status;
	bio->bi_end_io = request->ended;
	corbel_block_job_written(request->job, blk_status_to_errno(bio->bi_status));
}

void corbel_request_submit_for_job(struct corbel_pool *pool, struct corbel_request *request,
				   u32 device, u64 block)
{
	struct bio *bio = bio_of(request);

	request->ended = bio->bi_end_io;
	bio->bi_end_io = job_bio_ended;
	bio->bi_opf &= ~REQ_FUA;
	remap(pool, bio, device, block, request->first);
	dm_submit_bio_remap(bio, NULL);
}

void corbel_request_zeroes(struct corbel_request *request)
{
	struct bio *bio = bio_of(request);

	zero_fill_bio(bio);
	bio_endio(bio);
}

void corbel_request_end(struct corbel_request *request, int error)
{
	struct bio *bio = bio_of(request);

	bio->bi_status = request->status ? request->status : errno_to_blk_status(error);
	bio_endio(bio);
}

/* ---- suspending, telling ----------------------------------------------------------- */

static void volume_presuspend(struct dm_target *ti)
{
	struct volume_target *target = ti->private;

	corbel_volume_set_stopping(target->volume, true);
}

static void volume_resume(struct dm_target *ti)
{
	struct volume_target *target = ti->private;

	corbel_volume_set_stopping(target->volume, false);
}

static void volume_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			  char *result, unsigned int maxlen)
{
	struct volume_target *target = ti->private;
	unsigned int sz = 0;
	char text[128];

	switch (type) {
	case STATUSTYPE_INFO:
		corbel_volume_status(target->volume, text, sizeof(text));
		DMEMIT("%s", text);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %llu", target->pool_dev->name, target->id);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int volume_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct volume_target *target = ti->private;

	return fn(ti, target->pool_dev, 0, bdev_nr_sectors(target->pool_dev->bdev), data);
}

static void volume_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct volume_target *target = ti->private;
	const unsigned int block_bytes = 512U << target->pool->block_shift;

	blk_limits_io_opt(limits, block_bytes);
	limits->discard_granularity = block_bytes;
	limits->max_discard_sectors = MAX_DISCARD_BYTES / 512;
}

struct target_type corbel_volume_target = {
	.name = "corbel-volume",
	.version = {1, 0, 0},
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = volume_ctr,
	.dtr = volume_dtr,
	.map = volume_map,
	.end_io = volume_end_io,
	.presuspend = volume_presuspend,
	.resume = volume_resume,
	.status = volume_status,
	.iterate_devices = volume_iterate_devices,
	.io_hints = volume_io_hints,
};
