// SPDX-License-Identifier: GPL-2.0
/*
 * tables_shim.c - the page tables of an object's mappings: made beforehand, and taken away
 * again where a piece of 2 MiB can be mapped as a whole.
 *
 * Both go through an address space in strides, and lock it for writing for each. So no fault
 * fills in anything meanwhile, and no table goes but by us.
 */
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>

#include <asm/pgalloc.h>
#include <asm/tlbflush.h>

#include "spaces.h"

/* Tables of one stride: 128 MiB. */
#define CORBEL_STRIDE 64

/* Where a table for @address would be entered; NULL: there is nothing as yet. */
static pmd_t *corbel_find_entry(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (!pud_present(*pud) || pud_leaf(*pud))
		return NULL;
	return pmd_offset(pud, address);
}

/* The first mapping of @node that ends behind @address. */
static struct vm_area_struct *corbel_find_mapping(const struct corbel_node *node,
						  struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmas, mm, address);

	for_each_vma(vmas, vma)
	{
		if (corbel_maps(vma, node))
			return vma;
	}
	return NULL;
}

struct corbel_tables {
	unsigned long next; /* address: what is below is done */
	u64 there, made;
};

/* The table for @next, of mapping @vma. */
static int corbel_prepare_one(struct corbel_tables *tables, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	const pmd_t *entry = corbel_find_entry(mm, tables->next);

	if (entry && pmd_present(*entry)) {
		tables->there += !pmd_leaf(*entry);
		return 0;
	}
	if (apply_to_page_range(mm, tables->next, PAGE_SIZE, NULL, NULL))
		return -ENOMEM;
	tables->there++;
	tables->made++;
	return 0;
}

/* 0: there is more, 1: it is done. */
static int corbel_prepare_stride(struct corbel_node *node, struct mm_struct *mm,
				 struct corbel_tables *tables)
{
	struct vm_area_struct *vma = corbel_find_mapping(node, mm, tables->next);
	int error, i;

	/* An allocation of the kernel's own would rather kill somebody than fail. */
	if (corbel_store_available() < 2 * CORBEL_STRIDE * PAGE_SIZE)
		return -ENOMEM;
	for (i = 0; vma && i < CORBEL_STRIDE; i++) {
		tables->next = max(tables->next, vma->vm_start);
		error = corbel_prepare_one(tables, vma);
		if (error)
			return error;
		/* Of two mappings that share a table it is one. */
		tables->next = (tables->next & PMD_MASK) + PMD_SIZE;
		if (tables->next >= vma->vm_end || !tables->next)
			vma = tables->next ? corbel_find_mapping(node, mm, tables->next) : NULL;
	}
	return !vma;
}

static int corbel_prepare_space(struct corbel_node *node, struct mm_struct *mm, void *argument)
{
	struct corbel_tables *tables = argument;
	/* They are the address space's, whoever asks for them. */
	struct mem_cgroup *group = get_mem_cgroup_from_mm(mm), *own = set_active_memcg(group);
	int done = 0;

	tables->next = 0;
	while (!done) {
		if (fatal_signal_pending(current) || mmap_write_lock_killable(mm)) {
			done = -EINTR;
			break;
		}
		done = corbel_prepare_stride(node, mm, tables);
		mmap_write_unlock(mm);
		cond_resched();
	}
	set_active_memcg(own);
	mem_cgroup_put(group);
	return min(done, 0);
}

int corbel_node_prepare(struct corbel_node *node, u64 *there, u64 *made)
{
	struct corbel_tables tables = {};
	const int error = corbel_each_space(node, corbel_prepare_space, &tables);

	*there = tables.there;
	*made = tables.made;
	return error;
}

struct corbel_joining {
	unsigned long next;
	u64 pieces;
	unsigned int count;
	unsigned long at[CORBEL_STRIDE];
	struct page *tables[CORBEL_STRIDE];
};

/* A table all of whose pages can be mapped as a piece. */
static bool corbel_can_join(const struct corbel_node *node, struct vm_area_struct *vma,
			    unsigned long address)
{
	const pmd_t *entry = corbel_find_entry(vma->vm_mm, address);

	return entry && pmd_present(*entry) && !pmd_leaf(*entry) &&
	       corbel_fits_whole(node, vma, address);
}

