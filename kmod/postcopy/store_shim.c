// SPDX-License-Identifier: GPL-2.0
/*
 * store_shim.c - the pages of a memory object.
 */
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "store.h"

#define CORBEL_GFP (GFP_HIGHUSER | __GFP_ZERO | __GFP_ACCOUNT | __GFP_NOWARN)
/* A piece of 2 MiB is worth one try: what is left can be had page by page. */
#define CORBEL_GFP_WHOLE (CORBEL_GFP | __GFP_COMP | __GFP_NORETRY)
/* Without the OOM killer, of the host or of a control group. */
#define CORBEL_GFP_SINGLE (CORBEL_GFP | __GFP_RETRY_MAYFAIL)

u64 corbel_store_available(void)
{
	const long reserve = totalram_pages() / 64;
	const long available = si_mem_available() - reserve;

	return available > 0 ? (u64)available << PAGE_SHIFT : 0;
}

void *corbel_store_table(size_t bytes)
{
	return __vmalloc(bytes,
			 GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
}

static u64 corbel_pages_in(const struct corbel_store *store, u64 piece)
{
	return min_t(u64, CORBEL_PIECE_PAGES, store->pages - piece * CORBEL_PIECE_PAGES);
}

static void corbel_free_piece(struct corbel_store *store, u64 index)
{
	struct corbel_piece *piece = &store->pieces[index];
	u64 i;

	if (piece->whole)
		put_page(piece->whole);
	if (!piece->single)
		return;
	for (i = 0; i < corbel_pages_in(store, index) && piece->single[i]; i++)
		put_page(piece->single[i]);
	kvfree(piece->single);
}

static int corbel_alloc_piece(struct corbel_store *store, u64 index, bool small)
{
	struct corbel_piece *piece = &store->pieces[index];
	const u64 pages = corbel_pages_in(store, index);
	u64 i;

	if (!small && pages == CORBEL_PIECE_PAGES) {
		piece->whole = alloc_pages(CORBEL_GFP_WHOLE, HPAGE_PMD_ORDER);
		if (piece->whole) {
			store->whole_pieces++;
			return 0;
		}
	}
	piece->single = kvcalloc(pages, sizeof(*piece->single), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!piece->single)
		return -ENOMEM;
	for (i = 0; i < pages; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		piece->single[i] = alloc_page(CORBEL_GFP_SINGLE);
		if (!piece->single[i])
			return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
	}
	return 0;
}

int corbel_store_new(u64 pages, bool small, struct corbel_store **made)
{
	struct corbel_store *store = kzalloc(sizeof(*store), GFP_KERNEL_ACCOUNT);
	int error = 0, i;
	u64 piece;

	if (!store)
		return -ENOMEM;
	store->pages = pages;
	store->nr_pieces = DIV_ROUND_UP(pages, CORBEL_PIECE_PAGES);
	for (i = 0; i < ARRAY_SIZE(store->waits); i++)
		init_waitqueue_head(&store->waits[i]);
	init_waitqueue_head(&store->readers);
	for (i = 0; i < ARRAY_SIZE(store->map_locks); i++)
		mutex_init(&store->map_locks[i]);
	store->pieces = corbel_store_table(store->nr_pieces * sizeof(*store->pieces));
	if (!store->pieces)
		error = -ENOMEM;
	for (piece = 0; !error && piece < store->nr_pieces; piece++) {
		error = fatal_signal_pending(current) ? -EINTR
						      : corbel_alloc_piece(store, piece, small);
		cond_resched();
	}
	if (error)
		corbel_store_free(store);
	else
		*made = store;
	return error;
}

void corbel_store_free(struct corbel_store *store)
{
	u64 piece;

	if (!store)
		return;
	for (piece = 0; store->pieces && piece < store->nr_pieces; piece++) {
		corbel_free_piece(store, piece);
		cond_resched();
	}
	vfree(store->pieces);
	kfree(store);
}

u64 corbel_store_pieces(const struct corbel_store *store)
{
	return store->whole_pieces;
}

struct page *corbel_store_page(const struct corbel_store *store, u64 page)
{
	const struct corbel_piece *piece = &store->pieces[page / CORBEL_PIECE_PAGES];

	page %= CORBEL_PIECE_PAGES;
	return piece->whole ? piece->whole + page : piece->single[page];
}

void *corbel_store_address(struct corbel_store *store, u32 page)
{
	return page_address(corbel_store_page(store, page));
}

int corbel_store_fill(struct corbel_store *store, u32 page, u64 user)
{
	void *to = kmap_local_page(corbel_store_page(store, page));
	unsigned long left = copy_from_user(to, u64_to_user_ptr(user), PAGE_SIZE);

	kunmap_local(to);
	return left ? -EFAULT : 0;
}

int corbel_store_clear(struct corbel_store *store, u32 page)
{
	clear_highpage(corbel_store_page(store, page));
	return 0;
}

bool corbel_store_is_whole(const struct corbel_store *store, u32 page)
{
	return store->pieces[page / CORBEL_PIECE_PAGES].whole;
}

void corbel_store_lock_page(struct corbel_store *store, u32 page)
{
	lock_page(corbel_store_page(store, page));
}

void corbel_store_unlock_page(struct corbel_store *store, u32 page)
{
	unlock_page(corbel_store_page(store, page));
}

/* Entries in page tables; each has a reference. One of 2 MiB is not counted, and has none. */
static int corbel_entries(struct page *page, bool whole)
{
	const int pages = whole ? CORBEL_PIECE_PAGES : 1;
	int sum = 0, i;

	for (i = 0; i < pages; i++)
		sum += atomic_read(&page[i]._mapcount) + 1;
	return sum;
}

bool corbel_store_in_use(struct corbel_store *store, u32 page)
{
	struct mutex *lock = corbel_store_map_lock(store, page);
	const bool whole = corbel_store_is_whole(store, page);
	struct page *of = corbel_store_page(store, page);
	int before, references, after;

	/*
	 * With the lock no entry comes, so what stays the same has not changed meanwhile. An
	 * entry that goes gives its reference back later.
	 */
	mutex_lock(lock);
	before = corbel_entries(of, whole);
	smp_mb();
	references = page_count(of);
	smp_mb();
	after = corbel_entries(of, whole);
	mutex_unlock(lock);
	return before != after || references != 1 + after;
}

struct mutex *corbel_store_map_lock(struct corbel_store *store, u64 page)
{
	return &store->map_locks[page / CORBEL_PIECE_PAGES % CORBEL_MAP_LOCKS];
}

wait_queue_head_t *corbel_store_waits(struct corbel_store *store, u64 page)
{
	return &store->waits[hash_64(page, CORBEL_WAIT_BITS)];
}

void corbel_store_wake(struct corbel_store *store, u32 page)
{
	wait_queue_head_t *waits = corbel_store_waits(store, page);

	if (wq_has_sleeper(waits))
		wake_up_all(waits);
}

void corbel_store_wake_all(struct corbel_store *store)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(store->waits); i++)
		wake_up_all(&store->waits[i]);
}

void corbel_store_tell_readers(struct corbel_store *store)
{
	wake_up_all(&store->readers);
}

void corbel_store_count(const struct corbel_store *store, struct corbel_store_counts *counts)
{
	counts->waits = atomic64_read(&store->waits_begun);
	counts->held = atomic64_read(&store->holds_begun);
	counts->piece_maps = atomic64_read(&store->piece_maps);
}

bool corbel_killed(void)
{
	return fatal_signal_pending(current);
}
