/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * dist.h - the distributor device: virtual interrupts of the host's own making.
 *
 * CORBEL_IRQ_DIST_NEW on an IRQ fd makes a distributor fd. It has a fixed number of
 * virtual interrupts, called by their id. Each is mapped to a vCPU, a vector and a
 * priority, or to nothing. It is raised by an ioctl, by an eventfd that is bound to
 * it, or through a submission ring. A raise has one of four outcomes:
 *
 *   delivered   the vCPU is resident or halted (see CORBEL_RES_*): the vector was
 *               given to its local APIC at once;
 *   pending     the vCPU is preempted or in user space, or the id is masked: one bit
 *               in the vCPU's pending record was set, and the vCPU is not touched;
 *   coalesced   the id was pending already;
 *   refused     the id is not mapped, the vCPU's local APIC is disabled, or the VM
 *               has ended.
 *
 * What is pending and not masked is delivered when the vCPU becomes resident, before
 * it next enters the guest: the highest priority first, of equal ones the one that
 * has been pending for longest. (From there on it is the local APIC that orders by
 * vector.)
 *
 * Pending record and pending status. The record of a vCPU is one bit an id and can be
 * mapped read-only. Separate from it is the status, one bit a vCPU: 1 if anything is
 * pending for it that is not masked. The status bits of 64 vCPUs are one 8-byte word.
 * A record's bit is set before the status bit, and cleared before it.
 *
 * Ledger. For each id, at every moment,
 *
 *   raised + restored = delivered + coalesced + refused + withdrawn + pending,
 *
 * where the last but one were pending when their owner took that away.
 *
 * What becomes of a delivered vector in the local APIC, which may have it pending
 * already, is in the vector's own counts (CORBEL_IRQ_VECTORS_GET).
 *
 * Mapping an id anew moves its pending bit, and the status of both vCPUs with it.
 * When the ioctl returns, every later raise goes by the new mapping and the old vCPU
 * gets nothing of this id any more.
 *
 * Migration: stop the sources, CORBEL_DIST_READ all ids, and on the other side
 * CORBEL_DIST_MAP them with CORBEL_DIST_RESTORE. Eventfds, doorbells and the ring
 * are the owner's to make again.
 *
 * After the VM has ended READ, LEDGER, INFO, STATS and the mappings answer as before;
 * all else answers ESTALE.
 */
#ifndef _UAPI_CORBEL_DIST_H
#define _UAPI_CORBEL_DIST_H

#include <corbel/corbel.h>
#include <corbel/stats.h>

#define CORBEL_DIST_MAX_IDS 65536
/* Distributors that one VM can have. */
#define CORBEL_DIST_MAX 4

/**
 * struct corbel_irq_dist - make a distributor, on an IRQ fd
 * @size: sizeof(struct corbel_irq_dist)
 * @flags: 0
 * @ids: in: number of virtual interrupts, 1 .. CORBEL_DIST_MAX_IDS
 * @vcpus: in: how many vCPUs it can serve, 1 .. CORBEL_MAX_VCPUS. They need not exist
 *         yet.
 *
 * Returns a distributor fd. No id is mapped. Takes 64 bytes an id, 3 KiB a vCPU and
 * the records (@vcpus * record_bytes of CORBEL_DIST_INFO).
 * Errors: EINVAL, EOPNOTSUPP (a hook it needs is missing), EBUSY (the VM has
 * CORBEL_DIST_MAX of them, or another program has the function hooked), ESTALE,
 * ENOMEM, EMFILE.
 */
struct corbel_irq_dist {
	__u32 size;
	__u32 flags;
	__u32 ids;
	__u32 vcpus;
};

/*
 * Mappings of a distributor fd, all MAP_SHARED:
 *   CORBEL_DIST_STATUS_OFFSET   one page, read-only: struct corbel_dist_line[16]
 *   CORBEL_DIST_RECORD_OFFSET   read-only: the records, that of vCPU i at i *
 *                               record_bytes; id n is bit n % 64 of 8-byte word n / 64
 *   CORBEL_DIST_RING_OFFSET     read-write: the submission ring, once it is made
 */
#define CORBEL_DIST_STATUS_OFFSET 0
#define CORBEL_DIST_RECORD_OFFSET 0x100000
#define CORBEL_DIST_RING_OFFSET 0x40000000

/**
 * struct corbel_dist_line - pending status of 64 vCPUs, one cache line
 * @pending: bit i: something that is not masked is pending for vCPU 64 line + i
 * @reserved: 0
 */
struct corbel_dist_line {
	__u64 pending;
	__u64 reserved[7];
};

