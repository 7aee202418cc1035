// SPDX-License-Identifier: GPL-2.0
/*
 * urgent.c - the services of shim.h for work that cannot wait its turn: a real-time
 * thread with timed jobs, and how a task is scheduled.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <uapi/linux/sched/types.h>

#include "shim.h"

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

static struct kthread_worker *corbel_kthread(struct corbel_worker *worker)
{
	return (struct kthread_worker *)worker;
}

struct corbel_worker *corbel_worker_new(const char *name)
{
	struct kthread_worker *worker = kthread_create_worker(0, "%s", name);

	if (IS_ERR(worker))
		return NULL;
	static_assert(CORBEL_WORKER_PRIORITY == MAX_RT_PRIO / 2);
	sched_set_fifo(worker->task);
	return (struct corbel_worker *)worker;
}
CORBEL_EXPORT(corbel_worker_new);

void corbel_worker_flush(struct corbel_worker *worker)
{
	kthread_flush_worker(corbel_kthread(worker));
}
CORBEL_EXPORT(corbel_worker_flush);

void corbel_worker_free(struct corbel_worker *worker)
{
	if (worker)
		kthread_destroy_worker(corbel_kthread(worker));
}
CORBEL_EXPORT(corbel_worker_free);

struct corbel_job {
	struct kthread_work work;
	struct hrtimer timer;
	struct kthread_worker *worker;
	void (*function)(void *);
	void *argument;
};

static void corbel_job_run(struct kthread_work *work)
{
	struct corbel_job *job = container_of(work, struct corbel_job, work);

	job->function(job->argument);
}

static enum hrtimer_restart corbel_job_due(struct hrtimer *timer)
{
	corbel_job_queue(container_of(timer, struct corbel_job, timer));
	return HRTIMER_NORESTART;
}

struct corbel_job *corbel_job_new(struct corbel_worker *worker, void (*function)(void *),
				  void *argument)
{
	struct corbel_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	kthread_init_work(&job->work, corbel_job_run);
	hrtimer_init(&job->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	job->timer.function = corbel_job_due;
	job->worker = corbel_kthread(worker);
	job->function = function;
	job->argument = argument;
	return job;
}
CORBEL_EXPORT(corbel_job_new);

void corbel_job_queue(struct corbel_job *job)
{
	kthread_queue_work(job->worker, &job->work);
}
CORBEL_EXPORT(corbel_job_queue);

void corbel_job_queue_in(struct corbel_job *job, u64 nanoseconds)
{
	hrtimer_start(&job->timer, ns_to_ktime(nanoseconds), HRTIMER_MODE_REL_HARD);
}
CORBEL_EXPORT(corbel_job_queue_in);

void corbel_job_cancel(struct corbel_job *job)
{
	/* The job may set the timer and the timer queue the job: until neither has. */
	do {
		hrtimer_cancel(&job->timer);
		kthread_cancel_work_sync(&job->work);
	} while (hrtimer_active(&job->timer));
}
CORBEL_EXPORT(corbel_job_cancel);

void corbel_job_free(struct corbel_job *job)
{
	kfree(job);
}
CORBEL_EXPORT(corbel_job_free);

u64 corbel_monotonic_ns(void)
{
	return ktime_get_ns();
}
CORBEL_EXPORT(corbel_monotonic_ns);

int corbel_task_raise(struct task_struct *task, u32 priority, struct corbel_scheduling *was)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_FIFO,
		.sched_flags = SCHED_FLAG_RESET_ON_FORK,
		.sched_priority = priority,
	};

	was->policy = READ_ONCE(task->policy);
	was->reset_on_fork = task->sched_reset_on_fork;
	if (was->policy != SCHED_NORMAL && was->policy != SCHED_BATCH)
		return -EPERM;
	return sched_setattr_nocheck(task, &attr);
}
CORBEL_EXPORT(corbel_task_raise);

bool corbel_task_restore(struct task_struct *task, u32 priority,
			 const struct corbel_scheduling *was)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = was->policy,
		.sched_flags = was->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.sched_nice = task_nice(task),
	};

	if (READ_ONCE(task->policy) != SCHED_FIFO || task->rt_priority != priority ||
	    !task->sched_reset_on_fork)
		return false;
	/* What could fail takes more than going back to a fair class. */
	WARN_ON_ONCE(sched_setattr_nocheck(task, &attr));
	return true;
}
CORBEL_EXPORT(corbel_task_restore);

u64 corbel_task_runtime(const struct task_struct *task)
{
	return READ_ONCE(task->se.sum_exec_runtime);
}
CORBEL_EXPORT(corbel_task_runtime);

void corbel_task_put(struct task_struct *task)
{
	put_task_struct(task);
}
CORBEL_EXPORT(corbel_task_put);
