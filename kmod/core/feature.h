/* SPDX-License-Identifier: GPL-2.0 */
/*
 * feature.h - how a system (corbel_irq.ko and later ones) meets the core.
 *
 * A system registers one feature. The core makes an instance of it on a VM when
 * user space first asks, tells the instance what happens to the VM and destroys
 * it with the attachment. Systems know nothing of each other.
 */
#ifndef CORBEL_CORE_FEATURE_H
#define CORBEL_CORE_FEATURE_H

#include "../compat/kvm.h"
#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct corbel_vm; /* an attachment */
struct module;

/* Slots of the feature table; bit 1 << slot is CORBEL_FEATURE_*. */
#define CORBEL_SLOT_IRQ 0
#define CORBEL_SLOT_MEMORY 1
#define CORBEL_SLOT_BLOCK 2
#define CORBEL_SLOT_REPLAY 3
#define CORBEL_SLOTS 8

/*
 * All functions run in task context. For one VM the core never runs two of them
 * at a time, but for open().
 */
struct corbel_feature {
	u32 slot;
	struct module *module;
	/*
	 * An ioctl of /dev/corbel that is the system's own: one of the numbers from 0x60 on.
	 * The core holds @module meanwhile. A system of which this is all leaves out the
	 * functions below.
	 */
	long (*request)(u32 command, u64 argument);
	/*
	 * Make the instance of a live VM. The core's reference keeps @kvm valid
	 * until ended() has returned.
	 */
	int (*create)(struct corbel_vm *vm, struct kvm *kvm, void **instance);
	/* A new descriptor, which holds @vm by corbel_vm_get() until its release. */
	int (*open)(void *instance);
	/* There are vCPUs that the instance may not know. The VM lives. */
	void (*vcpus_changed)(void *instance);
	/* The VM is ending: let go of its kvm, vCPUs and hooks. Called once. */
	void (*ended)(void *instance);
	/* After ended(), with no descriptor of the instance left. */
	void (*destroy)(void *instance);
};

/* Task. -EEXIST: the slot is taken. */
int corbel_feature_register(const struct corbel_feature *feature);
/* Task. Ends and destroys the instances that pinned attachments still have. */
void corbel_feature_unregister(const struct corbel_feature *feature);

/* Task. */
void corbel_vm_get(struct corbel_vm *vm);
/* Task; no lock of the caller's held. May end and free the attachment. */
void corbel_vm_put(struct corbel_vm *vm);
u64 corbel_vm_id(const struct corbel_vm *vm);

/* ---- event rings, see <corbel/ring.h> --------------------------------------- */

struct corbel_ring;
struct corbel_event;

/* 2^order records. Task. NULL: no memory. */
struct corbel_ring *corbel_ring_new(u32 order);
/* Nobody produces, maps or polls any more. Task. */
void corbel_ring_free(struct corbel_ring *ring);
/* All of @event but seq and flags is taken as it is. Any context but NMI. */
void corbel_ring_produce(struct corbel_ring *ring, const struct corbel_event *event);
/* No record will follow. Any context but NMI. */
void corbel_ring_end(struct corbel_ring *ring);
/* For the ring fd's operations. Task. */
int corbel_ring_mmap(struct corbel_ring *ring, struct corbel_area *area);
u32 corbel_ring_poll(struct corbel_ring *ring, struct corbel_poll *poll);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_CORE_FEATURE_H */
