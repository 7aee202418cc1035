/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * memory.h - memory objects of corbel_postcopy.ko: guest RAM that is all there from the
 * start, and whose pages can be missing. See <corbel/corbel.h> for the rules of all ioctls.
 *
 *   /dev/corbel
 *    |- CORBEL_MEMORY_CREATE     -> memory fd, and a node /dev/corbel-ram<number>
 *         open(2) of the node    -> another memory fd of the same object
 *
 * The object lives as long as a descriptor or a mapping of it does; then the node goes. So
 * it outlasts whoever made it for as long as a monitor has it, and is found again by its
 * node. QEMU takes it as
 *
 *   -object memory-backend-file,id=m,size=SIZE,mem-path=/dev/corbel-ram<number>,share=on,align=2M
 *
 * Every page is allocated by CORBEL_MEMORY_CREATE or that fails: nothing that is done with
 * the object later allocates guest memory. Where it can, memory comes in pieces of 2 MiB,
 * else in pages of 4 KiB; it is charged to the control group of the caller, and placed by
 * the caller's NUMA policy. Allocated pages are zeroed.
 *
 * A page is *present* or *missing*. Of an object made with CORBEL_MEMORY_MISSING all are
 * missing at first. Who touches a missing page waits, by whatever way it is touched: the
 * page is *requested*, and read(2) tells its offset to whoever serves the object.
 * CORBEL_MEMORY_INSTALL makes pages present, each once: one that is present is never
 * written by it again. A piece of 2 MiB all of which is present is mapped as such where the
 * mapping is aligned. Waiting is killable.
 *
 * CORBEL_MEMORY_TRACK has it known which pages are written, by whatever way; CORBEL_MEMORY_DIRTY
 * tells them. CORBEL_MEMORY_SEAL ends all writing: whoever writes waits, killable, until the
 * seal is taken off, so that what runs on this memory does not go on; reading goes on. While
 * tracked or sealed, it is mapped in pages of 4 KiB; CORBEL_MEMORY_JOIN maps whole pieces again.
 * Neither costs anything while it is off.
 *
 * CORBEL_MEMORY_FAIL is for when missing pages will never come: whoever waits for one, or
 * touches one from then on, gets SIGBUS (KVM: KVM_RUN answers EFAULT, system calls do too).
 * Nobody is ever shown other contents in their place. Whoever writes to a sealed object that has
 * failed is told the same.
 *
 * mmap(2) takes MAP_SHARED only (EINVAL). Mappings are not inherited by fork(2), are not in
 * core dumps, and cannot be punched by madvise(2). lseek(2) with SEEK_END tells the size.
 *
 * read(2): offsets (__u64, bytes) of missing pages in the order in which they were
 * requested, each once; EAGAIN if there are none; 0 once the object has failed. poll(2):
 * POLLIN while there are any, POLLHUP once it has failed. Several may read; each offset goes
 * to one of them.
 */
#ifndef _UAPI_CORBEL_MEMORY_H
#define _UAPI_CORBEL_MEMORY_H

#include <corbel/corbel.h>

#define CORBEL_MEMORY_NODE "/dev/corbel-ram" /* and its number */
#define CORBEL_MEMORY_PAGE 4096U
#define CORBEL_MEMORY_PIECE (2U << 20)
#define CORBEL_MEMORY_MAX (1ULL << 40) /* bytes of one object */
#define CORBEL_MEMORY_OBJECTS 1024 /* at a time */

/* corbel_memory_create.flags */
#define CORBEL_MEMORY_MISSING (1U << 0) /* all pages are missing at first */
#define CORBEL_MEMORY_SMALL (1U << 1) /* 4 KiB pages only */

/**
 * struct corbel_memory_create - ioctl on /dev/corbel; answers a memory fd
 * @size: sizeof(struct corbel_memory_create)
 * @flags: CORBEL_MEMORY_*
 * @bytes: in: how large, a multiple of CORBEL_MEMORY_PAGE
 * @available: out, also with ENOMEM: bytes that this host could have given, as it estimates
 *	without trying; a reserve of 1/64 of its memory is not counted
 * @number: out: that of its node
 * @pad: 0
 *
 * Errors: EINVAL: no multiple, or 0. E2BIG: more than CORBEL_MEMORY_MAX. ENOMEM: there is
 * not as much, which is told before anything is reclaimed if the estimate says so, or the
 * control group may not have as much. ENOSPC: there are CORBEL_MEMORY_OBJECTS. EINTR: the
 * caller is being killed. EOPNOTSUPP: corbel_postcopy.ko is not loaded. Whatever fails,
 * nothing stays allocated.
 */
struct corbel_memory_create {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 available;
	__u32 number;
	__u32 pad;
};

