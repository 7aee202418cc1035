// SPDX-License-Identifier: GPL-2.0
/*
 * refuse_shim.c - has KVM say that memory has failed.
 *
 * A fault that KVM tries without waiting and that fails makes KVM try it from a worker,
 * which fails as well, and so on: the vCPU would never leave KVM_RUN (hva_to_pfn() in
 * virt/kvm/kvm_main.c). Of a mapping with VM_IO it asks the mapping itself, and believes
 * the answer: KVM_RUN answers EFAULT. Core mm then pins none of its pages any more, which
 * is right for memory that has failed.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "store.h"

/* A user of a mapping that has no VM_IO yet, with a reference. */
static struct mm_struct *corbel_find_user(struct address_space *mapping)
{
	struct mm_struct *found = NULL;
	struct rb_node *at;

	i_mmap_lock_read(mapping);
	for (at = rb_first_cached(&mapping->i_mmap); at && !found; at = rb_next(at)) {
		const struct vm_area_struct *vma = rb_entry(at, struct vm_area_struct, shared.rb);

		if (!(READ_ONCE(vma->vm_flags) & VM_IO) && mmget_not_zero(vma->vm_mm))
			found = vma->vm_mm;
	}
	i_mmap_unlock_read(mapping);
	return found;
}

static void corbel_refuse(struct work_struct *work)
{
	struct corbel_node *node = container_of(work, struct corbel_node, refuse);
	struct address_space *mapping = node->inode->i_mapping;
	struct vm_area_struct *vma;
	struct mm_struct *mm;

	while ((mm = corbel_find_user(mapping))) {
		VMA_ITERATOR(vmas, mm, 0);

		mmap_write_lock(mm);
		for_each_vma(vmas, vma)
		{
			if (vma->vm_file && vma->vm_file->f_mapping == mapping)
				vma->vm_flags |= VM_IO;
		}
		mmap_write_unlock(mm);
		mmput(mm);
	}
}

void corbel_refuse_init(struct corbel_node *node)
{
	INIT_WORK(&node->refuse, corbel_refuse);
}

void corbel_refuse_soon(struct corbel_node *node)
{
	schedule_work(&node->refuse);
}

void corbel_refuse_end(struct corbel_node *node)
{
	cancel_work_sync(&node->refuse);
}
