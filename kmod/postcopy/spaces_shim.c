// SPDX-License-Identifier: GPL-2.0
/*
 * spaces_shim.c - the address spaces that map an object: see spaces.h.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "spaces.h"

struct corbel_space {
	struct list_head list; /* in the order of the numbers */
	struct mm_struct *mm; /* the struct; what is in it may be gone */
	u64 number;
};

static void corbel_space_free(struct corbel_space *space)
{
	list_del(&space->list);
	mmdrop(space->mm);
	kfree(space);
}

int corbel_space_add(struct corbel_node *node, struct mm_struct *mm)
{
	struct corbel_space *space, *next;
	int error = 0;

	mutex_lock(&node->spaces_lock);
	list_for_each_entry_safe(space, next, &node->spaces, list)
	{
		if (space->mm == mm)
			goto unlock;
		if (!atomic_read(&space->mm->mm_users))
			corbel_space_free(space);
	}
	space = kmalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	if (!space) {
		error = -ENOMEM;
		goto unlock;
	}
	mmgrab(mm);
	space->mm = mm;
	space->number = ++node->last_space;
	list_add_tail(&space->list, &node->spaces);
unlock:
	mutex_unlock(&node->spaces_lock);
	return error;
}

void corbel_spaces_free(struct corbel_node *node)
{
	struct corbel_space *space, *next;

	list_for_each_entry_safe(space, next, &node->spaces, list) corbel_space_free(space);
}

/* The first one behind @number that is in use, with a reference, and its number. */
static struct mm_struct *corbel_next_space(struct corbel_node *node, u64 *number)
{
	struct corbel_space *space, *next;
	struct mm_struct *mm = NULL;

	mutex_lock(&node->spaces_lock);
	list_for_each_entry_safe(space, next, &node->spaces, list)
	{
		if (space->number <= *number)
			continue;
		if (mmget_not_zero(space->mm)) {
			mm = space->mm;
			*number = space->number;
			break;
		}
		corbel_space_free(space);
	}
	mutex_unlock(&node->spaces_lock);
	return mm;
}

int corbel_each_space(struct corbel_node *node,
		      int (*visit)(struct corbel_node *node, struct mm_struct *mm, void *argument),
		      void *argument)
{
	struct mm_struct *mm;
	u64 number = 0;
	int done = 0;

	while (!done && (mm = corbel_next_space(node, &number))) {
		done = visit(node, mm, argument);
		/* Its end waits for its I/O, which may wait for the caller. */
		mmput_async(mm);
	}
	return done;
}

struct corbel_visit {
	void (*visit)(struct corbel_node *node, struct vm_area_struct *vma);
};

static int corbel_visit_space(struct corbel_node *node, struct mm_struct *mm, void *argument)
{
	const struct corbel_visit *visit = argument;
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmas, mm, 0);

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	for_each_vma(vmas, vma)
	{
		if (corbel_maps(vma, node))
			visit->visit(node, vma);
	}
	mmap_write_unlock(mm);
	return 0;
}

int corbel_each_mapping(struct corbel_node *node,
			void (*visit)(struct corbel_node *node, struct vm_area_struct *vma))
{
	struct corbel_visit argument = {visit};

	return corbel_each_space(node, corbel_visit_space, &argument);
}