/* corbel_memory_info.state */
#define CORBEL_MEMORY_LIVE 1
#define CORBEL_MEMORY_FAILED 2

/**
 * struct corbel_memory_info - ioctl on a memory fd
 * @size: sizeof(struct corbel_memory_info)
 * @flags: 0
 * @bytes: out: how large
 * @present: out: bytes in pages that are present
 * @in_pieces: out: bytes that were allocated in pieces of 2 MiB
 * @requested: out: pages that were ever requested
 * @waiting: out: of these, those that are still missing
 * @installed: out: pages made present by CORBEL_MEMORY_INSTALL
 * @duplicates: out: pages given to it that were present, or just being installed
 * @waits: out: times that somebody began to wait for a page
 * @piece_maps: out: mappings made of a whole piece of 2 MiB
 * @number: out: that of its node
 * @state: out: CORBEL_MEMORY_LIVE or CORBEL_MEMORY_FAILED
 * @tracked: out: 1 while it is tracked
 * @sealed: out: 1 while it is sealed
 * @held: out: times that somebody began to wait for the seal to be taken off
 * @tables: out: page tables made by CORBEL_MEMORY_PREPARE
 *
 * Of an object in use these are counted one after another.
 */
struct corbel_memory_info {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 present;
	__u64 in_pieces;
	__u64 requested;
	__u64 waiting;
	__u64 installed;
	__u64 duplicates;
	__u64 waits;
	__u64 piece_maps;
	__u32 number;
	__u32 state;
	__u32 tracked;
	__u32 sealed;
	__u64 held;
	__u64 tables;
};

/* corbel_memory_install.flags */
#define CORBEL_MEMORY_ZERO (1U << 0) /* the pages are zero; @source is 0 */

/**
 * struct corbel_memory_install - ioctl on a memory fd: missing pages come
 * @size: sizeof(struct corbel_memory_install)
 * @flags: CORBEL_MEMORY_ZERO or 0
 * @offset: in: of the first, bytes, a multiple of CORBEL_MEMORY_PAGE
 * @bytes: in: a multiple of CORBEL_MEMORY_PAGE, not 0
 * @source: in: address of the contents
 * @installed: out: pages made present
 * @duplicates: out: pages that were so already, and were left alone
 *
 * Wakes whoever waits for them, page by page. Errors: EINVAL: no multiples, or not all within
 * the object. EFAULT: @source cannot be read; the pages before that are present, and
 * @installed and @duplicates say how many. EINTR: the same, the caller is being killed.
 */
struct corbel_memory_install {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u64 source;
	__u64 installed;
	__u64 duplicates;
};

/**
 * struct corbel_memory_fail - ioctl on a memory fd: what is missing will not come
 * @size: sizeof(struct corbel_memory_fail)
 * @flags: 0
 *
 * For good. Pages that are present stay as they are.
 */
struct corbel_memory_fail {
	__u32 size;
	__u32 flags;
};

/**
 * struct corbel_memory_requeue - ioctl on a memory fd: tell all requests once more
 * @size: sizeof(struct corbel_memory_requeue)
 * @flags: 0
 *
 * For whoever takes over from one that read some and did not serve them: read(2) tells of
 * every page that was requested and is still missing, in the order of their offsets.
 */
struct corbel_memory_requeue {
	__u32 size;
	__u32 flags;
};

/* corbel_memory_track.flags */
#define CORBEL_MEMORY_TRACK_OFF (1U << 0)

/**
 * struct corbel_memory_track - ioctl on a memory fd: know which pages are written
 * @size: sizeof(struct corbel_memory_track)
 * @flags: 0 or CORBEL_MEMORY_TRACK_OFF
 *
 * At first all present pages count as written, and later those that become present. Errors:
 * EALREADY: it is as asked. ENOMEM. EINTR: the caller is being killed.
 */
struct corbel_memory_track {
	__u32 size;
	__u32 flags;
};

/* corbel_memory_dirty.flags */
#define CORBEL_MEMORY_DIRTY_KEEP (1U << 0) /* tell, and leave them as they are */

/**
 * struct corbel_memory_dirty - ioctl on a memory fd: which pages were written
 * @size: sizeof(struct corbel_memory_dirty)
 * @flags: CORBEL_MEMORY_DIRTY_KEEP or 0
 * @bitmap: in: address of a bit for each page of the object, in __u64s; or 0
 * @pages: out: how many
 *
 * Since tracking began or they were last told (without KEEP). What the pages hold is to be read
 * after this: a write that is not seen then is told the next time. In a sealed object nobody
 * writes. A page that a device, a pipe or a system call has been given is told each time until
 * it is given back, and with it those of its piece of 2 MiB that are told. If pages cannot be
 * told (EFAULT), they will be the next time. Errors: EINVAL: it is not tracked. ENOMEM. EINTR:
 * the caller is being killed.
 */
