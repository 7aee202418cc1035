// SPDX-License-Identifier: GPL-2.0
/*
 * fault_shim.c - who touches a page of a memory object.
 *
 * A fault on a missing page asks for it and waits. Where it may, it gives up the lock of
 * the address space meanwhile and has the fault tried again (VM_FAULT_RETRY), as one does
 * that waits for a disk. KVM first asks without waiting (FAULT_FLAG_RETRY_NOWAIT) and then
 * from a worker of its own.
 *
 * Mappings are VM_MIXEDMAP: entries for single pages are ordinary ones, with references, so
 * that all that pins user memory works; core mm leaves alone what is not mapped. Entries for
 * whole pieces come from vmf_insert_pfn_pmd_prot().
 *
 * Who writes to a sealed object waits in the same way. Of a watched mapping (watch_shim.c) an
 * entry that lets write comes by corbel_mkwrite() only, with the page locked from when it is
 * marked to when the entry is there.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/sched/signal.h>

#include "spaces.h"

static const struct vm_operations_struct corbel_usual_operations;

/* What becomes of this fault. */
static int corbel_look(const struct vm_fault *fault, const struct corbel_node *node, u32 how)
{
	/* Of VM_IO nothing may be mapped read-only while it is sealed: see refuse_shim.c. */
	if (fault->flags & FAULT_FLAG_WRITE || fault->vma->vm_flags & VM_IO)
		how |= CORBEL_LOOK_WRITE;
	return corbel_region_look(node->region, fault->pgoff, how);
}

/* Of one that outlives its mapping. */
struct corbel_touch {
	struct corbel_node *node;
	const struct mm_struct *mm;
	u32 page, how;
};

static bool corbel_decided(const struct corbel_touch *touch)
{
	return !corbel_has_to_wait(
		corbel_region_look(touch->node->region, touch->page, touch->how));
}

/*
 * A kernel thread that works for a process (vhost, KVM's asynchronous faults) gets no
 * signal. It is done once the process has left its memory, or is being killed: that may wait for
 * this thread before it gets as far, where it closes a device.
 */
static bool corbel_abandoned(const struct mm_struct *mm)
{
	struct task_struct *owner;
	bool gone;

	if (!(current->flags & PF_KTHREAD))
		return false;
	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	gone = !owner || fatal_signal_pending(owner);
	rcu_read_unlock();
	return gone;
}

static void corbel_wait_for_process(const struct corbel_touch *touch, wait_queue_head_t *waits)
{
	while (!corbel_abandoned(touch->mm) &&
	       !wait_event_idle_timeout(*waits, corbel_decided(touch), HZ / 10))
		;
}

static void corbel_wait(const struct corbel_touch *touch, unsigned int flags)
{
	struct corbel_store *store = touch->node->store;
	wait_queue_head_t *waits = corbel_store_waits(store, touch->page);

	if (corbel_region_look(touch->node->region, touch->page, touch->how) == CORBEL_PAGE_SEALED)
		atomic64_inc(&store->holds_begun);
	else
		atomic64_inc(&store->waits_begun);
	if (current->flags & PF_KTHREAD)
		corbel_wait_for_process(touch, waits);
	else if (flags & FAULT_FLAG_INTERRUPTIBLE)
		(void)wait_event_interruptible(*waits, corbel_decided(touch));
	else
		(void)wait_event_killable(*waits, corbel_decided(touch));
}

/* 0: it is decided what becomes of it. */
static vm_fault_t corbel_await(struct vm_fault *fault, struct corbel_node *node)
{
	const unsigned int flags = fault->flags;
	struct mm_struct *mm = fault->vma->vm_mm;
	const struct corbel_touch touch = {
		.node = node,
		.mm = mm,
		.page = fault->pgoff,
		.how = flags & FAULT_FLAG_WRITE ? CORBEL_LOOK_WRITE : 0,
	};
	struct file *file;

	if (!(flags & FAULT_FLAG_ALLOW_RETRY)) {
		corbel_wait(&touch, flags & ~FAULT_FLAG_INTERRUPTIBLE);
		return corbel_decided(&touch) ? 0 : VM_FAULT_SIGBUS;
	}
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	/* The file keeps the node; the mapping may be gone once the lock is. */
	file = get_file(fault->vma->vm_file);
	mmap_read_unlock(mm);
	corbel_wait(&touch, flags);
	fput(file);
	return VM_FAULT_RETRY;
}

