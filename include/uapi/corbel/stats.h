/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * stats.h - self-describing counts, on a stats fd (CORBEL_IRQ_STATS of <corbel/irq.h>,
 * CORBEL_DIST_STATS of <corbel/dist.h>, CORBEL_QOS_STATS of <corbel/qos.h>).
 *
 * A stats fd is read like one of KVM_GET_STATS_FD and has its binary layout, so that
 * whatever reads those can read these:
 *
 *   0            struct corbel_stats_header
 *   id_offset    name_size bytes: whose counts these are, NUL-padded
 *   desc_offset  num_desc descriptors of sizeof(struct corbel_stats_desc) bytes, which
 *                is 16 + name_size
 *   data_offset  the values, __u64 each; that of a descriptor at its own offset
 *
 * All but the values stays the same for as long as the descriptor is open. The values
 * are taken anew at each read(2) or pread(2) that reaches into them: those of one read
 * are of one look, those of two are not. While nothing is under way they balance,
 *
 *   posted_device + posted_ipi + posted_local + restored =
 *	delivered + coalesced + dropped_refused + dropped_vanished + pending
 *
 * of an observer, and of a distributor
 *
 *   posted + restored =
 *	delivered + coalesced + dropped_refused + dropped_withdrawn + pending.
 *
 * `coalesced` of an observer is what is left when all else is taken off (see
 * <corbel/irq.h>), and may for a moment be less than it was before.
 *
 * Values are found by name; there may be more of them in a later version, and in
 * another order.
 *
 * A stats fd can be read after the VM, or the device, has ended. There is nothing to read at the end
 * of the values and past it (0); a bad pointer answers EFAULT.
 */
#ifndef _UAPI_CORBEL_STATS_H
#define _UAPI_CORBEL_STATS_H

#include <linux/types.h>

/* name_size of the header: of the id and of each name, with at least one NUL. */
#define CORBEL_STATS_NAME_LEN 48

/**
 * struct corbel_stats_header - the first bytes
 * @flags: 0
 * @name_size: bytes of the id, and of the name in each descriptor
 * @num_desc: descriptors
 * @id_offset: where the id is, in bytes from the start
 * @desc_offset: where the descriptors are
 * @data_offset: where the values are
 */
struct corbel_stats_header {
	__u32 flags;
	__u32 name_size;
	__u32 num_desc;
	__u32 id_offset;
	__u32 desc_offset;
	__u32 data_offset;
};

/* corbel_stats_desc.flags: what a value is, in three fields of four bits */
#define CORBEL_STATS_TYPE_MASK 0xfU
#define CORBEL_STATS_CUMULATIVE 0x0U /* only grows */
#define CORBEL_STATS_INSTANT 0x1U /* as it is now */
#define CORBEL_STATS_UNIT_MASK 0xf0U /* 0: a plain count */
#define CORBEL_STATS_BYTES 0x10U
#define CORBEL_STATS_SECONDS 0x20U
#define CORBEL_STATS_BASE_MASK 0xf00U /* 0: of the exponent, ten */

/**
 * struct corbel_stats_desc - one value
 * @flags: CORBEL_STATS_*
 * @exponent: the value is in units of 10^@exponent: 0, or -9 of seconds
 * @size: how many __u64 there are: 1, or as many as a histogram has buckets
 * @offset: in bytes from data_offset
 * @bucket_size: 0: no histogram as KVM has them; where the buckets of others end is said
 *	where their names are
 * @name: NUL-padded
 */
struct corbel_stats_desc {
	__u32 flags;
	__s16 exponent;
	__u16 size;
	__u32 offset;
	__u32 bucket_size;
	char name[CORBEL_STATS_NAME_LEN];
};

#endif /* _UAPI_CORBEL_STATS_H */
