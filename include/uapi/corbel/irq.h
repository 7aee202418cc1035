/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * irq.h - the interrupt observer of a VM (corbel_irq.ko), on an IRQ fd.
 *
 * For each vCPU the observer keeps a pending record: 256 bits, one a vector,
 * set before the interrupt reaches the local APIC's IRR and cleared after it
 * has left it. Separate from it is the pending status, one bit a vCPU: 1 if the
 * record has any bit set. The status bits of 64 vCPUs share one cache line, so
 * one 8-byte load answers "who of these 64 has anything pending".
 *
 * What may be relied on while a vCPU is CORBEL_IRQ_EXACT:
 *  - a vector that is in the IRR is in the record, and the status bit is 1;
 *  - the record may for a short time hold a vector that is not in the IRR: from
 *    the moment a delivery begins until it is done, and from the moment the
 *    vCPU takes it from the IRR until it is injected;
 *  - when no delivery is under way the record equals the IRR.
 * A vCPU is CORBEL_IRQ_SAMPLED when hardware posts interrupts behind the
 * host's back (AVIC, APICv) or a needed hook is missing: its record is then a
 * copy of the IRR taken at the moment of reading and its status bit is not
 * maintained (its bit in @sampled of the status line is 1).
 */
#ifndef _UAPI_CORBEL_IRQ_H
#define _UAPI_CORBEL_IRQ_H

#include <corbel/corbel.h>
#include <corbel/ring.h>
#include <corbel/stats.h>

#define CORBEL_IRQ_VECTORS 256
#define CORBEL_IRQ_WORDS 4 /* of 64 bits, vector v is bit v % 64 of word v / 64 */

/*
 * Status page: mmap(2) of the IRQ fd at offset 0, one page, read-only and
 * MAP_SHARED. It is an array of lines; line i is about vCPUs 64 i .. 64 i + 63.
 */
#define CORBEL_IRQ_LINE_VCPUS 64

/**
 * struct corbel_irq_line - pending status of 64 vCPUs, one cache line
 * @pending: bit set: the vCPU has something pending
 * @sampled: bit set: the vCPU is CORBEL_IRQ_SAMPLED, @pending does not tell
 * @present: bit set: the vCPU exists and is observed
 * @reserved: 0
 */
struct corbel_irq_line {
	__u64 pending;
	__u64 sampled;
	__u64 present;
	__u64 reserved[5];
};

/* corbel_irq_vcpu.exactness */
#define CORBEL_IRQ_EXACT 1
#define CORBEL_IRQ_SAMPLED 2

/* Where the vCPU was at the moment of reading; a hint, stale at once. */
#define CORBEL_RES_USER 1 /* its thread is outside KVM_RUN */
#define CORBEL_RES_RESIDENT 2 /* on a physical CPU, in the guest or in KVM */
#define CORBEL_RES_PREEMPTED 3 /* runnable, another task has its CPU */
#define CORBEL_RES_HALTED 4 /* blocked in HLT */
#define CORBEL_RES_COUNT 4

/*
 * Delivery path: who sent the interrupt. LOCAL is the APIC itself (timer,
 * thermal, PMI, LINT pins); IPI is a vCPU of the same VM; DEVICE is all else
 * (MSI by irqfd or ioctl, IOAPIC pin, PIC through LINT0 excepted).
 */
#define CORBEL_IRQ_PATH_DEVICE 0
#define CORBEL_IRQ_PATH_IPI 1
#define CORBEL_IRQ_PATH_LOCAL 2
#define CORBEL_IRQ_PATHS 3

/**
 * struct corbel_irq_info - the observer
 * @size: sizeof(struct corbel_irq_info)
 * @flags: 0
 * @nr_vcpus: out: vCPUs observed
 * @nr_lines: out: lines of the status page in use
 * @hist_buckets: out: CORBEL_IRQ_HIST_BUCKETS
 * @tsc_khz: out: ticks per millisecond
 * @ended: out: 1 once the VM has ended
 * @checking: out: 1 while CORBEL_IRQ_CHECK_ON is in force
 * @vm_id: out: number of the attachment
 * @resyncs: out: how often a record was held against the IRR: at the start, after
 *           KVM_SET_LAPIC and APIC resets, and by CORBEL_IRQ_F_RESYNC
 */
