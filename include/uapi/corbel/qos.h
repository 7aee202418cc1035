/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * qos.h - what the workload objects of a device under QoS did.
 *
 * A device of device-mapper's target corbel-qos divides its I/O among objects, by ranges of
 * sectors; what makes objects, ranges and limits are messages to the device (dmsetup message).
 * CORBEL_QOS_STATS makes a stats fd of one object, to be read as <corbel/stats.h> says. Its id
 * is "corbel-qos-MAJOR:MINOR/object-NUMBER". The values, for each OP of read, write, discard
 * and flush:
 *
 *   OP_ios         that are done, failed ones included; one for each piece, if it was split
 *   OP_bytes       of these
 *   OP_errors      of these, that failed
 *   OP_service_ns  for which they were at the device
 *   throttled      of all, that had to wait before they went there
 *   throttled_ns   for which they waited
 *
 * and, of an object that was made with histograms (rest, which is object 0, always has them),
 * arrays of CORBEL_QOS_BUCKETS counts:
 *
 *   read_latency, write_latency, other_latency  how long they were at the device; other: of
 *                                               discards and flushes
 *   queue_time                                  how long they waited; 0 is counted too
 *
 * Bucket 0 is for less than 2^12 ns, the last one for 2^35 ns and more. In between there are
 * eight from each power of two to the next, of the same width: bucket 1 + 8 * i + j begins with
 * 2^(12 + i) + j * 2^(9 + i) ns.
 *
 * An I/O is in all of these or in none: the values of one read say that the histogram of reads
 * holds as many as read_ios.
 *
 * The descriptor keeps the object's counts: when the device has gone, or has got another table,
 * it tells what they were in the end. dm-corbel.ko cannot be unloaded while it is open.
 */
#ifndef _UAPI_CORBEL_QOS_H
#define _UAPI_CORBEL_QOS_H

#include <corbel/corbel.h>

#define CORBEL_QOS_BUCKETS 186

/**
 * struct corbel_qos_stats - a stats fd of a workload object
 * @size: sizeof(struct corbel_qos_stats)
 * @flags: 0
 * @major: of the device's number
 * @minor: of the device's number
 * @sector: any sector of the target, if the device's table has several of them; else 0
 * @object: its number
 * @pad: 0
 *
 * Errors: ENODEV: there is no such device, or it has no target corbel-qos there, or its table
 * has never been resumed. ENOENT: it has no such object. EOPNOTSUPP: dm-corbel.ko is not loaded.
 */
struct corbel_qos_stats {
	__u32 size;
	__u32 flags;
	__u32 major;
	__u32 minor;
	__u64 sector;
	__u32 object;
	__u32 pad;
};

#define CORBEL_QOS_STATS _IOWR(CORBEL_IOC_MAGIC, 0x78, struct corbel_qos_stats)

#endif /* _UAPI_CORBEL_QOS_H */
