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
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/sched/signal.h>

#include "store.h"

static bool corbel_decided(struct corbel_node *node, u32 page)
{
	return corbel_region_look(node->region, page, false) != CORBEL_PAGE_MISSING;
}

/*
 * A kernel thread that works for a process (vhost, KVM's asynchronous faults) gets no
 * signal. It is done once the process has left its memory.
 */
static bool corbel_abandoned(const struct mm_struct *mm)
{
	return current->flags & PF_KTHREAD && !READ_ONCE(mm->owner);
}

static void corbel_wait_for_process(struct corbel_node *node, wait_queue_head_t *waits, u32 page,
				    const struct mm_struct *mm)
{
	while (!corbel_abandoned(mm) &&
	       !wait_event_idle_timeout(*waits, corbel_decided(node, page), HZ / 10))
		;
}

static void corbel_wait(struct corbel_node *node, u32 page, const struct mm_struct *mm,
			unsigned int flags)
{
	wait_queue_head_t *waits = corbel_store_waits(node->store, page);

	atomic64_inc(&node->store->waits_begun);
	if (current->flags & PF_KTHREAD)
		corbel_wait_for_process(node, waits, page, mm);
	else if (flags & FAULT_FLAG_INTERRUPTIBLE)
		(void)wait_event_interruptible(*waits, corbel_decided(node, page));
	else
		(void)wait_event_killable(*waits, corbel_decided(node, page));
}

/* 0: it is decided what becomes of it. */
static vm_fault_t corbel_await(struct vm_fault *fault, struct corbel_node *node)
{
	const unsigned int flags = fault->flags;
	const u32 page = fault->pgoff;
	struct mm_struct *mm = fault->vma->vm_mm;
	struct file *file;

	if (!(flags & FAULT_FLAG_ALLOW_RETRY)) {
		corbel_wait(node, page, mm, flags & ~FAULT_FLAG_INTERRUPTIBLE);
		return corbel_decided(node, page) ? 0 : VM_FAULT_SIGBUS;
	}
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	/* The file keeps the node; the mapping may be gone once the lock is. */
	file = get_file(fault->vma->vm_file);
	mmap_read_unlock(mm);
	corbel_wait(node, page, mm, flags);
	fput(file);
	return VM_FAULT_RETRY;
}

/* Of a piece that is present as a whole, where the mapping can take it so. */
static bool corbel_fits_whole(const struct vm_fault *fault, const struct corbel_node *node,
			      u64 piece)
{
	const struct vm_area_struct *vma = fault->vma;
	const unsigned long start = fault->address & HPAGE_PMD_MASK;

	/* Of VM_IO, see refuse_shim.c, KVM wants entries for single pages. */
	return node->store->pieces[piece].whole && pmd_none(*fault->pmd) &&
	       !(vma->vm_flags & VM_IO) && start >= vma->vm_start &&
	       start + HPAGE_PMD_SIZE <= vma->vm_end &&
	       linear_page_index(fault->vma, start) == piece * CORBEL_PIECE_PAGES &&
	       corbel_region_has_piece(node->region, piece * CORBEL_PIECE_PAGES);
}

static vm_fault_t corbel_map(struct vm_fault *fault, struct corbel_node *node)
{
	struct vm_area_struct *vma = fault->vma;
	const u64 piece = fault->pgoff / CORBEL_PIECE_PAGES;
	int error;

	if (pmd_trans_huge(*fault->pmd))
		return VM_FAULT_NOPAGE;
	if (corbel_fits_whole(fault, node, piece)) {
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
	state = corbel_region_look(node->region, fault->pgoff, true);
	if (state == CORBEL_PAGE_MISSING) {
		if (corbel_abandoned(fault->vma->vm_mm))
			return VM_FAULT_SIGBUS;
		done = corbel_await(fault, node);
		if (done)
			return done;
		state = corbel_region_look(node->region, fault->pgoff, false);
	}
	if (state != CORBEL_PAGE_PRESENT) {
		if (fault->flags & FAULT_FLAG_RETRY_NOWAIT)
			corbel_refuse_soon(node);
		return VM_FAULT_SIGBUS;
	}
	lock = &node->store->map_locks[fault->pgoff / CORBEL_PIECE_PAGES % CORBEL_MAP_LOCKS];
	mutex_lock(lock);
	done = corbel_map(fault, node);
	mutex_unlock(lock);
	return done;
}

const struct vm_operations_struct corbel_mapping_operations = {
	.fault = corbel_fault,
};