struct corbel_irq_info {
	__u32 size;
	__u32 flags;
	__u32 nr_vcpus;
	__u32 nr_lines;
	__u32 hist_buckets;
	__u32 tsc_khz;
	__u32 ended;
	__u32 checking;
	__u64 vm_id;
	__u64 resyncs;
};

/* corbel_irq_vcpu.flags */
/*
 * First drop from the record what is found stale and add what the IRR has and the
 * record lacks. While all hooks are there this finds nothing.
 */
#define CORBEL_IRQ_F_RESYNC (1U << 0)

/**
 * struct corbel_irq_vcpu - one vCPU: record, truth and totals
 * @size: sizeof(struct corbel_irq_vcpu)
 * @flags: CORBEL_IRQ_F_*
 * @vcpu: in: vCPU index; ENOENT if it is not observed
 * @vcpu_id: out: KVM's vcpu_id, the APIC id by default
 * @exactness: out: CORBEL_IRQ_EXACT or CORBEL_IRQ_SAMPLED
 * @residency: out: CORBEL_RES_*
 * @pending: out: the status bit
 * @quiet: out: 1 if @record and @irr were read while no delivery was under way,
 *         so that any difference between them is an error or the short time
 *         between taking an interrupt and injecting it; 0 if deliveries kept
 *         coming
 * @record: out: the pending record
 * @irr: out: the local APIC's IRR
 * @accepted: out: interrupts that reached the local APIC, by path
 * @injected: out: interrupts given to the guest, re-injections not counted
 * @reinjected: out: re-injections after an exit that interrupted a delivery
 * @extint: out: of @injected, the PIC's (ExtINT), which never were in the IRR
 * @coalesced: out: accepted while the same vector was pending already; what is left
 *             when all else is taken off, see below, and exact when nothing is
 *             under way. 0 for a vCPU that is CORBEL_IRQ_SAMPLED
 * @dropped: out: refused by the local APIC (disabled), or pending when its
 *           reset or a KVM_SET_LAPIC took it away
 * @nmi: out: deliveries that are not by vector (NMI, SMI, INIT, SIPI)
 * @restored: out: vectors that appeared in the IRR without a delivery: pending
 *            when observation began, or put there by KVM_SET_LAPIC
 *
 * When nothing is under way, accepted (all paths) + restored = injected -
 * extint + coalesced + dropped + vectors now in the record.
 */
struct corbel_irq_vcpu {
	__u32 size;
	__u32 flags;
	__u32 vcpu;
	__u32 vcpu_id;
	__u32 exactness;
	__u32 residency;
	__u32 pending;
	__u32 quiet;
	__u64 record[CORBEL_IRQ_WORDS];
	__u64 irr[CORBEL_IRQ_WORDS];
	__u64 accepted[CORBEL_IRQ_PATHS];
	__u64 injected;
	__u64 reinjected;
	__u64 extint;
	__u64 coalesced;
	__u64 dropped;
	__u64 nmi;
	__u64 restored;
};

/**
 * struct corbel_irq_vector - counts of one vector of one vCPU
 * @accepted: by path
 * @injected: given to the guest
 * @extint: of these, the PIC's
 * @coalesced: accepted while pending already
 * @dropped: refused by the local APIC, or taken away by its reset
 * @restored: appeared in the IRR without a delivery
 * @latency_sum: ticks between accept and inject, summed. That of @extint is not
 *               known, nor, seldom, that of one which met a delivery of its vector;
 *               those are not in the histogram either
 * @latency_max: the longest, in ticks
 */
struct corbel_irq_vector {
	__u64 accepted[CORBEL_IRQ_PATHS];
	__u64 injected;
	__u64 extint;
	__u64 coalesced;
	__u64 dropped;
	__u64 restored;
	__u64 latency_sum;
	__u64 latency_max;
};

/**
 * struct corbel_irq_vectors - counts of all vectors of one vCPU
 * @size: sizeof(struct corbel_irq_vectors)
 * @flags: 0
 * @vcpu: in: vCPU index; ENOENT if it is not observed
 * @count: in: entries @vectors has room for, CORBEL_IRQ_VECTORS; else EINVAL
 * @vectors: user pointer to struct corbel_irq_vector[@count]
 */
struct corbel_irq_vectors {
	__u32 size;
	__u32 flags;
	__u32 vcpu;
	__u32 count;
	__u64 vectors;
};

