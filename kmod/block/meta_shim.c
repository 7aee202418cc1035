// SPDX-License-Identifier: GPL-2.0
/* meta_shim.c - blocks of metadata, and flushes of data devices. */
#include <linux/bio.h>
#include <linux/highmem.h>

#include "pool_shim.h"

#define META_SHIFT 3 /* sectors of 4096 bytes */
#define MAX_WRITES 256

int corbel_meta_init(struct corbel_pool *pool)
{
	atomic_set(&pool->writes, 0);
	init_waitqueue_head(&pool->written);
	pool->page = alloc_page(GFP_KERNEL);
	return pool->page ? 0 : -ENOMEM;
}

void corbel_meta_exit(struct corbel_pool *pool)
{
	/* Who ended the last write has let go of it. */
	spin_lock_irq(&pool->written.lock);
	spin_unlock_irq(&pool->written.lock);
	if (pool->page)
		__free_page(pool->page);
}

static void wait_for_writes(struct corbel_pool *pool)
{
	wait_event(pool->written, atomic_read(&pool->writes) == 0);
}

int corbel_block_read(struct block_device *bdev, sector_t sector, struct page *page)
{
	struct bio_vec vec;
	struct bio bio;
	int error;

	bio_init(&bio, bdev, &vec, 1, REQ_OP_READ | REQ_META);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	error = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return error;
}

int corbel_meta_read(struct corbel_pool *pool, u64 block, void *data)
{
	int error;

	wait_for_writes(pool);
	error = corbel_block_read(pool->meta, block << META_SHIFT, pool->page);
	if (!error)
		memcpy_from_page(data, pool->page, 0, PAGE_SIZE);
	return error;
}

static void write_ended(struct bio *bio)
{
	struct corbel_pool *pool = bio->bi_private;
	struct page *page = bio_first_page_all(bio);
	unsigned long flags;

	if (bio->bi_status)
		WRITE_ONCE(pool->write_error, blk_status_to_errno(bio->bi_status));
	if (page != pool->page)
		__free_page(page);
	bio_put(bio);
	/* Under the lock, so that the pool is not gone before the wake-up is over. */
	spin_lock_irqsave(&pool->written.lock, flags);
	if (atomic_dec_return(&pool->writes) < MAX_WRITES)
		wake_up_locked(&pool->written);
	spin_unlock_irqrestore(&pool->written.lock, flags);
}

int corbel_meta_write(struct corbel_pool *pool, u64 block, const void *data)
{
	struct page *page = alloc_page(GFP_NOIO | __GFP_NOWARN);
	struct bio *bio;

	if (page) {
		wait_event(pool->written, atomic_read(&pool->writes) < MAX_WRITES);
	} else {
		wait_for_writes(pool);
		page = pool->page;
	}
	memcpy_to_page(page, 0, data, PAGE_SIZE);
	bio = bio_alloc(pool->meta, 1, REQ_OP_WRITE | REQ_META | REQ_SYNC, GFP_NOIO);
	bio->bi_iter.bi_sector = block << META_SHIFT;
	bio->bi_private = pool;
	bio->bi_end_io = write_ended;
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	atomic_inc(&pool->writes);
	submit_bio(bio);
	/* The one page of the pool is for one at a time. */
	if (page == pool->page)
		wait_for_writes(pool);
	return 0;
}

int corbel_meta_flush(struct corbel_pool *pool)
{
	int error;

	wait_for_writes(pool);
	error = xchg(&pool->write_error, 0);
	return error ? error : blkdev_issue_flush(pool->meta);
}

struct flushes {
	atomic_t count;
	int error;
	struct completion ended;
};

static void flush_ended(struct bio *bio)
{
	struct flushes *flushes = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(flushes->error, blk_status_to_errno(bio->bi_status));
	bio_put(bio);
	if (atomic_dec_and_test(&flushes->count))
		complete(&flushes->ended);
}

int corbel_data_flush(struct corbel_pool *pool, u32 devices)
{
	struct flushes flushes = {.count = ATOMIC_INIT(1)};
	unsigned long bits = devices;
	unsigned int device;

	init_completion(&flushes.ended);
	for_each_set_bit(device, &bits, CORBEL_BLOCK_DEVICES)
	{
		struct bio *bio;

		if (!pool->devices[device].bdev)
			return -ENXIO;
		bio = bio_alloc(pool->devices[device].bdev, 0, REQ_OP_WRITE | REQ_PREFLUSH,
				GFP_NOIO);
		bio->bi_private = &flushes;
		bio->bi_end_io = flush_ended;
		atomic_inc(&flushes.count);
		submit_bio(bio);
	}
	if (!atomic_dec_and_test(&flushes.count))
		wait_for_completion(&flushes.ended);
	return flushes.error;
}
