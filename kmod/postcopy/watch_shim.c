// SPDX-License-Identifier: GPL-2.0
/*
 * watch_shim.c - mappings whose writes are watched.
 *
 * Mappings have one of two sets of operations. The usual one has no ->page_mkwrite, and costs
 * nothing. With the other one, and a vm_page_prot without write, core mm maps pages
 * read-only and asks at the first write to each.
 *
 * Our mappings are all VM_SHARED and VM_MAYWRITE: others mmap(2) refuses. That matters here,
 * for wp_shared_mapping_range() ends at the first one that is not.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "spaces.h"

/* Of a mapping; its address space is locked for writing. */
static void corbel_watch_mapping(struct corbel_node *node, struct vm_area_struct *vma)
{
	unsigned long flags = vma->vm_flags;

	vma->vm_ops = corbel_operations(node->watched);
	/* As vma_set_page_prot() does, which is not exported; the other one is soft-dirty's. */
	if (node->watched || (IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) && !(flags & VM_SOFTDIRTY)))
		flags &= ~VM_SHARED;
	WRITE_ONCE(vma->vm_page_prot, vm_get_page_prot(flags));
}

int corbel_node_begin(struct corbel_node *node)
{
	return mutex_lock_killable(&node->turn);
}

void corbel_node_end(struct corbel_node *node)
{
	mutex_unlock(&node->turn);
}

int corbel_node_watch(struct corbel_node *node, bool on)
{
	int error;

	WRITE_ONCE(node->watched, on);
	error = corbel_each_mapping(node, corbel_watch_mapping);
	if (error || !on)
		return error;
	/*
	 * All that was let through before has its entry by now, for each address space was
	 * locked since. None comes any more that could be written by, nor one of 2 MiB.
	 */
	unmap_mapping_range(node->inode->i_mapping, 0, 0, 1);
	return 0;
}

void corbel_node_unwatch(struct corbel_node *node, bool on)
{
	WRITE_ONCE(node->watched, on);
}

/*
 * Also cleaned: what is dirty mprotect(2) makes writable without asking, since whoever wrote
 * to it must have been asked (can_change_pte_writable() in mm/mprotect.c).
 */
void corbel_node_protect(struct corbel_node *node, u32 first, u32 count)
{
	struct address_space *mapping = node->inode->i_mapping;
	unsigned long cleaned[BITS_TO_LONGS(HPAGE_PMD_NR)] = {};
	pgoff_t start = 0, end = 0;

	wp_shared_mapping_range(mapping, first, count);
	clean_record_shared_mapping_range(mapping, first, count, first, cleaned, &start, &end);
}
