// SPDX-License-Identifier: GPL-2.0
/*
 * pool_target_shim.c - device-mapper's target corbel-pool: the devices of a pool.
 *
 *   corbel-pool META N DATA... [N_OPTIONS OPTION...]
 *
 * Options: error_if_no_space, low_water BLOCKS, cache_mib N. Data devices are told apart by
 * their labels. It is not read or written itself; volumes are made of it, by messages.
 */
#include <linux/slab.h>

#include "pool_shim.h"

#define DEFAULT_CACHE_MIB 24
#define MAX_CACHE_MIB 65536
#define REPLY_BYTES 256

struct pool_target {
	struct corbel_pool *pool;
	struct dm_dev *meta;
	unsigned int count;
	struct dm_dev *data[CORBEL_BLOCK_DEVICES];
	unsigned int cache_mib;
	struct corbel_engine_options options;
	u16 numbers[CORBEL_BLOCK_DEVICES]; /* when resumed */
};

static int parse_options(struct pool_target *target, struct dm_arg_set *arguments, char **error)
{
	static const struct dm_arg counts[] = {{0, 5, "the number of options is not 0 to 5"}};
	static const struct dm_arg mib[] = {{1, MAX_CACHE_MIB, "cache_mib is not 1 to 65536"}};
	unsigned int left;
	int result;

	target->cache_mib = DEFAULT_CACHE_MIB;
	if (!arguments->argc)
		return 0;
	result = dm_read_arg_group(counts, arguments, &left, error);
	while (!result && left) {
		const char *name = dm_shift_arg(arguments);

		left--;
		if (!strcmp(name, "error_if_no_space")) {
			target->options.error_if_no_space = true;
		} else if (!strcmp(name, "low_water") && left) {
			left--;
			result = kstrtou64(dm_shift_arg(arguments), 10, &target->options.low_water);
			if (result)
				*error = "low_water is not a number of blocks";
		} else if (!strcmp(name, "cache_mib") && left) {
			left--;
			result = dm_read_arg(mib, arguments, &target->cache_mib, error);
		} else {
			*error = "expected as options: error_if_no_space, low_water BLOCKS, "
				 "cache_mib N";
			result = -EINVAL;
		}
	}
	if (!result && arguments->argc) {
		*error = "there is more behind the options";
		result = -EINVAL;
	}
	return result;
}

static void put_devices(struct dm_target *ti, struct pool_target *target)
{
	unsigned int i;

	for (i = 0; i < target->count; i++)
		dm_put_device(ti, target->data[i]);
	if (target->meta)
		dm_put_device(ti, target->meta);
	kfree(target);
}

static int pool_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	static const struct dm_arg counts[] = {
		{1, CORBEL_BLOCK_DEVICES, "the number of data devices is not 1 to 24"}};
	struct dm_arg_set arguments = {.argc = argc, .argv = argv};
	struct pool_target *target;
	unsigned int count;
	int result = -EINVAL;

	if (argc < 3) {
		ti->error = "expected: META N DATA... [N_OPTIONS OPTION...]";
		return -EINVAL;
	}
	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target) {
		ti->error = "there is not enough memory for a target";
		return -ENOMEM;
	}
	ti->error = "the metadata device cannot be opened";
	result = dm_get_device(ti, dm_shift_arg(&arguments), FMODE_READ | FMODE_WRITE,
			       &target->meta);
	if (result) {
		target->meta = NULL;
		goto fail;
	}
	result = dm_read_arg(counts, &arguments, &count, &ti->error);
	if (result)
		goto fail;
	if (count > arguments.argc) {
		ti->error = "there are fewer data devices than their number says";
		result = -EINVAL;
		goto fail;
	}
	while (target->count < count) {
		ti->error = "a data device cannot be opened";
		result = dm_get_device(ti, dm_shift_arg(&arguments), FMODE_READ | FMODE_WRITE,
				       &target->data[target->count]);
		if (result)
			goto fail;
		target->count++;
	}
	result = parse_options(target, &arguments, &ti->error);
	if (result)
		goto fail;
	target->pool = corbel_pool_get(target->meta->bdev, dm_table_get_md(ti->table),
				       (u64)target->cache_mib << 20, &ti->error);
	if (IS_ERR(target->pool)) {
		result = PTR_ERR(target->pool);
		goto fail;
	}
	ti->private = target;
	return 0;

fail:
	put_devices(ti, target);
	return result;
}

static void pool_dtr(struct dm_target *ti)
{
	struct pool_target *target = ti->private;
	struct corbel_pool *pool = target->pool;

	mutex_lock(&pool->table_lock);
	if (pool->table == ti->table)
		pool->table = NULL;
	mutex_unlock(&pool->table_lock);
	corbel_pool_put(pool);
	put_devices(ti, target);
}

static int pool_map(struct dm_target *ti, struct bio *bio)
{
	return DM_MAPIO_KILL;
}