/*
 * Latency histogram: log-linear, two bits of mantissa, in TSC ticks. Bucket 0
 * counts latencies under 2^CORBEL_IRQ_HIST_SHIFT ticks; with e = floor(log2 t)
 * and m the two bits below the leading one, t counts in bucket
 * 1 + 4 (e - CORBEL_IRQ_HIST_SHIFT) + m; the last bucket takes all above. A
 * bucket is at most a quarter of its lower bound wide.
 */
#define CORBEL_IRQ_HIST_SHIFT 8
#define CORBEL_IRQ_HIST_BUCKETS 128

/* corbel_irq_hist.vector: all vectors of the vCPU together */
#define CORBEL_IRQ_ALL_VECTORS 0xffffffffU

/**
 * struct corbel_irq_hist - accept-to-inject latency
 * @size: sizeof(struct corbel_irq_hist)
 * @flags: 0
 * @vcpu: in: vCPU index; ENOENT if it is not observed
 * @vector: in: vector, or CORBEL_IRQ_ALL_VECTORS
 * @sum: out: ticks, summed
 * @max: out: the longest, in ticks
 * @buckets: out: counts
 */
struct corbel_irq_hist {
	__u32 size;
	__u32 flags;
	__u32 vcpu;
	__u32 vector;
	__u64 sum;
	__u64 max;
	__u64 buckets[CORBEL_IRQ_HIST_BUCKETS];
};

/* corbel_irq_check.flags */
#define CORBEL_IRQ_CHECK_ON (1U << 0) /* compare at every VM entry from now */
#define CORBEL_IRQ_CHECK_OFF (1U << 1) /* stop comparing */

/**
 * struct corbel_irq_check - compare record and IRR at every VM entry
 * @size: sizeof(struct corbel_irq_check)
 * @flags: CORBEL_IRQ_CHECK_ON, CORBEL_IRQ_CHECK_OFF or 0 (only read)
 * @entries: out: VM entries compared since the first CORBEL_IRQ_CHECK_ON
 * @nonempty: out: of these, entries at which the IRR was not empty
 * @missing: out: entries at which the IRR held a vector the record did not
 * @extra: out: entries at which the record held a vector the IRR did not
 * @status_wrong: out: entries at which the status bit was 0 but the IRR not empty
 *
 * Errors: EINVAL (both flags), EOPNOTSUPP (the hook or offset it needs is
 * missing), ESTALE.
 */
struct corbel_irq_check {
	__u32 size;
	__u32 flags;
	__u64 entries;
	__u64 nonempty;
	__u64 missing;
	__u64 extra;
	__u64 status_wrong;
};

/* corbel_irq_ring.events, and 1U << corbel_event.type */
/*
 * arg of ACCEPT: 1 if the vector seemed to be pending already. That is the judgement
 * of the moment, and may be off where a delivery and an injection of the vector meet;
 * the count `coalesced` is exact.
 */
#define CORBEL_EVENT_ACCEPT 1
#define CORBEL_EVENT_INJECT 2 /* arg: latency in ticks, 0 if unknown */
#define CORBEL_EVENT_DROP 3 /* arg: 0 */
#define CORBEL_EVENT_RESYNC 4 /* arg: 0 */
#define CORBEL_EVENT_VCPU 5 /* a vCPU appeared; arg: its vcpu_id */
#define CORBEL_EVENT_MAX 5

/**
 * struct corbel_irq_ring - make an event ring
 * @size: sizeof(struct corbel_irq_ring)
 * @flags: 0
 * @order: in: log2 of the records it holds, CORBEL_RING_MIN_ORDER ..
 *         CORBEL_RING_MAX_ORDER
 * @events: in: mask of 1U << CORBEL_EVENT_*, not empty
 *
 * Returns a ring fd, see <corbel/ring.h>. A VM can have up to
 * CORBEL_IRQ_MAX_RINGS of them (EBUSY past that). ENOMEM, EMFILE, ESTALE.
 */
struct corbel_irq_ring {
	__u32 size;
	__u32 flags;
	__u32 order;
	__u32 events;
};

#define CORBEL_IRQ_MAX_RINGS 4

/* corbel_irq_policy.policy and, with INHERIT, .vectors */
#define CORBEL_IRQ_POLICY_INHERIT 0 /* a vector's: what the VM's is */
#define CORBEL_IRQ_POLICY_OFF 1 /* KVM chooses */
/*
 * A vCPU that is resident, else one that is halted, else one that is resident but has
 * lost its CPU to another task within the last 100 ms, else one that is preempted, else
 * any; of equals the one with the fewest vectors pending.
 */
