/* SPDX-License-Identifier: GPL-2.0 */
/*
 * meter.h - between the device-mapper target corbel-qos (C) and the meter of a device (C++).
 *
 *   bio --> qos_map --> corbel_meter_piece    whose it is, and how much of it; lock-free
 *                           |
 *                       corbel_meter_submit   goes now, or waits; one spinlock, unless nothing
 *                           |                 ties it to others
 *   timer, completions --> corbel_meter_run   what may go now, in the meter's worker
 *   bio ends ----------> corbel_meter_ended   counted, and makes room for others
 *
 * "task": process context, may sleep. "atomic": any context but NMI. Errors are negated errno
 * values. Times in ns of CLOCK_MONOTONIC.
 */
#ifndef CORBEL_BLOCK_METER_H
#define CORBEL_BLOCK_METER_H

#include "../../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct corbel_meter_shim; /* C: device, timer, worker */
struct corbel_meter; /* C++ */
struct corbel_workload; /* C++: an object, for as long as the meter is there */

enum corbel_meter_op {
	CORBEL_METER_READ,
	CORBEL_METER_WRITE,
	CORBEL_METER_DISCARD,
	CORBEL_METER_FLUSH,
};

/* Of a bio, in the memory that device-mapper keeps beside it. */
struct corbel_meter_io {
	u64 space[6]; /* qos::Io */
	struct corbel_workload *workload;
	u64 sector; /* of the target */
	u64 arrived;
	u32 bytes;
	u8 op; /* corbel_meter_op */
	bool is_scheduled; /* the scheduler knows of it */
};

/* ---- C++, for C ------------------------------------------------------------------ */

struct corbel_meter_options {
	u32 depth; /* I/Os at the device at a time; 0: as many as limits allow */
	u32 io_bytes; /* of a unit; 0: any size is one */
	u32 cpus;
	u64 sectors; /* of the target */
};
int corbel_meter_new(struct corbel_meter_shim *shim, const struct corbel_meter_options *options,
		     struct corbel_meter **meter);
/* Nothing is under way. Task. NULL is fine. */
void corbel_meter_free(struct corbel_meter *meter);

/* Whose the first of these sectors is, and how many of them with it. In an RCU section. Atomic. */
struct corbel_workload *corbel_meter_piece(struct corbel_meter *meter, u64 sector, u64 sectors,
					   u64 *together);
/* op, sector, bytes and workload are set. True: it goes now. Atomic. */
bool corbel_meter_submit(struct corbel_meter *meter, struct corbel_meter_io *io);
/* It went and has ended. Interrupts are off. */
void corbel_meter_ended(struct corbel_meter *meter, struct corbel_meter_io *io, bool failed,
			u32 cpu);
/* Submits what may go now, by corbel_meter_go(). In the worker. */
void corbel_meter_run(struct corbel_meter *meter);
/* The same of all that waits, and from now on nothing does, until it is resumed. Task. */
void corbel_meter_release(struct corbel_meter *meter);
void corbel_meter_resume(struct corbel_meter *meter);

/* As corbel_engine_message. Task. */
int corbel_meter_message(struct corbel_meter *meter, unsigned argc, char **argv, char *reply,
			 u32 size);
void corbel_meter_status(struct corbel_meter *meter, char *text, u32 size);

/* Its counts can be read until corbel_workload_put(). NULL: there is no such object. Atomic. */
struct corbel_workload *corbel_meter_hold(struct corbel_meter *meter, u32 object);

struct module;
/* Stats descriptors, see <corbel/qos.h>; they hold @module. Task. */
int corbel_meter_stats_start(struct module *module);
void corbel_meter_stats_stop(void);

/* ---- C, for C++ ------------------------------------------------------------------ */

/* The worker runs at @when at the latest; 0: at once. Atomic. */
void corbel_meter_run_at(struct corbel_meter_shim *shim, u64 when);
/* It waited, and goes now. Task. */
void corbel_meter_go(struct corbel_meter_shim *shim, struct corbel_meter_io *io);
/* What began before with interrupts off, or in an RCU section, has ended. Task. */
void corbel_meter_synchronize(void);

/*
 * corbel_meter_hold() of the meter of a device that was last resumed, where its @sector is.
 * -ENODEV, -ENOENT. Task.
 */
int corbel_meter_find(u32 major, u32 minor, u64 sector, u32 object,
		      struct corbel_workload **workload);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_BLOCK_METER_H */
