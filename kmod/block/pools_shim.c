// SPDX-License-Identifier: GPL-2.0
/*
 * pools_shim.c - the pools there are, by their metadata devices, and what their engines ask of
 * the kernel. Tables come and go; a pool is there for as long as one of them or a volume is.
 */
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "pool_shim.h"

static DEFINE_MUTEX(pools_lock);
static LIST_HEAD(pools);

/* ---- worker --------------------------------------------------------------------- */

static void do_work(struct work_struct *work)
{
	corbel_engine_work(container_of(work, struct corbel_pool, work)->engine);
}

static void do_later(struct work_struct *work)
{
	corbel_pool_kick(container_of(to_delayed_work(work), struct corbel_pool, later));
}

void corbel_pool_kick(struct corbel_pool *pool)
{
	queue_work(pool->queue, &pool->work);
}

void corbel_pool_kick_in(struct corbel_pool *pool, u32 milliseconds)
{
	const unsigned long delay = msecs_to_jiffies(milliseconds);

	/* One that is due earlier stays. */
	if (!queue_delayed_work(pool->queue, &pool->later, delay) &&
	    time_before(jiffies + delay, READ_ONCE(pool->later.timer.expires)))
		mod_delayed_work(pool->queue, &pool->later, delay);
}

void corbel_pool_measure(struct corbel_pool *pool, bool on)
{
	WRITE_ONCE(pool->is_measured, on);
}

void corbel_pool_event(struct corbel_pool *pool)
{
	mutex_lock(&pool->table_lock);
	if (pool->table)
		dm_table_event(pool->table);
	mutex_unlock(&pool->table_lock);
}

u32 corbel_noio_save(void)
{
	return memalloc_noio_save();
}

void corbel_noio_restore(u32 flags)
{
	memalloc_noio_restore(flags);
}

/* ---- epochs --------------------------------------------------------------------- */

int corbel_pool_enter(struct corbel_pool *pool)
{
	return __srcu_read_lock(&pool->srcu);
}

void corbel_pool_leave(struct corbel_pool *pool, int epoch)
{
	__srcu_read_unlock(&pool->srcu, epoch);
}

void corbel_pool_synchronize(struct corbel_pool *pool)
{
	synchronize_srcu_expedited(&pool->srcu);
}

static void drained(struct rcu_head *head)
{
	corbel_engine_drained(container_of(head, struct corbel_pool, drained)->engine);
}

void corbel_pool_call_drained(struct corbel_pool *pool)
{
	call_srcu(&pool->srcu, &pool->drained, drained);
}

/* ---- copies --------------------------------------------------------------------- */

static struct dm_io_region region_of(const struct corbel_pool *pool,
				     const struct corbel_place *place)
{
	return (struct dm_io_region){
		.bdev = pool->devices[place->device].bdev,
		.sector = pool->devices[place->device].start + (place->block << pool->block_shift) +
			  place->first,
		.count = place->sectors,
	};
}

static void part_ended(int read_error, unsigned long write_error, void *job)
{
	corbel_block_job_copied(job, read_error || write_error ? -EIO : 0);
}

static void move_ended(int read_error, unsigned long write_error, void *move)
{
	corbel_block_move_ended(move, read_error || write_error ? -EIO : 0);
}

void corbel_place_zero(struct corbel_pool *pool, const struct corbel_place *to,
		       struct corbel_block_job *job)
{
	struct dm_io_region region = region_of(pool, to);

	dm_kcopyd_zero(pool->copier, 1, &region, 0, part_ended, job);
}

void corbel_place_copy(struct corbel_pool *pool, const struct corbel_place *from,
		       const struct corbel_place *to, struct corbel_block_job *job)
{
	struct dm_io_region source = region_of(pool, from), target = region_of(pool, to);

	dm_kcopyd_copy(pool->copier, &source, 1, &target, 0, part_ended, job);
}

void corbel_place_move(struct corbel_pool *pool, const struct corbel_place *from,
		       const struct corbel_place *to, void *move)
{
	struct dm_io_region source = region_of(pool, from), target = region_of(pool, to);

	dm_kcopyd_copy(pool->copier, &source, 1, &target, 0, move_ended, move);
}

/* ---- coming and going ---------------------------------------------------------------- */