#define CORBEL_IRQ_POLICY_RESIDENT_FIRST 2
/* The fewest vectors pending; of equals the more resident one. */
#define CORBEL_IRQ_POLICY_LEAST_PENDING 3
#define CORBEL_IRQ_POLICY_MAX 3

/* corbel_irq_policy.flags */
#define CORBEL_IRQ_F_SET (1U << 0)

/**
 * struct corbel_irq_policy - who takes an interrupt that several vCPUs may take
 * @size: sizeof(struct corbel_irq_policy)
 * @flags: CORBEL_IRQ_F_SET: put @policy and @vectors in force; 0: only read
 * @policy: in/out: the VM's, CORBEL_IRQ_POLICY_*; OFF at first
 * @pad: 0
 * @vectors: in/out: each vector's own, CORBEL_IRQ_POLICY_*; INHERIT at first
 * @offered: out: interrupts for which the policy chose
 * @chosen: out: of these, by the residency of the one chosen, [CORBEL_RES_* - 1]
 * @avoidable: out: of these, sent to a vCPU that was neither resident nor halted
 *             although a candidate was resident (LEAST_PENDING may do that)
 *
 * A choice is an interrupt from outside the vCPUs (MSI, IOAPIC pin) that the guest has
 * declared lowest-priority, or a fixed one whose MSI has the redirection hint, and that
 * two or more vCPUs match. All others go where they always go. The policy lasts until it is
 * set anew or the attachment ends.
 *
 * Errors: EINVAL (a policy there is not), EOPNOTSUPP (the hook it needs is missing),
 * EBUSY (another program has that function hooked), ENOMEM, ESTALE.
 */
struct corbel_irq_policy {
	__u32 size;
	__u32 flags;
	__u32 policy;
	__u32 pad;
	__u8 vectors[CORBEL_IRQ_VECTORS];
	__u64 offered;
	__u64 chosen[CORBEL_RES_COUNT];
	__u64 avoidable;
};

/* corbel_irq_stats.vcpu: all vCPUs together, those to come included */
#define CORBEL_IRQ_ALL_VCPUS 0xffffffffU

/**
 * struct corbel_irq_stats - the ledger as self-describing counts
 * @size: sizeof(struct corbel_irq_stats)
 * @flags: 0
 * @vcpu: in: vCPU index, ENOENT if it is not observed; or CORBEL_IRQ_ALL_VCPUS
 * @vector: in: vector, or CORBEL_IRQ_ALL_VECTORS
 *
 * Returns a stats fd, see <corbel/stats.h>, with
 *
 *   posted_device, posted_ipi, posted_local	accepted, by path
 *   restored		appeared in the IRR without a delivery
 *   delivered		injected, but for extint
 *   coalesced		met the vector pending
 *   dropped_refused	the local APIC was disabled
 *   dropped_vanished	was pending when KVM_SET_LAPIC or an APIC reset took it away
 *   pending		vectors that wait now
 *   extint		the PIC's, which are of no vector's ledger
 *   vcpus		that are counted here
 *   sampled_vcpus	of these, CORBEL_IRQ_SAMPLED ones: their coalesced is not known,
 *			and the ledger does not balance with them in it
 *
 * and for all vectors also
 *
 *   reinjected, other_modes	as @reinjected and @nmi of struct corbel_irq_vcpu
 *
 * and for all vectors of all vCPUs also
 *
 *   resyncs		as in struct corbel_irq_info
 *
 * Errors: EINVAL (a vector there is not), ENOENT, ENOMEM, EMFILE.
 */
struct corbel_irq_stats {
	__u32 size;
	__u32 flags;
	__u32 vcpu;
	__u32 vector;
};

/* corbel_irq_boost.sources: 1 << CORBEL_IRQ_PATH_*, and */
#define CORBEL_IRQ_BOOST_DIST (1U << 7) /* what a distributor records for it */
#define CORBEL_IRQ_BOOST_SOURCES (((1U << CORBEL_IRQ_PATHS) - 1) | CORBEL_IRQ_BOOST_DIST)

