// SPDX-License-Identifier: GPL-2.0
/*
 * refuse_shim.c - has KVM say that memory has failed.
 *
 * A fault that KVM tries without waiting and that fails makes KVM try it from a worker,
 * which fails as well, and so on: the vCPU would never leave KVM_RUN (hva_to_pfn() in
 * virt/kvm/kvm_main.c). Of a mapping with VM_IO it asks the mapping itself, and believes
 * the answer: KVM_RUN answers EFAULT. Core mm then pins none of its pages any more, which
 * is right for memory that has failed.
 *
 * What such a mapping has read-only KVM takes for the registers of a device, and hands each
 * write to user space. So nothing is left mapped that somebody was kept from writing to.
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "spaces.h"

static void corbel_refuse_mapping(struct corbel_node *node, struct vm_area_struct *vma)
{
	vma->vm_flags |= VM_IO;
}

static void corbel_refuse(struct work_struct *work)
{
	struct corbel_node *node = container_of(work, struct corbel_node, refuse);

	(void)corbel_each_mapping(node, corbel_refuse_mapping);
	if (READ_ONCE(node->watched))
		unmap_mapping_range(node->inode->i_mapping, 0, 0, 1);
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