/**
 * struct corbel_dist_counts - the ledger of an id, or of several together
 * @raised: by ioctl, eventfd or ring
 * @restored: made pending by CORBEL_DIST_RESTORE
 * @delivered: given to a local APIC
 * @coalesced: raised while pending already
 * @refused: dropped: raised while not mapped, given out while the APIC was disabled, or
 *           raised after the VM's end
 * @withdrawn: dropped: pending when it was unmapped, reset or restored as not pending
 * @pending: now
 */
struct corbel_dist_counts {
	__u64 raised;
	__u64 restored;
	__u64 delivered;
	__u64 coalesced;
	__u64 refused;
	__u64 withdrawn;
	__u64 pending;
};

/**
 * struct corbel_dist_info - the distributor
 * @size: sizeof(struct corbel_dist_info)
 * @flags: 0
 * @ids: out: number of virtual interrupts
 * @vcpus: out: vCPUs it can serve
 * @record_bytes: out: from one vCPU's record to the next, in the mapping
 * @ring_order: out: of the submission ring, 0 if there is none
 * @bound: out: ids that have an eventfd
 * @ended: out: 1 once the VM has ended
 * @vm_id: out: number of the attachment
 * @doorbells: out: how often a doorbell was rung
 * @submitted: out: ids taken from the submission ring
 * @lost: out: ids that were overwritten in it before they were taken
 * @refused: out: ids taken from it that there are none of
 */
struct corbel_dist_info {
	__u32 size;
	__u32 flags;
	__u32 ids;
	__u32 vcpus;
	__u32 record_bytes;
	__u32 ring_order;
	__u32 bound;
	__u32 ended;
	__u64 vm_id;
	__u64 doorbells;
	__u64 submitted;
	__u64 lost;
	__u64 refused;
};

/* corbel_dist_entry.state */
#define CORBEL_DIST_MAPPED (1U << 0)
#define CORBEL_DIST_MASKED (1U << 1) /* kept pending when raised, until unmasked */
#define CORBEL_DIST_PENDING (1U << 2)

#define CORBEL_DIST_MIN_VECTOR 16

/**
 * struct corbel_dist_entry - one id
 * @id: which
 * @vcpu: vCPU index; 0 if not mapped
 * @vector: CORBEL_DIST_MIN_VECTOR .. 255; 0 if not mapped
 * @priority: 0 .. 255, the larger the sooner; 0 if not mapped
 * @state: CORBEL_DIST_MAPPED, CORBEL_DIST_MASKED, CORBEL_DIST_PENDING
 * @pad: 0
 */
struct corbel_dist_entry {
	__u32 id;
	__u32 vcpu;
	__u8 vector;
	__u8 priority;
	__u8 state;
	__u8 pad[5];
};

/* corbel_dist_map.flags */
/*
 * CORBEL_DIST_PENDING of an entry says whether it shall be pending. Without this flag
 * an id that is pending stays so, and the bit must be 0.
 */
#define CORBEL_DIST_RESTORE (1U << 0)

/**
 * struct corbel_dist_map - map ids, or unmap them
 * @size: sizeof(struct corbel_dist_map)
 * @flags: CORBEL_DIST_RESTORE or 0
 * @count: in: entries, 1 .. CORBEL_DIST_MAX_IDS
 * @pad: 0
 * @entries: user pointer to struct corbel_dist_entry[@count]
 *
 * An entry without CORBEL_DIST_MAPPED unmaps. All entries are looked at before the
 * first is put in force: EINVAL and ENOENT (no such vCPU now) change nothing. Entries
 * are put in force one by one, in order.
 */
struct corbel_dist_map {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 pad;
	__u64 entries;
};

/**
 * struct corbel_dist_read - read back what ids are mapped to
 * @size: sizeof(struct corbel_dist_read)
 * @flags: 0
 * @first: in: first id
 * @count: in: how many; EINVAL if they reach past the last id, or 0
 * @entries: user pointer to struct corbel_dist_entry[@count]
 */
struct corbel_dist_read {
	__u32 size;
	__u32 flags;
	__u32 first;
	__u32 count;
	__u64 entries;
};

/**
 * struct corbel_dist_raise - raise one id
 * @size: sizeof(struct corbel_dist_raise)
 * @flags: 0
 * @id: in: which; EINVAL if there is no such
 * @pad: 0
 *
 * Returns CORBEL_DIST_WAS_*.
 */
struct corbel_dist_raise {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 pad;
};

#define CORBEL_DIST_WAS_REFUSED 0
#define CORBEL_DIST_WAS_DELIVERED 1
#define CORBEL_DIST_WAS_RECORDED 2 /* pending now; delivered in a moment, perhaps */
#define CORBEL_DIST_WAS_COALESCED 3

