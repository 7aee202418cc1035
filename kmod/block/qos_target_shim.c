// SPDX-License-Identifier: GPL-2.0
/*
 * qos_target_shim.c - device-mapper's target corbel-qos: limits, shares and counters for ranges
 * of a device.
 *
 *   corbel-qos DEVICE START [N_OPTIONS OPTION...]
 *
 * Options: depth N, io_bytes N. What there is besides is made by messages, and goes with the
 * table: who loads another one makes it anew.
 */
#include <linux/hrtimer.h>
#include <linux/slab.h>

#include "meter/meter.h"
#include "pool_shim.h"

#define DEFAULT_IO_BYTES 32768
#define STATUS_BYTES 128

struct corbel_meter_shim {
	struct list_head resumed; /* within resumed_meters */
	dev_t number; /* of the device that the target is part of */
	sector_t begin, sectors; /* where in it */
	struct dm_dev *dev;
	sector_t start;
	struct corbel_meter_options options;
	struct corbel_meter *meter;
	struct workqueue_struct *queue;
	struct work_struct work;
	struct hrtimer timer;
};

/* Those whose table is or was in use, the last to be resumed first. */
static LIST_HEAD(resumed_meters);
static DEFINE_SPINLOCK(resumed_lock);

/* ---- when something may go -------------------------------------------------------- */

static void do_run(struct work_struct *work)
{
	corbel_meter_run(container_of(work, struct corbel_meter_shim, work)->meter);
}

static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct corbel_meter_shim *shim = container_of(timer, struct corbel_meter_shim, timer);

	queue_work(shim->queue, &shim->work);
	return HRTIMER_NORESTART;
}

/* With the meter's lock, or at once. */
void corbel_meter_run_at(struct corbel_meter_shim *shim, u64 when)
{
	if (when <= ktime_get_ns())
		queue_work(shim->queue, &shim->work);
	else if (!hrtimer_is_queued(&shim->timer) ||
		 when < ktime_to_ns(hrtimer_get_expires(&shim->timer)))
		hrtimer_start(&shim->timer, ns_to_ktime(when), HRTIMER_MODE_ABS);
}

void corbel_meter_synchronize(void)
{
	synchronize_rcu();
}

void corbel_meter_go(struct corbel_meter_shim *shim, struct corbel_meter_io *io)
{
	dm_submit_bio_remap(dm_bio_from_per_bio_data(io, sizeof(*io)), NULL);
}

/* ---- I/O --------------------------------------------------------------------------- */

static int qos_map(struct dm_target *ti, struct bio *bio)
{
	struct corbel_meter_shim *shim = ti->private;
	struct corbel_meter_io *io = dm_per_bio_data(bio, sizeof(*io));
	const sector_t sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	u64 together = 0;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
		io->op = CORBEL_METER_READ;
		break;
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
		io->op = CORBEL_METER_DISCARD;
		break;
	case REQ_OP_FLUSH:
		io->op = CORBEL_METER_FLUSH;
		break;
	default:
		io->op = op_is_write(bio_op(bio)) ? CORBEL_METER_WRITE : CORBEL_METER_READ;
		break;
	}
	if (bio->bi_opf & REQ_PREFLUSH && !bio_sectors(bio))
		io->op = CORBEL_METER_FLUSH;
	rcu_read_lock();
	io->workload = corbel_meter_piece(shim->meter, sector, bio_sectors(bio), &together);
	rcu_read_unlock();
	if (together < bio_sectors(bio))
		dm_accept_partial_bio(bio, together);
	io->sector = sector;
	io->bytes = bio->bi_iter.bi_size;
	bio_set_dev(bio, shim->dev->bdev);
	bio->bi_iter.bi_sector = shim->start + sector;
	return corbel_meter_submit(shim->meter, io) ? DM_MAPIO_REMAPPED : DM_MAPIO_SUBMITTED;
}

static int qos_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct corbel_meter_shim *shim = ti->private;
	struct corbel_meter_io *io = dm_per_bio_data(bio, sizeof(*io));
	unsigned long flags;

	local_irq_save(flags);
	corbel_meter_ended(shim->meter, io, *error != BLK_STS_OK, smp_processor_id());
	local_irq_restore(flags);
	return DM_ENDIO_DONE;
}

/* ---- who asks for counts ------------------------------------------------------------- */

int corbel_meter_find(u32 major, u32 minor, u64 sector, u32 object,
		      struct corbel_workload **workload)
{
	struct corbel_meter_shim *shim;
	int result = -ENODEV;

	/* Neither may go over into the other. */
	if (major >= 1U << (32 - MINORBITS) || minor > MINORMASK)
		return result;
	spin_lock(&resumed_lock);
	list_for_each_entry(shim, &resumed_meters, resumed)
	{
		if (shim->number != MKDEV(major, minor) || sector < shim->begin ||
		    sector - shim->begin >= shim->sectors)
			continue;
		*workload = corbel_meter_hold(shim->meter, object);
		result = *workload ? 0 : -ENOENT;
		break;
	}
	spin_unlock(&resumed_lock);
	return result;
}

static void note_resumed(struct corbel_meter_shim *shim)
{
	spin_lock(&resumed_lock);
	list_move(&shim->resumed, &resumed_meters);
	spin_unlock(&resumed_lock);
}

static void forget_resumed(struct corbel_meter_shim *shim)
{
	spin_lock(&resumed_lock);
	list_del_init(&shim->resumed);
	spin_unlock(&resumed_lock);
}

/* ---- coming and going ---------------------------------------------------------------- */

