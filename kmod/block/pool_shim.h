/* SPDX-License-Identifier: GPL-2.0 */
/* pool_shim.h - the C side of a pool, for the targets and for what serves the engine. */
#ifndef CORBEL_BLOCK_POOL_SHIM_H
#define CORBEL_BLOCK_POOL_SHIM_H

#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/dm-io.h>
#include <linux/dm-kcopyd.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "target.h"

#define DM_MSG_PREFIX "corbel"

struct corbel_pool {
	struct list_head of_all; /* pools_lock */
	unsigned int users; /* tables and volumes; pools_lock */
	unsigned int volumes; /* pools_lock */
	struct mapped_device *md; /* of the pool's device */
	struct block_device *meta;
	struct corbel_engine *engine;
	bool is_measured; /* how long reads and writes take */
	bool is_bound; /* its devices are known; pools_lock */

	struct {
		struct block_device *bdev;
		sector_t start;
	} devices[CORBEL_BLOCK_DEVICES];
	unsigned int block_shift; /* sectors of a block, as a power of two */

	struct mutex table_lock;
	struct dm_table *table; /* that is in use, for events */

	struct srcu_struct srcu;
	struct rcu_head drained;
	struct workqueue_struct *queue;
	struct work_struct work;
	struct delayed_work later;
	struct dm_kcopyd_client *copier;

	/* Writes of metadata that have been begun. */
	atomic_t writes;
	wait_queue_head_t written;
	int write_error;
	struct page *page; /* for reading, and for writing when there is no other */
};

/* meta_shim.c */
int corbel_meta_init(struct corbel_pool *pool);
void corbel_meta_exit(struct corbel_pool *pool);
/* One block of 4096 bytes at @sector into @data. Task. */
int corbel_block_read(struct block_device *bdev, sector_t sector, struct page *page);

/* pools_shim.c: the pools there are. Task. */
struct corbel_pool *corbel_pool_get(struct block_device *meta, struct mapped_device *md,
				    u64 cache_bytes, char **error);
void corbel_pool_put(struct corbel_pool *pool);
/* The pool of a device-mapper device that is in use; with a volume more. */
struct corbel_pool *corbel_pool_of_device(struct block_device *device);
void corbel_pool_put_volume(struct corbel_pool *pool);
/* Another pool of that device has volumes. */
bool corbel_pool_replaces(struct corbel_pool *pool, struct mapped_device *md);

extern struct target_type corbel_pool_target, corbel_volume_target, corbel_qos_target;

#endif /* CORBEL_BLOCK_POOL_SHIM_H */
