/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memory.h - the two sides of a memory object.
 *
 * The C side has what mm and files are about: the pages, faults, who waits, the node and its
 * descriptors. The C++ side has which page is present, the requests and the ioctls.
 */
#ifndef CORBEL_POSTCOPY_MEMORY_H
#define CORBEL_POSTCOPY_MEMORY_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C: pages, in pieces of 2 MiB or alone ------------------------------------- */

struct corbel_store;

/* Bytes this host could give, by its own estimate, without its reserve. Task. */
u64 corbel_store_available(void);
/*
 * @pages of 4 KiB, zeroed, charged to the caller. Task. -ENOMEM, -EINTR (killed); nothing
 * stays allocated.
 */
int corbel_store_new(u64 pages, bool small, struct corbel_store **store);
/* Nobody maps it any more. Task. NULL is fine. */
void corbel_store_free(struct corbel_store *store);
u64 corbel_store_pieces(const struct corbel_store *store); /* of 2 MiB */
/* A page's contents, from user memory. Task. 0 or -EFAULT; then it holds anything. */
int corbel_store_fill(struct corbel_store *store, u32 page, u64 user);
/* Zeros. Task. 0. */
int corbel_store_clear(struct corbel_store *store, u32 page);
/* Where its 4096 bytes are. Any context. */
void *corbel_store_address(struct corbel_store *store, u32 page);
/* It is of a piece of 2 MiB. Any context. */
bool corbel_store_is_whole(const struct corbel_store *store, u32 page);
/* The page's lock, which all of a whole piece have in common. Task. */
void corbel_store_lock_page(struct corbel_store *store, u32 page);
void corbel_store_unlock_page(struct corbel_store *store, u32 page);
/*
 * Somebody may have the page, or another one that has the same lock, by something else than
 * a page table: a device, a pipe, a system call. Task.
 */
bool corbel_store_in_use(struct corbel_store *store, u32 page);
/* Zeroed, of any size, for what is kept of each page. Task. corbel_free_pages() frees it. */
void *corbel_store_table(size_t bytes);

/* Those that wait for @page look again. Any context but NMI. */
void corbel_store_wake(struct corbel_store *store, u32 page);
void corbel_store_wake_all(struct corbel_store *store);
/* There are requests to be read, or it has failed. Any context but NMI. */
void corbel_store_tell_readers(struct corbel_store *store);

struct corbel_store_counts {
	u64 waits;
	u64 held;
	u64 piece_maps;
};
void corbel_store_count(const struct corbel_store *store, struct corbel_store_counts *counts);

/* True: the caller is being killed. Task. */
bool corbel_killed(void);

/* ---- C: nodes -------------------------------------------------------------------- */

struct corbel_region;
struct corbel_node;

/*
 * A node with one reference, the caller's. The last one destroys @region and frees @store.
 * Task. -ENOSPC: there are CORBEL_MEMORY_OBJECTS; -ENOMEM. On failure both are the caller's.
 */
int corbel_node_new(struct corbel_region *region, struct corbel_store *store, u64 pages,
		    struct corbel_node **node);
u32 corbel_node_number(const struct corbel_node *node);
void corbel_node_get(struct corbel_node *node);
void corbel_node_put(struct corbel_node *node);
/* A descriptor that has the caller's reference; on failure that is still the caller's. */
int corbel_node_descriptor(struct corbel_node *node);

/* ---- C: its mappings. Task --------------------------------------------------------- */

/* The turn to change them, which one has at a time. 0 or -EINTR: the caller is being killed. */
int corbel_node_begin(struct corbel_node *node);
void corbel_node_end(struct corbel_node *node);

/*
 * With the turn. Whether each first write to a page is asked about, of all mappings there are
 * and will be. @on: on return no page table lets anybody write, nor maps 2 MiB, but for what
 * has been let through since. -EINTR: some are as they were.
 */
int corbel_node_watch(struct corbel_node *node, bool on);
/* With the turn, after a failure: those that will be. Those there are stay until next time. */
void corbel_node_unwatch(struct corbel_node *node, bool on);
/* Of @count pages, 512 at most, all writes are first ones again. */
void corbel_node_protect(struct corbel_node *node, u32 first, u32 count);
/*
 * With the turn. Page tables for all mappings: how many there are now, how many were @made.
 * -ENOMEM, -EINTR: some were.
 */
int corbel_node_prepare(struct corbel_node *node, u64 *there, u64 *made);
/* With the turn. No tables where a piece can be mapped. -ENOMEM, -EINTR: some are gone. */
int corbel_node_join(struct corbel_node *node, u64 *pieces);

/* The devices. Task. */
int corbel_nodes_start(void);
void corbel_nodes_stop(void);

/* ---- C++: states ----------------------------------------------------------------- */

#define CORBEL_PAGE_PRESENT 0
#define CORBEL_PAGE_MISSING 1
#define CORBEL_PAGE_FAILED 2
#define CORBEL_PAGE_SEALED 3 /* present, but not to be written to */

#define CORBEL_LOOK_REQUEST (1U << 0) /* if it is missing, it is asked for */
#define CORBEL_LOOK_WRITE (1U << 1) /* it is to be written to */

/* Before anybody can open it. */
void corbel_region_bind(struct corbel_region *region, struct corbel_node *node);
/* What becomes of who touches @page. Task with CORBEL_LOOK_REQUEST, else any context but NMI. */
int corbel_region_look(struct corbel_region *region, u32 page, u32 how);
/* It will be written to: its lock is held until it can be. Any context but NMI. */
void corbel_region_mark(struct corbel_region *region, u32 page);
/* All 512 from @first on. Any context but NMI. */
bool corbel_region_has_piece(struct corbel_region *region, u32 first);
/* Of its descriptors. Task. */
long corbel_region_ioctl(struct corbel_region *region, u32 number, u32 command, u64 argument);
s64 corbel_region_read(struct corbel_region *region, u64 user, u64 bytes);
u32 corbel_region_poll(struct corbel_region *region);
/*
 * The pages written since last collected, into @bitmap (zeroed by the caller); how many,
 * -EINVAL: not tracked, -EINTR: the caller is being killed. Task.
 */
s64 corbel_region_collect(struct corbel_region *region, u64 *bitmap);
/* They count as written again. Task. */
void corbel_region_rewrite(struct corbel_region *region, const u64 *bitmap);
/*
 * Keep it sealed: -EBUSY if it is not, -EINTR: the caller is being killed. UNSEAL answers EBUSY
 * until released as often. Task.
 */
int corbel_region_hold_seal(struct corbel_region *region);
void corbel_region_release_seal(struct corbel_region *region);
/* No descriptor and no mapping is left. Task. */
void corbel_region_destroy(struct corbel_region *region);

struct module;
/* Task. 0 or a negated errno, and then nothing is left behind. */
int corbel_postcopy_start(struct module *module);
void corbel_postcopy_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_POSTCOPY_MEMORY_H */
