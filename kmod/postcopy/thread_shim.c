// SPDX-License-Identifier: GPL-2.0
/*
 * thread_shim.c - threads of a pager, who waits for them, and contents of pages.
 */
#include <linux/crypto.h>
#include <linux/kthread.h>
#include <linux/lz4.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/xxhash.h>

#include "link.h"

struct corbel_thread {
	struct task_struct *task;
	void (*function)(void *argument);
	void *argument;
};

static int corbel_thread_run(void *argument)
{
	const struct corbel_thread *thread = argument;

	thread->function(thread->argument);
	return 0;
}

struct corbel_thread *corbel_thread_new(const char *name, void (*function)(void *), void *argument)
{
	struct corbel_thread *thread = kzalloc(sizeof(*thread), GFP_KERNEL_ACCOUNT);

	if (!thread)
		return NULL;
	thread->function = function;
	thread->argument = argument;
	thread->task = kthread_create(corbel_thread_run, thread, "%s", name);
	if (IS_ERR(thread->task)) {
		kfree(thread);
		return NULL;
	}
	get_task_struct(thread->task);
	wake_up_process(thread->task);
	return thread;
}

void corbel_thread_join(struct corbel_thread *thread)
{
	if (!thread)
		return;
	/* Before its first step it need not take any. */
	(void)kthread_stop(thread->task);
	put_task_struct(thread->task);
	kfree(thread);
}

struct corbel_gate {
	wait_queue_head_t waits;
};

struct corbel_gate *corbel_gate_new(void)
{
	struct corbel_gate *gate = kzalloc(sizeof(*gate), GFP_KERNEL_ACCOUNT);

	if (gate)
		init_waitqueue_head(&gate->waits);
	return gate;
}

void corbel_gate_free(struct corbel_gate *gate)
{
	kfree(gate);
}

void corbel_gate_wake(struct corbel_gate *gate)
{
	wake_up_all(&gate->waits);
}

int corbel_gate_wait(struct corbel_gate *gate, bool (*ready)(void *), void *argument, bool signals)
{
	if (signals)
		return wait_event_interruptible(gate->waits, ready(argument)) ? -EINTR : 0;
	wait_event_idle(gate->waits, ready(argument));
	return 0;
}

bool corbel_gate_wait_for(struct corbel_gate *gate, bool (*ready)(void *), void *argument, u32 ms)
{
	return wait_event_idle_timeout(gate->waits, ready(argument), msecs_to_jiffies(ms)) != 0;
}

u32 corbel_checksum(const void *at, size_t bytes)
{
	return (u32)xxh64(at, bytes, 0);
}

bool corbel_is_zero_page(const void *at)
{
	return !memchr_inv(at, 0, PAGE_SIZE);
}

/*
 * The compressing half of LZ4 is a module of its own, which need not be there; the crypto API
 * looks for it.
 */
void *corbel_compressor_new(void)
{
	struct crypto_comp *compressor = crypto_alloc_comp("lz4", 0, 0);

	return IS_ERR(compressor) ? NULL : compressor;
}

void corbel_compressor_free(void *compressor)
{
	if (compressor)
		crypto_free_comp(compressor);
}

u32 corbel_compress(void *compressor, const void *page, void *to, u32 room)
{
	return crypto_comp_compress(compressor, page, PAGE_SIZE, to, &room) ? 0 : room;
}

bool corbel_decompress(const void *from, u32 bytes, void *page)
{
	return LZ4_decompress_safe(from, page, (int)bytes, PAGE_SIZE) == PAGE_SIZE;
}
