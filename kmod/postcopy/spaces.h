/* SPDX-License-Identifier: GPL-2.0 */
/*
 * spaces.h - the address spaces that map an object.
 *
 * An address space is in the object's list before its mmap(2) looks at how mappings are to be,
 * and it has its mapping before it lets go of its lock. So who has changed how they are to be,
 * and then takes the lock of each address space of the list, has met all mappings.
 */
#ifndef CORBEL_POSTCOPY_SPACES_H
#define CORBEL_POSTCOPY_SPACES_H

#include "store.h"

/* In mmap(2). 0 or -ENOMEM. */
int corbel_space_add(struct corbel_node *node, struct mm_struct *mm);
/* Nobody maps it any more. Task. */
void corbel_spaces_free(struct corbel_node *node);

/*
 * @visit of each, one after another, with nothing locked; what is not 0 ends it and is
 * answered. Task.
 */
int corbel_each_space(struct corbel_node *node,
		      int (*visit)(struct corbel_node *node, struct mm_struct *mm, void *argument),
		      void *argument);
/* @visit of each mapping, its address space locked for writing. Task. 0 or -EINTR (killed). */
int corbel_each_mapping(struct corbel_node *node,
			void (*visit)(struct corbel_node *node, struct vm_area_struct *vma));

static inline bool corbel_maps(const struct vm_area_struct *vma, const struct corbel_node *node)
{
	return vma->vm_file && vma->vm_file->f_mapping == node->inode->i_mapping;
}

#endif /* CORBEL_POSTCOPY_SPACES_H */