/**
 * struct corbel_dist_raise_many - raise ids, in order
 * @size: sizeof(struct corbel_dist_raise_many)
 * @flags: 0
 * @count: in: how many, 1 .. CORBEL_DIST_MAX_IDS
 * @pad: 0
 * @ids: user pointer to __u32[@count]
 *
 * All are looked at first: with one that does not exist (EINVAL) none is raised.
 * Returns how many were not refused.
 */
struct corbel_dist_raise_many {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 pad;
	__u64 ids;
};

/* corbel_dist_mask.flags */
#define CORBEL_DIST_MASK_SET (1U << 0) /* set: mask; clear: unmask */

/**
 * struct corbel_dist_mask - mask or unmask ids
 * @size: sizeof(struct corbel_dist_mask)
 * @flags: CORBEL_DIST_MASK_SET or 0
 * @first: in: first id
 * @count: in: how many; EINVAL if they reach past the last id, or 0
 *
 * Unmasking delivers what is pending, as a raise would. Ids that are not mapped are
 * passed over. Returns how many changed.
 */
struct corbel_dist_mask {
	__u32 size;
	__u32 flags;
	__u32 first;
	__u32 count;
};

/* corbel_dist_bind.flags */
#define CORBEL_DIST_UNBIND (1U << 0)

/**
 * struct corbel_dist_bind - raise an id at each signal of an eventfd
 * @size: sizeof(struct corbel_dist_bind)
 * @flags: CORBEL_DIST_UNBIND or 0
 * @id: in: which
 * @fd: in: an eventfd; -1 with CORBEL_DIST_UNBIND
 *
 * Each write(2) to the eventfd, and each signal from inside the kernel, is one raise,
 * made in the context of the writer; the eventfd's counter is consumed, as KVM's
 * irqfd does. A count that it has when it is bound is one raise. The binding ends by
 * CORBEL_DIST_UNBIND, when the last descriptor of the eventfd is closed, or with the
 * distributor. No signal is under way any more when an unbinding ioctl returns. An
 * eventfd that is a KVM irqfd, or bound to another distributor, reaches one of both.
 * Errors: EINVAL (not an eventfd), EBADF, EBUSY (the id has one; or the eventfd is
 * bound to an id already), ENOENT (unbinding what is not bound), ESTALE.
 */
struct corbel_dist_bind {
	__u32 size;
	__u32 flags;
	__u32 id;
	__s32 fd;
};

#define CORBEL_DIST_ALL_VCPUS 0xffffffffU

/**
 * struct corbel_dist_doorbell - tell an eventfd that a vCPU has work
 * @size: sizeof(struct corbel_dist_doorbell)
 * @flags: 0
 * @vcpu: in: vCPU index, or CORBEL_DIST_ALL_VCPUS: of the VM
 * @fd: in: an eventfd, or -1: none any more
 *
 * It is signalled when something becomes pending for a vCPU that is not resident and
 * for which nothing was: the status bit goes from 0 to 1. Signals that come close
 * together may be one. A vCPU that has a doorbell of its own does not ring the VM's.
 * What was pending before is not signalled: set the doorbell, then look at the status.
 */
struct corbel_dist_doorbell {
	__u32 size;
	__u32 flags;
	__u32 vcpu;
	__s32 fd;
};

/**
 * struct corbel_dist_ledger - counts of ids
 * @size: sizeof(struct corbel_dist_ledger)
 * @flags: 0
 * @first: in: first id
 * @count: in: how many; EINVAL if they reach past the last id, or 0
 * @counts: user pointer to struct corbel_dist_counts[@count]
 *
 * Of one id the counts are of one moment and balance.
 */
struct corbel_dist_ledger {
	__u32 size;
	__u32 flags;
	__u32 first;
	__u32 count;
	__u64 counts;
};

/**
 * struct corbel_dist_reset - unmap every id
 * @size: sizeof(struct corbel_dist_reset)
 * @flags: 0
 *
 * What is pending is withdrawn. Eventfds, doorbells, the ring and the counts stay.
 */
struct corbel_dist_reset {
	__u32 size;
	__u32 flags;
};

#define CORBEL_DIST_RING_MIN_ORDER 6
#define CORBEL_DIST_RING_MAX_ORDER 16

/**
 * struct corbel_dist_ring - make the submission ring
 * @size: sizeof(struct corbel_dist_ring)
 * @flags: 0
 * @order: in: log2 of the ids it holds, CORBEL_DIST_RING_MIN_ORDER .. MAX_ORDER
 * @pad: 0
 *
 * EBUSY: there is one. It stays until the distributor is closed.
 */
struct corbel_dist_ring {
	__u32 size;
	__u32 flags;
	__u32 order;
	__u32 pad;
};

