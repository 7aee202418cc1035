/* SPDX-License-Identifier: GPL-2.0 */
/* store.h - a store as both C files know it. */
#ifndef CORBEL_POSTCOPY_STORE_H
#define CORBEL_POSTCOPY_STORE_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "memory.h"

#define CORBEL_PIECE_PAGES HPAGE_PMD_NR
#define CORBEL_WAIT_BITS 8
#define CORBEL_MAP_LOCKS 64

/* 512 pages, or fewer at the end: one compound page, or each for itself. */
struct corbel_piece {
	struct page *whole;
	struct page **single;
};

struct corbel_store {
	u64 pages;
	u64 nr_pieces;
	u64 whole_pieces;
	struct corbel_piece *pieces;
	wait_queue_head_t waits[1 << CORBEL_WAIT_BITS]; /* by page */
	wait_queue_head_t readers;
	/*
	 * A piece is mapped whole or page by page, and who decides that must not be
	 * overtaken; by piece.
	 */
	struct mutex map_locks[CORBEL_MAP_LOCKS];
	atomic64_t waits_begun;
	atomic64_t holds_begun;
	atomic64_t piece_maps;
};

struct page *corbel_store_page(const struct corbel_store *store, u64 page);
wait_queue_head_t *corbel_store_waits(struct corbel_store *store, u64 page);
struct mutex *corbel_store_map_lock(struct corbel_store *store, u64 page);

/* Of a mapping whose vm_private_data is the node. */
const struct vm_operations_struct *corbel_operations(bool watched);

struct corbel_node {
	struct corbel_region *region;
	struct corbel_store *store;
	struct inode *inode; /* its address space has all mappings */
	u64 pages;
	u32 number;
	u32 references; /* under corbel_nodes_lock */
	struct work_struct refuse;
	/* Who changes how its mappings are; above the locks of address spaces. */
	struct mutex turn;
	bool watched; /* how they are to be; changed with the turn */
	/* The list; below the locks of address spaces, nothing is taken under it. */
	struct mutex spaces_lock;
	struct list_head spaces;
	u64 last_space;
};

static inline bool corbel_has_to_wait(int state)
{
	return state == CORBEL_PAGE_MISSING || state == CORBEL_PAGE_SEALED;
}

/* What @address is in can be mapped as a piece by @vma, whose address space is locked. */
bool corbel_fits_whole(const struct corbel_node *node, const struct vm_area_struct *vma,
		       unsigned long address);

/* Has KVM believe that @node has failed. Soon: any context; a mapping keeps the node. */
void corbel_refuse_init(struct corbel_node *node);
void corbel_refuse_soon(struct corbel_node *node);
void corbel_refuse_end(struct corbel_node *node);

#endif /* CORBEL_POSTCOPY_STORE_H */