struct corbel_memory_dirty {
	__u32 size;
	__u32 flags;
	__u64 bitmap;
	__u64 pages;
};

/* corbel_memory_seal.flags */
#define CORBEL_MEMORY_UNSEAL (1U << 0)

/**
 * struct corbel_memory_seal - ioctl on a memory fd: nobody writes to it any more
 * @size: sizeof(struct corbel_memory_seal)
 * @flags: 0 or CORBEL_MEMORY_UNSEAL
 *
 * On return no page table anywhere lets anybody write, KVM's included. Writes by devices into
 * pages that were pinned before are not held up: stop the guest before, so that its I/O is done;
 * if it is tracked, CORBEL_MEMORY_DIRTY tells them. A monitor whose own thread writes is held as
 * well, and does not answer. Errors: EALREADY: it is as asked. EBUSY: pages are missing; UNSEAL:
 * a pager serves it. EINTR: the caller is being killed; it is not sealed.
 */
struct corbel_memory_seal {
	__u32 size;
	__u32 flags;
};

/**
 * struct corbel_memory_prepare - ioctl on a memory fd: make the page tables of all mappings
 * @size: sizeof(struct corbel_memory_prepare)
 * @flags: 0
 * @tables: out: page tables that now exist for its mappings
 *
 * A fault in a mapping that there is then allocates no page table. For pages of 4 KiB: what is
 * mapped 2 MiB at a time stays so, what is not mapped will be in small pages until
 * CORBEL_MEMORY_JOIN. They are charged to the control groups of those that have the mappings.
 * Errors: ENOMEM: some were made, and stay; EINTR: the same, the caller is being killed.
 */
struct corbel_memory_prepare {
	__u32 size;
	__u32 flags;
	__u64 tables;
};

/**
 * struct corbel_memory_join - ioctl on a memory fd: map whole pieces where they are complete
 * @size: sizeof(struct corbel_memory_join)
 * @flags: 0
 * @pieces: out: of 2 MiB that are mapped as a whole from the next touch on
 *
 * For after a transfer, or after tracking. The tables of small pages go where all of a piece is
 * present, and one mapping has all of it, aligned: each is counted. What is pinned stays valid.
 * Errors: EBUSY: it is tracked or sealed. ENOMEM; EINTR: the caller is being killed.
 */
struct corbel_memory_join {
	__u32 size;
	__u32 flags;
	__u64 pieces;
};

/**
 * struct corbel_memory_absent - ioctl on a memory fd: which pages are missing
 * @size: sizeof(struct corbel_memory_absent)
 * @flags: 0
 * @bitmap: in: address of a bit for each page of the object, in __u64s; or 0
 * @pages: out: how many
 *
 * While pages come this is out of date when it is told: each bit is as it was at some moment of
 * the call. Of an object that has failed it is for good. Errors: EINTR: the caller is being killed.
 */
struct corbel_memory_absent {
	__u32 size;
	__u32 flags;
	__u64 bitmap;
	__u64 pages;
};

/* ioctl of /dev/corbel */
#define CORBEL_MEMORY_CREATE _IOWR(CORBEL_IOC_MAGIC, 0x60, struct corbel_memory_create)

/* ioctls of a memory fd */
#define CORBEL_MEMORY_INFO _IOWR(CORBEL_IOC_MAGIC, 0x61, struct corbel_memory_info)
#define CORBEL_MEMORY_INSTALL _IOWR(CORBEL_IOC_MAGIC, 0x62, struct corbel_memory_install)
#define CORBEL_MEMORY_FAIL _IOWR(CORBEL_IOC_MAGIC, 0x63, struct corbel_memory_fail)
#define CORBEL_MEMORY_REQUEUE _IOWR(CORBEL_IOC_MAGIC, 0x64, struct corbel_memory_requeue)
#define CORBEL_MEMORY_TRACK _IOWR(CORBEL_IOC_MAGIC, 0x65, struct corbel_memory_track)
#define CORBEL_MEMORY_DIRTY _IOWR(CORBEL_IOC_MAGIC, 0x66, struct corbel_memory_dirty)
#define CORBEL_MEMORY_SEAL _IOWR(CORBEL_IOC_MAGIC, 0x67, struct corbel_memory_seal)
#define CORBEL_MEMORY_PREPARE _IOWR(CORBEL_IOC_MAGIC, 0x68, struct corbel_memory_prepare)
#define CORBEL_MEMORY_JOIN _IOWR(CORBEL_IOC_MAGIC, 0x69, struct corbel_memory_join)
#define CORBEL_MEMORY_ABSENT _IOWR(CORBEL_IOC_MAGIC, 0x6a, struct corbel_memory_absent)

#endif /* _UAPI_CORBEL_MEMORY_H */