bool corbel_fits_whole(const struct corbel_node *node, const struct vm_area_struct *vma,
		       unsigned long address)
{
	const unsigned long start = address & HPAGE_PMD_MASK;
	u64 first;

	/* Of VM_IO, see refuse_shim.c, KVM wants entries for single pages. */
	if (vma->vm_flags & VM_IO || vma->vm_ops != &corbel_usual_operations ||
	    start < vma->vm_start || start + HPAGE_PMD_SIZE > vma->vm_end)
		return false;
	first = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	return first % CORBEL_PIECE_PAGES == 0 && first < node->pages &&
	       node->store->pieces[first / CORBEL_PIECE_PAGES].whole &&
	       corbel_region_has_piece(node->region, first);
}

static vm_fault_t corbel_map(struct vm_fault *fault, struct corbel_node *node)
{
	struct vm_area_struct *vma = fault->vma;
	const u64 piece = fault->pgoff / CORBEL_PIECE_PAGES;
	int error;

	if (pmd_trans_huge(*fault->pmd))
		return VM_FAULT_NOPAGE;
	if (pmd_none(*fault->pmd) && corbel_fits_whole(node, vma, fault->address)) {
		const vm_fault_t done = vmf_insert_pfn_pmd_prot(
			fault, page_to_pfn_t(node->store->pieces[piece].whole), vma->vm_page_prot,
			vma->vm_flags & VM_WRITE);

		if (done != VM_FAULT_FALLBACK) {
			atomic64_inc(&node->store->piece_maps);
			return done;
		}
	}
	error = vm_insert_page(vma, fault->address & PAGE_MASK,
			       corbel_store_page(node->store, fault->pgoff));
	return !error || error == -EBUSY ? VM_FAULT_NOPAGE : vmf_error(error);
}

static vm_fault_t corbel_fault(struct vm_fault *fault)
{
	struct corbel_node *node = fault->vma->vm_private_data;
	struct mutex *lock;
	vm_fault_t done;
	int state;

	if (fault->pgoff >= node->pages)
		return VM_FAULT_SIGBUS;
	state = corbel_look(fault, node, CORBEL_LOOK_REQUEST);
	if (corbel_has_to_wait(state)) {
		if (corbel_abandoned(fault->vma->vm_mm))
			return VM_FAULT_SIGBUS;
		done = corbel_await(fault, node);
		if (done)
			return done;
		state = corbel_look(fault, node, 0);
	}
	if (state != CORBEL_PAGE_PRESENT) {
		if (fault->flags & FAULT_FLAG_RETRY_NOWAIT)
			corbel_refuse_soon(node);
		return VM_FAULT_SIGBUS;
	}
	lock = corbel_store_map_lock(node->store, fault->pgoff);
	mutex_lock(lock);
	done = corbel_map(fault, node);
	mutex_unlock(lock);
	return done;
}

/*
 * A page that is mapped read-only is about to be written to. How the fault may wait is kept
 * from us here: one that has to is sent back, without the entry, so that it comes again by
 * corbel_fault().
 */
static vm_fault_t corbel_mkwrite(struct vm_fault *fault)
{
	struct corbel_node *node = fault->vma->vm_private_data;
	const pgoff_t page = linear_page_index(fault->vma, fault->address);

	lock_page(fault->page);
	if (corbel_region_look(node->region, page, CORBEL_LOOK_WRITE) == CORBEL_PAGE_PRESENT) {
		corbel_region_mark(node->region, page);
		return VM_FAULT_LOCKED;
	}
	unlock_page(fault->page);
	unmap_mapping_range(node->inode->i_mapping, (loff_t)page << PAGE_SHIFT, PAGE_SIZE, 1);
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct corbel_usual_operations = {
	.fault = corbel_fault,
};

static const struct vm_operations_struct corbel_watched_operations = {
	.fault = corbel_fault,
	.page_mkwrite = corbel_mkwrite,
};

const struct vm_operations_struct *corbel_operations(bool watched)
{
	return watched ? &corbel_watched_operations : &corbel_usual_operations;
}