static void destroy(struct corbel_pool *pool)
{
	if (pool->engine) {
		/* No copies are begun, those that were end, and so do drains; both call the worker. */
		corbel_engine_quiesce(pool->engine);
		cancel_work_sync(&pool->work);
	}
	/* Waits for all of its copies. */
	if (!IS_ERR_OR_NULL(pool->copier))
		dm_kcopyd_client_destroy(pool->copier);
	if (pool->engine) {
		srcu_barrier(&pool->srcu);
		cancel_delayed_work_sync(&pool->later);
		cancel_work_sync(&pool->work);
		/* The worker may have set it once more. */
		cancel_delayed_work_sync(&pool->later);
		cancel_work_sync(&pool->work);
		corbel_engine_free(pool->engine);
	}
	if (pool->queue)
		destroy_workqueue(pool->queue);
	cleanup_srcu_struct(&pool->srcu);
	corbel_meta_exit(pool);
	kfree(pool);
}

static struct corbel_pool *make(struct block_device *meta, u64 cache_bytes, char **error)
{
	struct corbel_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	int result;

	*error = "there is not enough memory for a pool";
	if (!pool)
		return ERR_PTR(-ENOMEM);
	result = init_srcu_struct(&pool->srcu);
	if (result) {
		kfree(pool);
		return ERR_PTR(result);
	}
	mutex_init(&pool->table_lock);
	INIT_WORK(&pool->work, do_work);
	INIT_DELAYED_WORK(&pool->later, do_later);
	pool->meta = meta;
	result = corbel_meta_init(pool);
	if (!result) {
		pool->queue = alloc_ordered_workqueue("corbel-pool", WQ_MEM_RECLAIM);
		pool->copier = dm_kcopyd_client_create(NULL);
		result = !pool->queue ? -ENOMEM : PTR_ERR_OR_ZERO(pool->copier);
	}
	if (!result) {
		result = corbel_engine_new(pool, bdev_nr_bytes(meta) / PAGE_SIZE, cache_bytes,
					   &pool->engine);
		if (result == -ENOENT)
			*error = "there is no pool on the metadata device";
		else if (result == -EBADMSG)
			*error = "the metadata is damaged: see corbel pool check";
		else if (result == -EOPNOTSUPP)
			*error = "the pool was made by a later version";
		else if (result == -ENOSPC)
			*error = "the metadata device is smaller than it was";
		else if (result != -ENOMEM)
			*error = "the metadata device cannot be read";
	}
	if (result) {
		destroy(pool);
		return ERR_PTR(result);
	}
	pool->block_shift = ilog2(corbel_engine_block_sectors(pool->engine));
	return pool;
}

struct corbel_pool *corbel_pool_get(struct block_device *meta, struct mapped_device *md,
				    u64 cache_bytes, char **error)
{
	struct corbel_pool *pool;

	mutex_lock(&pools_lock);
	list_for_each_entry(pool, &pools,
			    of_all) if (pool->meta->bd_dev == meta->bd_dev) goto found;
	pool = make(meta, cache_bytes, error);
	if (IS_ERR(pool))
		goto out;
	pool->md = md;
	list_add(&pool->of_all, &pools);
found:
	if (pool->md != md) {
		*error = "the metadata device is in use by another pool's device";
		pool = ERR_PTR(-EBUSY);
	} else {
		pool->users++;
	}
out:
	mutex_unlock(&pools_lock);
	return pool;
}

static void put(struct corbel_pool *pool)
{
	if (--pool->users == 0) {
		list_del(&pool->of_all);
		destroy(pool);
	}
}

void corbel_pool_put(struct corbel_pool *pool)
{
	mutex_lock(&pools_lock);
	put(pool);
	mutex_unlock(&pools_lock);
}

struct corbel_pool *corbel_pool_of_device(struct block_device *device)
{
	struct corbel_pool *pool;

	mutex_lock(&pools_lock);
	list_for_each_entry(pool, &pools,
			    of_all) if (pool->is_bound &&
					disk_devt(dm_disk(pool->md)) == device->bd_dev)
	{
		pool->users++;
		pool->volumes++;
		goto out;
	}
	pool = NULL;
out:
	mutex_unlock(&pools_lock);
	return pool;
}

void corbel_pool_put_volume(struct corbel_pool *pool)
{
	mutex_lock(&pools_lock);
	pool->volumes--;
	put(pool);
	mutex_unlock(&pools_lock);
}

bool corbel_pool_replaces(struct corbel_pool *pool, struct mapped_device *md)
{
	struct corbel_pool *other;
	bool found = false;

	mutex_lock(&pools_lock);
	list_for_each_entry(other, &pools, of_all) found |=
		other != pool && other->md == md && other->volumes;
	if (!found)
		pool->is_bound = true;
	mutex_unlock(&pools_lock);
	return found;
}
