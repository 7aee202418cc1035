/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ring.h - event rings: the kernel produces, one consumer maps and reads.
 *
 * A ring fd is mapped in two pieces, both MAP_SHARED:
 *   offset CORBEL_RING_CTL_OFFSET   one page, read-write: struct corbel_ring_ctl
 *   offset CORBEL_RING_DATA_OFFSET  read-only: one page that starts with struct
 *       corbel_ring_head, then capacity * sizeof(struct corbel_event) bytes,
 *       rounded up to whole pages
 * A writable mapping of the data, or one past its end, answers EINVAL.
 *
 * Consumer, for index i = ctl->tail: the record is events[i % capacity]. It is
 * complete once its seq, loaded with acquire order, equals i + 1. Copy it, then
 * store ctl->tail = i + 1 with release order. Records become complete in index
 * order but for a producer that was interrupted in the middle of one.
 *
 * Loss: when the ring is full the new record is dropped and head->lost grows by
 * one; the next record that does fit carries CORBEL_EVENT_F_LOSS. So
 * produced = consumed + unread + lost holds at every quiet moment. The kernel
 * believes nothing that user space writes: a wild tail loses that consumer's
 * records, counted, and touches nothing else.
 *
 * poll(2) reports POLLIN when a record is unread, POLLHUP once the VM ended.
 */
#ifndef _UAPI_CORBEL_RING_H
#define _UAPI_CORBEL_RING_H

#include <linux/types.h>

#define CORBEL_RING_CTL_OFFSET 0
#define CORBEL_RING_DATA_OFFSET 0x100000

#define CORBEL_RING_MAGIC 0x676e6972u /* "ring" */
#define CORBEL_RING_VERSION 1

/* Capacity of a ring, in records, as a power of two: 2^6 .. 2^20. */
#define CORBEL_RING_MIN_ORDER 6
#define CORBEL_RING_MAX_ORDER 20

/**
 * struct corbel_ring_ctl - written by the consumer
 * @tail: index of the next record that the consumer will read
 */
struct corbel_ring_ctl {
	__u64 tail;
};

/**
 * struct corbel_ring_head - written by the kernel, read-only to user space
 * @magic: CORBEL_RING_MAGIC
 * @version: CORBEL_RING_VERSION
 * @record_size: sizeof(struct corbel_event)
 * @capacity: records, a power of two
 * @head: index after the last reserved record
 * @lost: records dropped so far because the ring was full
 * @ended: 1 once the VM has ended and no further record will come
 */
struct corbel_ring_head {
	__u32 magic;
	__u32 version;
	__u32 record_size;
	__u32 capacity;
	__u64 head;
	__u64 lost;
	__u64 ended;
};

#define CORBEL_EVENT_F_LOSS (1U << 0) /* records were dropped before this one */

/**
 * struct corbel_event - one record, 32 bytes
 * @seq: index + 1, stored last
 * @tsc: host time stamp counter at the event
 * @vcpu: vCPU index (KVM's vcpu_idx, not its id)
 * @type: CORBEL_EVENT_* of the producer, see <corbel/irq.h>
 * @vector: interrupt vector
 * @path: CORBEL_IRQ_PATH_*
 * @flags: CORBEL_EVENT_F_*
 * @arg: by @type
 */
struct corbel_event {
	__u64 seq;
	__u64 tsc;
	__u32 vcpu;
	__u8 type;
	__u8 vector;
	__u8 path;
	__u8 flags;
	__u64 arg;
};

#endif /* _UAPI_CORBEL_RING_H */
