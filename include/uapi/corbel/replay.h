/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * replay.h - the interface of corbel_replay.ko: the one input of a vCPU that KVM hands to the
 * guest without its monitor seeing it, the time stamp counter, recorded or replayed. See
 * <corbel/corbel.h> for the rules of all ioctls, Documentation/replay.md for the method.
 *
 *   /dev/corbel
 *    |- CORBEL_REPLAY_ENROL      -> recorder fd, of one vCPU
 *         |- mmap(2)             the area: struct corbel_replay_area, then the log
 *
 * A vCPU has one recorder at most (EBUSY). While its mode is not CORBEL_REPLAY_OFF, RDTSC and
 * RDTSCP leave the guest, and the module answers them inside the kernel: from the clock, from
 * the clock while writing an entry of the log, or from the log. Everything else stays with the
 * monitor that runs the vCPU. Closing the last descriptor (mappings count) disarms the vCPU,
 * live or not: from its next VM entry on the counter is the CPU's own again. The recorder keeps
 * the vCPU, and with it the VM, until then. If it is closed while another thread is in KVM_RUN,
 * the vCPU counts as enrolled until that entry.
 *
 * Whose turn it is. Area and log have one writer at a time: the module while the vCPU is in
 * KVM_RUN, whoever called KVM_RUN otherwise. There are no locks and no barriers to take: it is
 * one thread. The module believes nothing of what it finds here: an index outside of the log, a
 * mode or a shift out of range ends KVM_RUN with CORBEL_REPLAY_EXIT_BAD, and hurts nobody else.
 * Who writes while it is not his turn gets any of the answers, for that vCPU alone.
 *
 * Entries. One sequence, written by the module (kind CORBEL_REPLAY_TSC) and by the monitor (all
 * other kinds, which mean to the module only: not mine). In CORBEL_REPLAY_REPLAY the module takes
 * the entry at @head if it is a CORBEL_REPLAY_TSC with the guest's RIP; if it is any other kind,
 * or @head == @end, the guest has left the path of the recording, or the log must be refilled:
 * see the exits.
 *
 * Refilling. An entry of a kind from CORBEL_REPLAY_FIRST_ASYNC on must never be the first one
 * behind @end: the module tells of it when it takes the entry before, and cannot where it does
 * not see it. So what is given to replay ends before an entry that is not asynchronous, or ends
 * for good.
 *
 * Exits. The module ends KVM_RUN with an exit_reason of its own, CORBEL_REPLAY_EXIT_*. None of
 * them is a number of KVM's. The guest's registers are those of an instruction boundary.
 *
 * Nested guests. Nothing is intercepted while the vCPU runs a guest of its own; a counter read
 * there is not recorded, or ends KVM_RUN with KVM_EXIT_INTERNAL_ERROR. Hide virtualization from
 * whom you record.
 */
#ifndef _UAPI_CORBEL_REPLAY_H
#define _UAPI_CORBEL_REPLAY_H

#include <corbel/corbel.h>

#define CORBEL_REPLAY_MIN_ENTRIES 256
#define CORBEL_REPLAY_MAX_ENTRIES (1U << 22) /* 64 MiB, charged to the caller's memory cgroup */

/**
 * struct corbel_replay_enrol - ioctl on /dev/corbel; answers a recorder fd
 * @size: sizeof(struct corbel_replay_enrol)
 * @flags: 0
 * @vcpu_fd: in: a kvm-vcpu descriptor in the caller's table; it can be closed as soon as the
 *	call returns
 * @entries: in: what the log has room for, CORBEL_REPLAY_MIN_ENTRIES ... _MAX_ENTRIES
 * @area_bytes: out: what mmap(2) gives at offset 0, a multiple of the page size; MAP_SHARED only
 * @pad: 0
 *
 * The vCPU may be running. Errors: EBADF: no such descriptor. EINVAL: it is not a vCPU of KVM's,
 * or @entries is out of range. EBUSY: the vCPU has a recorder. ENOMEM. EOPNOTSUPP:
 * corbel_replay.ko is not loaded, a hook that this needs is missing (`corbel doctor` names it),
 * or the vCPU's state is encrypted.
 */
struct corbel_replay_enrol {
	__u32 size;
	__u32 flags;
	__s32 vcpu_fd;
	__u32 entries;
	__u64 area_bytes;
	__u64 pad;
};

/* corbel_replay_area.mode */
#define CORBEL_REPLAY_OFF 0 /* the counter is the CPU's, and there are no breakpoints */
#define CORBEL_REPLAY_CLOCK 1 /* from the clock; nothing is logged */
#define CORBEL_REPLAY_RECORD 2 /* from the clock, with an entry each */
#define CORBEL_REPLAY_REPLAY 3 /* from the log */