/* Finds out which of the pool's devices it is, or makes it one. */
static int bind_device(struct pool_target *target, unsigned int i, struct page *page)
{
	struct corbel_pool *pool = target->pool;
	struct block_device *bdev = target->data[i]->bdev;
	struct corbel_label label;
	int result = corbel_block_read(bdev, 0, page);

	if (result) {
		DMERR("the label of %pg cannot be read: error %d", bdev, result);
		return result;
	}
	result = corbel_label_read(page_address(page), &label);
	if (result) {
		DMERR("%pg has no label of a pool that can be used: error %d", bdev, result);
		return result;
	}
	if (memcmp(label.pool, corbel_engine_uuid(pool->engine), 16)) {
		DMERR("%pg is a device of another pool, %pUb", bdev, label.pool);
		return -EINVAL;
	}
	if (label.start >= bdev_nr_sectors(bdev)) {
		DMERR("%pg ends before its data begins", bdev);
		return -ENOSPC;
	}
	result = corbel_engine_device(pool->engine, label.device, label.tier,
				      (bdev_nr_sectors(bdev) - label.start) >> pool->block_shift);
	if (result < 0) {
		DMERR("%pg cannot be taken: %s (error %d)", bdev,
		      result == -ERANGE	  ? "it has become smaller"
		      : result == -ENOSPC ? "there are 24 devices, or no space for metadata"
					  : "metadata cannot be written",
		      result);
		return result;
	}
	target->numbers[i] = result;
	pool->devices[result].start = label.start;
	WRITE_ONCE(pool->devices[result].bdev, bdev);
	return 0;
}

static int pool_preresume(struct dm_target *ti)
{
	struct pool_target *target = ti->private;
	struct corbel_pool *pool = target->pool;
	struct page *page;
	unsigned int i;
	u32 present = 0;
	u8 uuid[16];
	int result = 0;

	page = alloc_page(GFP_NOIO);
	if (!page)
		return -ENOMEM;
	for (i = 0; !result && i < target->count; i++) {
		result = bind_device(target, i, page);
		if (!result)
			present |= 1U << target->numbers[i];
	}
	__free_page(page);
	if (result)
		return result;
	result = corbel_engine_complete(pool->engine, present, uuid);
	if (result) {
		DMERR("the pool's device %pUb is not in the table", uuid);
		return result;
	}
	if (corbel_pool_replaces(pool, pool->md)) {
		DMERR("volumes are in use of the pool that is to be replaced");
		return -EBUSY;
	}
	mutex_lock(&pool->table_lock);
	pool->table = ti->table;
	mutex_unlock(&pool->table_lock);
	result = corbel_engine_start(pool->engine, &target->options);
	if (result)
		DMERR("metadata cannot be written: error %d", result);
	return result;
}

static void pool_postsuspend(struct dm_target *ti)
{
	struct pool_target *target = ti->private;

	flush_work(&target->pool->work);
	if (corbel_engine_commit(target->pool->engine))
		DMERR("the pool cannot be committed");
}

static int pool_message(struct dm_target *ti, unsigned int argc, char **argv, char *reply,
			unsigned int size)
{
	struct pool_target *target = ti->private;
	int result;

	if (!READ_ONCE(target->pool->is_bound)) {
		DMERR("the pool has not been resumed yet");
		return -EAGAIN;
	}
	result = corbel_engine_message(target->pool->engine, argc, argv, reply, size);
	if (result) {
		if (*reply)
			DMERR("%s", reply);
		return result;
	}
	return 1;
}

static void pool_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
			unsigned int maxlen)
{
	struct pool_target *target = ti->private;
	char *text;
	unsigned int i, sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		text = kmalloc(REPLY_BYTES, GFP_NOIO);
		if (!text || !READ_ONCE(target->pool->is_bound)) {
			DMEMIT("-");
			kfree(text);
			break;
		}
		corbel_engine_status(target->pool->engine, text, REPLY_BYTES);
		DMEMIT("%s %u", text, target->count);
		for (i = 0; i < target->count; i++) {
			corbel_engine_device_status(target->pool->engine, target->numbers[i], text,
						    REPLY_BYTES);
			DMEMIT(" %u %s %s", target->numbers[i], target->data[i]->name, text);
		}
		kfree(text);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %u", target->meta->name, target->count);
		for (i = 0; i < target->count; i++)
			DMEMIT(" %s", target->data[i]->name);
		DMEMIT(" %u", (target->options.error_if_no_space ? 1 : 0) +
				      (target->options.low_water ? 2 : 0) +
				      (target->cache_mib != DEFAULT_CACHE_MIB ? 2 : 0));
		if (target->options.error_if_no_space)
			DMEMIT(" error_if_no_space");
		if (target->options.low_water)
			DMEMIT(" low_water %llu", target->options.low_water);
		if (target->cache_mib != DEFAULT_CACHE_MIB)
			DMEMIT(" cache_mib %u", target->cache_mib);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int pool_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct pool_target *target = ti->private;
	unsigned int i;
	int result = 0;

	for (i = 0; !result && i < target->count; i++)
		result = fn(ti, target->data[i], 0, bdev_nr_sectors(target->data[i]->bdev), data);
	return result;
}

struct target_type corbel_pool_target = {
	.name = "corbel-pool",
	.version = {1, 0, 0},
	.features = DM_TARGET_SINGLETON | DM_TARGET_ALWAYS_WRITEABLE | DM_TARGET_IMMUTABLE |
		    DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = pool_ctr,
	.dtr = pool_dtr,
	.map = pool_map,
	.preresume = pool_preresume,
	.postsuspend = pool_postsuspend,
	.message = pool_message,
	.status = pool_status,
	.iterate_devices = pool_iterate_devices,
};