static void destroy(struct dm_target *ti, struct corbel_meter_shim *shim)
{
	forget_resumed(shim);
	hrtimer_cancel(&shim->timer);
	if (shim->queue) {
		cancel_work_sync(&shim->work);
		/* The work may have set it. */
		hrtimer_cancel(&shim->timer);
		cancel_work_sync(&shim->work);
		destroy_workqueue(shim->queue);
	}
	corbel_meter_free(shim->meter);
	if (shim->dev)
		dm_put_device(ti, shim->dev);
	kfree(shim);
}

static int parse_options(struct corbel_meter_shim *shim, struct dm_arg_set *arguments, char **error)
{
	static const struct dm_arg counts[] = {{0, 4, "the number of options is not 0 to 4"}};
	unsigned int left;
	int result;

	if (!arguments->argc)
		return 0;
	result = dm_read_arg_group(counts, arguments, &left, error);
	for (; !result && left >= 2; left -= 2) {
		const char *name = dm_shift_arg(arguments);
		const char *value = dm_shift_arg(arguments);

		*error = "expected as options: depth N, io_bytes N";
		if (!strcmp(name, "depth"))
			result = kstrtou32(value, 10, &shim->options.depth);
		else if (!strcmp(name, "io_bytes"))
			result = kstrtou32(value, 10, &shim->options.io_bytes);
		else
			result = -EINVAL;
	}
	if (!result && (left || arguments->argc)) {
		*error = "expected as options: depth N, io_bytes N";
		result = -EINVAL;
	}
	return result;
}

static int qos_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set arguments = {.argc = argc, .argv = argv};
	struct corbel_meter_shim *shim;
	unsigned long long start;
	const char *path;
	int result;

	if (argc < 2) {
		ti->error = "expected: DEVICE START [N_OPTIONS OPTION...]";
		return -EINVAL;
	}
	shim = kzalloc(sizeof(*shim), GFP_KERNEL);
	if (!shim) {
		ti->error = "there is not enough memory for a target";
		return -ENOMEM;
	}
	shim->options.io_bytes = DEFAULT_IO_BYTES;
	shim->options.cpus = nr_cpu_ids;
	shim->options.sectors = ti->len;
	shim->begin = ti->begin;
	shim->sectors = ti->len;
	shim->number = disk_devt(dm_disk(dm_table_get_md(ti->table)));
	INIT_LIST_HEAD(&shim->resumed);
	INIT_WORK(&shim->work, do_run);
	hrtimer_init(&shim->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	shim->timer.function = timer_fired;
	path = dm_shift_arg(&arguments);
	if (kstrtoull(dm_shift_arg(&arguments), 10, &start) || start != (sector_t)start) {
		ti->error = "the start is not a sector";
		result = -EINVAL;
		goto fail;
	}
	shim->start = start;
	result = parse_options(shim, &arguments, &ti->error);
	if (result)
		goto fail;
	result = dm_get_device(ti, path, dm_table_get_mode(ti->table), &shim->dev);
	if (result) {
		ti->error = "the device cannot be opened";
		shim->dev = NULL;
		goto fail;
	}
	ti->error = "there is not enough memory for a meter";
	shim->queue = alloc_workqueue("corbel-qos", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_UNBOUND, 1);
	result = shim->queue ? corbel_meter_new(shim, &shim->options, &shim->meter) : -ENOMEM;
	if (result)
		goto fail;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_secure_erase_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->accounts_remapped_io = true;
	ti->per_io_data_size = sizeof(struct corbel_meter_io);
	ti->private = shim;
	return 0;

fail:
	destroy(ti, shim);
	return result;
}

static void qos_dtr(struct dm_target *ti)
{
	destroy(ti, ti->private);
}

static void qos_presuspend(struct dm_target *ti)
{
	struct corbel_meter_shim *shim = ti->private;

	corbel_meter_release(shim->meter);
}

static void qos_resume(struct dm_target *ti)
{
	struct corbel_meter_shim *shim = ti->private;

	corbel_meter_resume(shim->meter);
	note_resumed(shim);
}

static int qos_message(struct dm_target *ti, unsigned int argc, char **argv, char *reply,
		       unsigned int size)
{
	struct corbel_meter_shim *shim = ti->private;
	const int result = corbel_meter_message(shim->meter, argc, argv, reply, size);

	if (!result)
		return 1;
	if (*reply)
		DMERR("%s", reply);
	return result;
}

static void qos_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		       unsigned int maxlen)
{
	struct corbel_meter_shim *shim = ti->private;
	char text[STATUS_BYTES];
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		corbel_meter_status(shim->meter, text, sizeof(text));
		DMEMIT("%s", text);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %llu 4 depth %u io_bytes %u", shim->dev->name,
		       (unsigned long long)shim->start, shim->options.depth,
		       shim->options.io_bytes);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int qos_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct corbel_meter_shim *shim = ti->private;

	return fn(ti, shim->dev, shim->start, ti->len, data);
}

struct target_type corbel_qos_target = {
	.name = "corbel-qos",
	.version = {1, 0, 0},
	.features = DM_TARGET_NOWAIT | DM_TARGET_PASSES_INTEGRITY,
	.module = THIS_MODULE,
	.ctr = qos_ctr,
	.dtr = qos_dtr,
	.map = qos_map,
	.end_io = qos_end_io,
	.presuspend = qos_presuspend,
	.resume = qos_resume,
	.message = qos_message,
	.status = qos_status,
	.iterate_devices = qos_iterate_devices,
};