/* Bits 56-63 of corbel_replay_entry.tag. Kinds from CORBEL_REPLAY_FIRST_OTHER on are the monitor's. */
#define CORBEL_REPLAY_TSC 1 /* value: what RDTSC or RDTSCP gave */
#define CORBEL_REPLAY_FIRST_OTHER 0x10
/* Those that happen between exits: before them the module ends KVM_RUN. */
#define CORBEL_REPLAY_FIRST_ASYNC 0x80

/**
 * struct corbel_replay_entry - one entry of the log
 * @value: by kind
 * @tag: bits 0-47 the guest's RIP (sign-extended by the reader), 48-55 the monitor's (0 in the
 *	module's own), 56-63 the kind
 */
struct corbel_replay_entry {
	__u64 value;
	__u64 tag;
};

#define CORBEL_REPLAY_TAG(kind, info, rip)                                                         \
	((__u64)(kind) << 56 | (__u64)(__u8)(info) << 48 | ((__u64)(rip) & 0xffffffffffffULL))

#define CORBEL_REPLAY_MAX_SHIFT 31

/**
 * struct corbel_replay_area - what module and monitor share; the log begins at @log_offset
 * @mode: monitor: CORBEL_REPLAY_OFF ...; looked at upon each VM entry and each RDTSC
 * @shift: monitor: time dilation, guest time = host time >> @shift; 0-31
 * @head: both: the entry to write, or to take, next
 * @end: monitor: where entries to take end (replay), or room for them (record: at most @entries)
 * @entries: module: what the log has room for
 * @log_offset: module: of the log in the mapping, in bytes
 * @base: monitor: CLOCK_MONOTONIC in ns at which the guest's time is 0; before it, time is 0
 * @last: both: the last value given, which the next one from the clock is above: the counter
 *	grows always, also across what the monitor itself logs as the time
 * @deadline: monitor: guest time, from which on the next RDTSC ends KVM_RUN when it is done;
 *	~0 for none
 * @breakpoint: monitor: an address (RIP); #UD raised there ends KVM_RUN instead; 0 for none
 * @tsc_aux: monitor: what RDTSCP gives in ECX
 * @nr_tsc: module: RDTSC and RDTSCP answered
 * @nr_armed: module: times that the interception had to be set
 * @nr_entries: module: VM entries
 * @seen: module: with CORBEL_REPLAY_EXIT_DIVERGED the tag that the guest's RDTSC asked for
 * @pad: not looked at
 *
 * All is 0 at first but @entries, @log_offset and @deadline, which is ~0. What is the module's
 * alone it writes and never reads. Guest time is in ns: (CLOCK_MONOTONIC - base) >> shift, and at least
 * @last + 1. The guest sees a counter of 1 GHz.
 */
struct corbel_replay_area {
	__u32 mode;
	__u32 shift;
	__u64 head;
	__u64 end;
	__u64 entries;
	__u64 log_offset;
	__u64 base;
	__u64 last;
	__u64 deadline;
	__u64 breakpoint;
	__u64 tsc_aux;
	__u64 nr_tsc;
	__u64 nr_armed;
	__u64 nr_entries;
	__u64 seen;
	__u64 pad[2];
};

/*
 * kvm_run.exit_reason. Of what is done, RIP is behind the instruction; else it is at the
 * instruction, nothing has changed, and KVM_RUN tries again. If an RDTSC has both NEXT and
 * DEADLINE to tell, it is NEXT: @last tells the other. Under KVM_GUESTDBG_SINGLESTEP an RDTSC that
 * is done ends in KVM_EXIT_DEBUG, and tells neither.
 */
#define CORBEL_REPLAY_EXIT_DEADLINE 0x43520001 /* done: RDTSC gave @deadline or more */
#define CORBEL_REPLAY_EXIT_FULL 0x43520002 /* record: @head == @end, no room */
#define CORBEL_REPLAY_EXIT_EMPTY 0x43520003 /* replay: @head == @end, no entry */
#define CORBEL_REPLAY_EXIT_DIVERGED 0x43520004 /* replay: another entry is next; see @seen */
#define CORBEL_REPLAY_EXIT_BREAKPOINT 0x43520005 /* #UD at @breakpoint: not the guest's */
#define CORBEL_REPLAY_EXIT_NEXT 0x43520006 /* replay, done: the next entry is asynchronous */
#define CORBEL_REPLAY_EXIT_BAD 0x43520007 /* @mode, @shift, @head, @end or @last make no sense */

/* ioctl of /dev/corbel */
#define CORBEL_REPLAY_ENROL _IOWR(CORBEL_IOC_MAGIC, 0x80, struct corbel_replay_enrol)

#endif /* _UAPI_CORBEL_REPLAY_H */
