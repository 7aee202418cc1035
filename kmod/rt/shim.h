/* SPDX-License-Identifier: GPL-2.0 */
/*
 * shim.h - the one list of services that logic gets from the kernel.
 *
 * Included by the C shims, which implement it, and by C++, which calls it.
 * Kernel objects cross as pointers to opaque structs. Each function says where
 * it may be called: "task" is process context and may sleep, "atomic" is any
 * context but NMI. Errors are negated errno values.
 */
#ifndef CORBEL_RT_SHIM_H
#define CORBEL_RT_SHIM_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
extern "C" {
#else
#include <linux/types.h>
#endif

/* ---- memory ------------------------------------------------------------- */

/* Zeroed slab memory. @may_sleep: task if true, atomic if false. NULL: none. */
void *corbel_alloc(size_t bytes, bool may_sleep);
/* Atomic. NULL is fine. */
void corbel_free(void *memory);
/* Zeroed pages, virtually contiguous, charged to the caller's memcg. Task. */
void *corbel_alloc_pages(size_t bytes);
/* The same, fit for mapping into user space. Task. */
void *corbel_alloc_mappable(size_t bytes);
/* Of either kind. Task. NULL is fine. */
void corbel_free_pages(void *memory);

/* ---- user memory. Task; 0 or -EFAULT ------------------------------------- */

int corbel_copy_in(void *to, u64 user, size_t bytes);
int corbel_copy_out(u64 user, const void *from, size_t bytes);

/* ---- per-CPU memory -------------------------------------------------------- */

/* A zeroed u64 for each possible CPU; on a CPU it stands at %gs plus the address
 * returned. Task. NULL: no memory. */
u64 *corbel_percpu_new(void);
/* Task. NULL is fine. */
void corbel_percpu_free(u64 *base);
/* Over all CPUs; what is added meanwhile may or may not be in it. Atomic. */
u64 corbel_percpu_sum(const u64 *base);

/* ---- locks --------------------------------------------------------------- */

struct corbel_mutex;
struct corbel_lock_class;
/*
 * One lockdep class per role: a slot 0 .. CORBEL_LOCK_ROLES - 1 of a static
 * table in the shim. Task. NULL: no memory.
 */
struct corbel_mutex *corbel_mutex_new(u32 role);
void corbel_mutex_free(struct corbel_mutex *mutex);
void corbel_mutex_lock(struct corbel_mutex *mutex);
void corbel_mutex_unlock(struct corbel_mutex *mutex);
#define CORBEL_LOCK_ROLES 16

/*
 * A lock for any context but NMI, held with interrupts of this CPU off and for a
 * short time: nothing below it sleeps. Its memory is the caller's.
 */
struct corbel_spinlock {
	u64 space[8];
};
/* All of one lockdep class. */
void corbel_spin_init(struct corbel_spinlock *lock);
/* What it returns is for corbel_spin_unlock. */
u64 corbel_spin_lock(struct corbel_spinlock *lock);
void corbel_spin_unlock(struct corbel_spinlock *lock, u64 flags);
/* A second one, while one is held. The caller has an order for them. */
void corbel_spin_lock_inner(struct corbel_spinlock *lock);
void corbel_spin_unlock_inner(struct corbel_spinlock *lock);

/* Task, no spinlock held: in a long loop, let others run. */
void corbel_reschedule(void);
/* Task: sleeps for a moment, between two looks at what will soon be so. */
void corbel_pause(void);

/* ---- RCU --------------------------------------------------- */

/* Atomic. */
void corbel_rcu_read_lock(void);
void corbel_rcu_read_unlock(void);
/* Task: all preempt-disabled and RCU sections that began before are over. */
void corbel_rcu_synchronize(void);
/*
 * Task: besides that, every task that was inside kernel code has left it by a
 * voluntary switch or is in user space. What ends it is thus also any stay in a
 * trampoline or in the body of a hooked function. Takes tens of milliseconds.
 */
void corbel_rcu_synchronize_tasks(void);

/* ---- deferred work -------------------------------------------------------- */

struct corbel_work;
/* @function runs in task context. Task. NULL: no memory. */
struct corbel_work *corbel_work_new(void (*function)(void *), void *argument);
/* Atomic. Queued twice before it runs, it runs once. */
void corbel_work_queue(struct corbel_work *work);
/* Task: not queued and not running any more, unless queued again. NULL is fine, also below. */
void corbel_work_cancel(struct corbel_work *work);
void corbel_work_free(struct corbel_work *work);

/* ---- urgent work ------------------------------------------------------------ */

/* A thread of its own, SCHED_FIFO at CORBEL_WORKER_PRIORITY. */
struct corbel_worker;
#define CORBEL_WORKER_PRIORITY 50
/* Task. NULL: no memory. */
struct corbel_worker *corbel_worker_new(const char *name);
/* Task: what was queued before has been done. */
void corbel_worker_flush(struct corbel_worker *worker);
/* Task. All its jobs have been cancelled. NULL is fine. */
void corbel_worker_free(struct corbel_worker *worker);

/* What the worker does when it is told to, one job at a time. */
struct corbel_job;
/* Task. NULL: no memory. */
struct corbel_job *corbel_job_new(struct corbel_worker *worker, void (*function)(void *),
				  void *argument);
/* Atomic, but not under a run queue's lock. Queued twice before it runs, it runs once. */
void corbel_job_queue(struct corbel_job *job);
/* The same in @nanoseconds; a time set before is forgotten. Atomic. */
void corbel_job_queue_in(struct corbel_job *job, u64 nanoseconds);
/* Task: until it is queued again, it is not queued, timed or running. */
void corbel_job_cancel(struct corbel_job *job);
/* Task. Cancelled. NULL is fine. */
void corbel_job_free(struct corbel_job *job);

/* CLOCK_MONOTONIC. Atomic. */
u64 corbel_monotonic_ns(void);

/* ---- how a task is scheduled --------------------------------------------------- */

struct task_struct;
/* What corbel_task_raise() found, for corbel_task_restore(). */
struct corbel_scheduling {
	u32 policy;
	bool reset_on_fork;
};
/*
 * To SCHED_FIFO at @priority; children do not inherit it. -EPERM: it is not SCHED_OTHER
 * or SCHED_BATCH. Task.
 */
int corbel_task_raise(struct task_struct *task, u32 priority, struct corbel_scheduling *was);
/*
 * To what it was, at the nice value it has now. False: somebody has changed it since;
 * then it is left alone. Task.
 */
bool corbel_task_restore(struct task_struct *task, u32 priority,
			 const struct corbel_scheduling *was);
/* CPU time used, ns, up to when it was last switched or looked at. Atomic. */
u64 corbel_task_runtime(const struct task_struct *task);
void corbel_task_put(struct task_struct *task);

/* ---- wake-ups ------------------------------------------------------------- */

struct corbel_waitqueue;
struct corbel_waitqueue *corbel_waitqueue_new(void);
/* Task, after corbel_waitqueue_sync and once nobody polls. */
void corbel_waitqueue_free(struct corbel_waitqueue *queue);
/* Atomic, also under run-queue and wait-queue locks: wakes from an irq_work. */
void corbel_waitqueue_wake(struct corbel_waitqueue *queue);
void corbel_waitqueue_sync(struct corbel_waitqueue *queue);

/* ---- eventfds ------------------------------------------------------------- */

/* Somebody else's eventfd whose signals we take. */
struct corbel_source;
/* -EBADF, -EINVAL (not an eventfd), -ENOMEM. Task. */
int corbel_source_new(s32 fd, struct corbel_source **source);
/*
 * Once. From now on @signalled(@argument) at each signal, and @hung_up(@argument) when
 * the last descriptor is closed: atomic, interrupts off and with the eventfd's
 * wait-queue lock held, so neither may signal an eventfd. Both may come before this
 * returns. Task.
 */
void corbel_source_start(struct corbel_source *source, void (*signalled)(void *),
			 void (*hung_up)(void *), void *argument);
/* Task. None of the calls is running or will come after it. */
void corbel_source_free(struct corbel_source *source);
/* Are both signalled by the same eventfd? */
bool corbel_source_same(const struct corbel_source *a, const struct corbel_source *b);

/* Somebody's eventfd that we signal. */
struct corbel_doorbell;
/* As corbel_source_new. */
int corbel_doorbell_new(s32 fd, struct corbel_doorbell **doorbell);
/* Atomic, under any lock: signals from an irq_work. Rung twice before, it is once. */
void corbel_doorbell_ring(struct corbel_doorbell *doorbell);
/* Task. Nobody rings it any more; what was rung has been signalled. NULL is fine. */
void corbel_doorbell_free(struct corbel_doorbell *doorbell);

/* ---- files ---------------------------------------------------------------- */

struct corbel_file;
struct corbel_area;
struct corbel_poll;

/*
 * What a descriptor does. Every function runs in task context. The object that
 * defines it keeps the table for as long as @module is loaded.
 */
struct corbel_file_ops {
	const char *name; /* shown in /proc/PID/fd */
	long (*ioctl)(void *object, u32 command, u64 argument);
	int (*mmap)(void *object, struct corbel_area *area);
	u32 (*poll)(void *object, struct corbel_poll *poll);
	/*
	 * Up to @bytes from @offset of the file to @user: how many, 0 past the end, or a
	 * negated errno. Of a descriptor with this, read(2) goes on where the last one
	 * ended, pread(2) goes anywhere, and it is not open for writing.
	 */
	s64 (*read)(void *object, u64 user, u64 bytes, u64 offset);
	void (*release)(void *object);
};
#define CORBEL_POLL_IN 1U
#define CORBEL_POLL_HUP 2U

struct module;
/* False: it is being unloaded. Atomic. */
bool corbel_module_get(struct module *module);
void corbel_module_put(struct module *module);
/*
 * A new close-on-exec descriptor that owns @object and holds @module. Task.
 * On failure @object has not been released.
 */
int corbel_file_new(const struct corbel_file_ops *ops, void *object, struct module *module);
/* Inside ops->poll: wait on @queue as well. */
void corbel_poll_on(struct corbel_poll *poll, struct corbel_waitqueue *queue);

/* Inside ops->mmap. */
u64 corbel_area_offset(const struct corbel_area *area); /* bytes */
u64 corbel_area_length(const struct corbel_area *area); /* bytes */
bool corbel_area_shared(const struct corbel_area *area);
bool corbel_area_writable(const struct corbel_area *area);
/* For good: mprotect cannot make it writable later. */
void corbel_area_make_readonly(struct corbel_area *area);
/*
 * @memory: from corbel_alloc_mappable. 0 or a negated errno; -EINVAL: the mapping
 * is larger, or asks to be executable, which it can never be.
 */
int corbel_area_map(struct corbel_area *area, void *memory, u64 offset);

/* ---- messages. Atomic ------------------------------------------------------ */

void corbel_log_warn(const char *text);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_RT_SHIM_H */