/**
 * struct corbel_dist_ring_ctl - the first page of the ring; __u32 ids[2^order] follow
 * in the next page
 * @head: index after the last id submitted; written by the owner, who fills
 *        ids[head % capacity] first and then stores head + 1 with release order
 * @pad: 0
 * @tail: index after the last id taken; written by the kernel and never read back
 * @lost: ids lost so far, as in corbel_dist_info; written by the kernel
 *
 * There is room while head - tail < capacity. The kernel takes ids at CORBEL_DIST_KICK.
 * It believes nothing here: if head is further ahead than the capacity, all but the
 * last capacity ids count as lost; an id that does not exist counts as refused.
 */
struct corbel_dist_ring_ctl {
	__u64 head;
	__u64 pad[7];
	__u64 tail;
	__u64 lost;
};

/**
 * struct corbel_dist_kick - raise what is in the submission ring
 * @size: sizeof(struct corbel_dist_kick)
 * @flags: 0
 *
 * Returns how many ids were taken; those submitted while it works may be left to the
 * next kick. ENOENT: there is no ring.
 */
struct corbel_dist_kick {
	__u32 size;
	__u32 flags;
};

/**
 * struct corbel_dist_stats - the ledger of all ids as self-describing counts
 * @size: sizeof(struct corbel_dist_stats)
 * @flags: 0
 *
 * Returns a stats fd, see <corbel/stats.h>, with the sums of struct corbel_dist_counts:
 * posted (its @raised), restored, delivered, coalesced, dropped_refused,
 * dropped_withdrawn, pending; and ids and doorbells, as in struct corbel_dist_info. Like
 * a mapping of it, the stats fd keeps the distributor, which ends with the last of them.
 * Errors: ENOMEM, EMFILE.
 */
struct corbel_dist_stats {
	__u32 size;
	__u32 flags;
};

/**
 * struct corbel_irq_dist_get - a distributor of the VM, seen by who did not make it
 * @size: sizeof(struct corbel_irq_dist_get)
 * @flags: 0
 * @slot: in: 0 .. CORBEL_DIST_MAX - 1, else EINVAL; ENOENT if there is none
 * @ids: out: number of virtual interrupts
 * @vcpus: out: vCPUs it can serve
 * @pad: 0
 * @doorbells: out: how often a doorbell was rung
 * @counts: out: of all ids together. It balances if nothing was raised meanwhile.
 *
 * A distributor keeps its slot for as long as it is there.
 */
struct corbel_irq_dist_get {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 ids;
	__u32 vcpus;
	__u32 pad;
	__u64 doorbells;
	struct corbel_dist_counts counts;
};

/* On an IRQ fd */
#define CORBEL_IRQ_DIST_NEW _IOWR(CORBEL_IOC_MAGIC, 0x50, struct corbel_irq_dist)
#define CORBEL_IRQ_DIST_GET _IOWR(CORBEL_IOC_MAGIC, 0x5e, struct corbel_irq_dist_get)

/* On a distributor fd */
#define CORBEL_DIST_INFO _IOWR(CORBEL_IOC_MAGIC, 0x51, struct corbel_dist_info)
#define CORBEL_DIST_MAP _IOWR(CORBEL_IOC_MAGIC, 0x52, struct corbel_dist_map)
#define CORBEL_DIST_READ _IOWR(CORBEL_IOC_MAGIC, 0x53, struct corbel_dist_read)
#define CORBEL_DIST_RAISE _IOWR(CORBEL_IOC_MAGIC, 0x54, struct corbel_dist_raise)
#define CORBEL_DIST_RAISE_MANY _IOWR(CORBEL_IOC_MAGIC, 0x55, struct corbel_dist_raise_many)
#define CORBEL_DIST_MASK _IOWR(CORBEL_IOC_MAGIC, 0x56, struct corbel_dist_mask)
#define CORBEL_DIST_BIND _IOWR(CORBEL_IOC_MAGIC, 0x57, struct corbel_dist_bind)
#define CORBEL_DIST_DOORBELL _IOWR(CORBEL_IOC_MAGIC, 0x58, struct corbel_dist_doorbell)
#define CORBEL_DIST_LEDGER _IOWR(CORBEL_IOC_MAGIC, 0x59, struct corbel_dist_ledger)
#define CORBEL_DIST_RESET _IOWR(CORBEL_IOC_MAGIC, 0x5a, struct corbel_dist_reset)
#define CORBEL_DIST_RING _IOWR(CORBEL_IOC_MAGIC, 0x5b, struct corbel_dist_ring)
#define CORBEL_DIST_KICK _IOWR(CORBEL_IOC_MAGIC, 0x5c, struct corbel_dist_kick)
#define CORBEL_DIST_STATS _IOWR(CORBEL_IOC_MAGIC, 0x5d, struct corbel_dist_stats)

#endif /* _UAPI_CORBEL_DIST_H */