static void corbel_unmap_pieces(const struct corbel_node *node, struct mm_struct *mm,
				const struct corbel_joining *joining)
{
	unsigned int i;

	for (i = 0; i < joining->count; i++) {
		struct vm_area_struct *vma = vma_lookup(mm, joining->at[i]);
		const loff_t first = linear_page_index(vma, joining->at[i]);

		unmap_mapping_range(node->inode->i_mapping, first << PAGE_SHIFT, PMD_SIZE, 1);
	}
}

/* The table at @address, empty and entered nowhere any more; NULL: it is not empty. */
static struct page *corbel_take_table(struct mm_struct *mm, unsigned long address)
{
	pmd_t *entry = corbel_find_entry(mm, address);
	spinlock_t *lock = pmd_lock(mm, entry);
	struct page *table = pmd_page(*entry);
	const pte_t *ptes = page_address(table);
	unsigned int i;

	for (i = 0; i < PTRS_PER_PTE && table; i++) {
		if (!pte_none(ptes[i]))
			table = NULL;
	}
	if (table)
		pmd_clear(entry);
	spin_unlock(lock);
	return table;
}

static void corbel_flush(void *unused)
{
	__flush_tlb_all();
}

/*
 * As khugepaged does, with what is exported. The address space is locked for writing, so no
 * fault fills the tables again, and their mapping against those that look for its tables
 * without that lock. CPUs may know the tables still, and with interrupts off be walking
 * them: after the flush, which each does in an interrupt, none does. The second unmapping
 * finds nothing; it is for the notifiers, of IOMMUs that share these tables.
 */
static void corbel_join_pieces(struct corbel_node *node, struct mm_struct *mm,
			       struct corbel_joining *joining)
{
	struct address_space *mapping = node->inode->i_mapping;
	unsigned int i;

	corbel_unmap_pieces(node, mm, joining);
	i_mmap_lock_write(mapping);
	for (i = 0; i < joining->count; i++)
		joining->tables[i] = corbel_take_table(mm, joining->at[i]);
	i_mmap_unlock_write(mapping);
	on_each_cpu(corbel_flush, NULL, 1);
	corbel_unmap_pieces(node, mm, joining);
	for (i = 0; i < joining->count; i++) {
		if (!joining->tables[i])
			continue;
		mm_dec_nr_ptes(mm);
		pte_free(mm, joining->tables[i]);
		joining->pieces++;
	}
}

/* 0: there is more, 1: it is done. */
static int corbel_join_stride(struct corbel_node *node, struct mm_struct *mm,
			      struct corbel_joining *joining)
{
	struct vm_area_struct *vma = corbel_find_mapping(node, mm, joining->next);

	joining->count = 0;
	while (vma && joining->count < CORBEL_STRIDE) {
		joining->next = ALIGN(max(joining->next, vma->vm_start), PMD_SIZE);
		if (joining->next < vma->vm_end && joining->next >= vma->vm_start) {
			if (corbel_can_join(node, vma, joining->next))
				joining->at[joining->count++] = joining->next;
			joining->next += PMD_SIZE;
			continue;
		}
		joining->next = vma->vm_end;
		vma = corbel_find_mapping(node, mm, joining->next);
	}
	if (joining->count)
		corbel_join_pieces(node, mm, joining);
	return !vma;
}

static int corbel_join_space(struct corbel_node *node, struct mm_struct *mm, void *argument)
{
	struct corbel_joining *joining = argument;
	int done = 0;

	joining->next = 0;
	while (!done) {
		if (fatal_signal_pending(current) || mmap_write_lock_killable(mm))
			return -EINTR;
		done = corbel_join_stride(node, mm, joining);
		mmap_write_unlock(mm);
		cond_resched();
	}
	return 0;
}

int corbel_node_join(struct corbel_node *node, u64 *pieces)
{
	struct corbel_joining *joining;
	int error;

	joining = kzalloc(sizeof(*joining), GFP_KERNEL_ACCOUNT);
	if (!joining)
		return -ENOMEM;
	error = corbel_each_space(node, corbel_join_space, joining);
	*pieces = joining->pieces;
	kfree(joining);
	return error;
}