#define CORBEL_IRQ_BOOST_MAX_PRIORITY 49
#define CORBEL_IRQ_BOOST_MIN_SLICE_US 50
#define CORBEL_IRQ_BOOST_MAX_SLICE_US 10000
#define CORBEL_IRQ_BOOST_MIN_PERIOD_MS 10
#define CORBEL_IRQ_BOOST_MAX_PERIOD_MS 1000
/* What a boost counts as at least, of the budget. */
#define CORBEL_IRQ_BOOST_LEAST_US 50

/**
 * struct corbel_irq_boost - a CPU for vCPUs that have lost theirs and get an interrupt
 * @size: sizeof(struct corbel_irq_boost)
 * @flags: CORBEL_IRQ_F_SET: put the following in force; 0: only read
 * @sources: in/out: which interrupts count; 0: none, boosting is off, as at first
 * @priority: in/out: of SCHED_FIFO, 1 .. CORBEL_IRQ_BOOST_MAX_PRIORITY
 * @slice_us: in/out: how long one boost lasts, MIN_SLICE_US .. MAX_SLICE_US
 * @budget_us: in/out: CPU time that all boosts of the VM together may take in a period,
 *             @slice_us .. @period_ms
 * @period_ms: in/out: MIN_PERIOD_MS .. MAX_PERIOD_MS
 * @pad: 0
 * @vectors: in/out: bit i: vector i counts. What a distributor records counts whatever
 *           its vector is.
 * @asked: out: interrupts that counted and met their vCPU preempted, those that came
 *         while one was being dealt with taken together
 * @boosted: out: boosts
 * @needless: out: asked, but the vCPU had got a CPU or lost the interrupt by then
 * @over_budget: out: asked, but the budget was used up
 * @refused: out: asked, but the thread is not SCHED_OTHER or SCHED_BATCH, has gone, or
 *           cannot be given a real-time class
 * @restored: out: boosts after which the thread was set back
 * @foreign: out: boosts after which it was not: somebody had changed its scheduling
 * @used_ns: out: CPU time of boosted threads
 * @longest_ns: out: the most of one boost
 *
 * The thread of the vCPU becomes SCHED_FIFO for one slice, and is then set back by the
 * kernel itself, whatever becomes of who asked for it; so it is when boosting is set
 * off, the VM ends or the attachment does. Set @priority above a real-time task's of
 * the host only if the vCPU may interrupt that one. Setting starts the budget full.
 *
 * Errors: EINVAL (out of range; with @sources 0 the rest must be 0), ENOMEM, EOPNOTSUPP
 * (the hooks are missing), ESTALE.
 */
struct corbel_irq_boost {
	__u32 size;
	__u32 flags;
	__u32 sources;
	__u32 priority;
	__u32 slice_us;
	__u32 budget_us;
	__u32 period_ms;
	__u32 pad;
	__u64 vectors[CORBEL_IRQ_WORDS];
	__u64 asked;
	__u64 boosted;
	__u64 needless;
	__u64 over_budget;
	__u64 refused;
	__u64 restored;
	__u64 foreign;
	__u64 used_ns;
	__u64 longest_ns;
};

#define CORBEL_IRQ_INFO _IOWR(CORBEL_IOC_MAGIC, 0x40, struct corbel_irq_info)
#define CORBEL_IRQ_VCPU _IOWR(CORBEL_IOC_MAGIC, 0x41, struct corbel_irq_vcpu)
#define CORBEL_IRQ_VECTORS_GET _IOWR(CORBEL_IOC_MAGIC, 0x42, struct corbel_irq_vectors)
#define CORBEL_IRQ_HIST _IOWR(CORBEL_IOC_MAGIC, 0x43, struct corbel_irq_hist)
#define CORBEL_IRQ_CHECK _IOWR(CORBEL_IOC_MAGIC, 0x44, struct corbel_irq_check)
#define CORBEL_IRQ_RING _IOWR(CORBEL_IOC_MAGIC, 0x45, struct corbel_irq_ring)
#define CORBEL_IRQ_POLICY _IOWR(CORBEL_IOC_MAGIC, 0x46, struct corbel_irq_policy)
#define CORBEL_IRQ_BOOST _IOWR(CORBEL_IOC_MAGIC, 0x47, struct corbel_irq_boost)
#define CORBEL_IRQ_STATS _IOWR(CORBEL_IOC_MAGIC, 0x48, struct corbel_irq_stats)

#endif /* _UAPI_CORBEL_IRQ_H */
