// SPDX-License-Identifier: GPL-2.0
/*
 * eventfd.c - the eventfd services of shim.h on Linux 6.1.
 *
 * A source is hooked into the eventfd's wait queue as KVM's irqfd is. Its callback
 * runs under that queue's lock, with interrupts off; the same lock makes removal wait
 * for it. The reference to the context keeps the queue in being after the last
 * descriptor has gone, so hanging up may be dealt with later.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "shim.h"

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

struct corbel_source {
	struct eventfd_ctx *eventfd;
	struct file *file; /* until it is started */
	wait_queue_head_t *queue;
	wait_queue_entry_t entry;
	poll_table table;
	void (*signalled)(void *);
	void (*hung_up)(void *);
	void *argument;
};

/* With the wait queue's lock held and interrupts off. */
static int corbel_source_wake(wait_queue_entry_t *entry, unsigned int mode, int sync, void *key)
{
	struct corbel_source *source = container_of(entry, struct corbel_source, entry);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(source->eventfd, &count);
		source->signalled(source->argument);
	}
	if (events & EPOLLHUP)
		source->hung_up(source->argument);
	/* Taken: those who poll the eventfd find nothing, as with an irqfd. */
	return events & EPOLLIN ? 1 : 0;
}

static void corbel_source_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct corbel_source *source = container_of(table, struct corbel_source, table);

	source->queue = queue;
	add_wait_queue_priority(queue, &source->entry);
}

static void corbel_source_take_count(struct corbel_source *source)
{
	unsigned long flags;
	u64 count;

	/* What was there before the entry was: a signal since has been taken by it. */
	spin_lock_irqsave(&source->queue->lock, flags);
	eventfd_ctx_do_read(source->eventfd, &count);
	if (count)
		source->signalled(source->argument);
	spin_unlock_irqrestore(&source->queue->lock, flags);
}

int corbel_source_new(s32 fd, struct corbel_source **out)
{
	struct corbel_source *source = kzalloc(sizeof(*source), GFP_KERNEL_ACCOUNT);
	int error;

	if (!source)
		return -ENOMEM;
	error = -EBADF;
	source->file = fget(fd);
	if (!source->file)
		goto free;
	source->eventfd = eventfd_ctx_fileget(source->file);
	error = PTR_ERR_OR_ZERO(source->eventfd);
	if (error)
		goto put;
	*out = source;
	return 0;
put:
	fput(source->file);
free:
	kfree(source);
	return error;
}
CORBEL_EXPORT(corbel_source_new);

void corbel_source_start(struct corbel_source *source, void (*signalled)(void *),
			 void (*hung_up)(void *), void *argument)
{
	struct file *file = source->file;

	source->signalled = signalled;
	source->hung_up = hung_up;
	source->argument = argument;
	init_waitqueue_func_entry(&source->entry, corbel_source_wake);
	init_poll_funcptr(&source->table, corbel_source_queue);
	source->file = NULL;
	if (vfs_poll(file, &source->table) & EPOLLIN)
		corbel_source_take_count(source);
	/* Our own reference would keep it from hanging up; ours may be the last by now. */
	fput(file);
}
CORBEL_EXPORT(corbel_source_start);

void corbel_source_free(struct corbel_source *source)
{
	u64 count;

	if (source->file)
		fput(source->file);
	else
		eventfd_ctx_remove_wait_queue(source->eventfd, &source->entry, &count);
	eventfd_ctx_put(source->eventfd);
	kfree(source);
}
CORBEL_EXPORT(corbel_source_free);

bool corbel_source_same(const struct corbel_source *a, const struct corbel_source *b)
{
	return a->eventfd == b->eventfd;
}
CORBEL_EXPORT(corbel_source_same);

struct corbel_doorbell {
	struct eventfd_ctx *eventfd;
	struct irq_work work;
};

static void corbel_doorbell_signal(struct irq_work *work)
{
	eventfd_signal(container_of(work, struct corbel_doorbell, work)->eventfd, 1);
}

int corbel_doorbell_new(s32 fd, struct corbel_doorbell **out)
{
	struct corbel_doorbell *doorbell = kzalloc(sizeof(*doorbell), GFP_KERNEL_ACCOUNT);

	if (!doorbell)
		return -ENOMEM;
	doorbell->eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(doorbell->eventfd)) {
		int error = PTR_ERR(doorbell->eventfd);

		kfree(doorbell);
		return error;
	}
	init_irq_work(&doorbell->work, corbel_doorbell_signal);
	*out = doorbell;
	return 0;
}
CORBEL_EXPORT(corbel_doorbell_new);

void corbel_doorbell_ring(struct corbel_doorbell *doorbell)
{
	irq_work_queue(&doorbell->work);
}
CORBEL_EXPORT(corbel_doorbell_ring);

void corbel_doorbell_free(struct corbel_doorbell *doorbell)
{
	if (!doorbell)
		return;
	irq_work_sync(&doorbell->work);
	eventfd_ctx_put(doorbell->eventfd);
	kfree(doorbell);
}
CORBEL_EXPORT(corbel_doorbell_free);
