// SPDX-License-Identifier: GPL-2.0
/*
 * shim.c - the services of shim.h on Linux 6.1.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "shim.h"

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

/* The log of a recorder is the largest; far under what vmalloc can give. */
#define CORBEL_PAGES_LIMIT (65UL << 20)

void *corbel_alloc(size_t bytes, bool may_sleep)
{
	return kzalloc(bytes, may_sleep ? GFP_KERNEL_ACCOUNT : GFP_ATOMIC);
}
CORBEL_EXPORT(corbel_alloc);

void corbel_free(void *memory)
{
	kfree(memory);
}
CORBEL_EXPORT(corbel_free);

void *corbel_alloc_pages(size_t bytes)
{
	if (bytes > CORBEL_PAGES_LIMIT)
		return NULL;
	/* Running out is the caller's error, and nobody is killed to avoid it. */
	return __vmalloc(bytes,
			 GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
}
CORBEL_EXPORT(corbel_alloc_pages);

void *corbel_alloc_mappable(size_t bytes)
{
	/* vmalloc_user() would charge nobody; corbel_area_map() does not need it. */
	return corbel_alloc_pages(bytes);
}
CORBEL_EXPORT(corbel_alloc_mappable);

void corbel_free_pages(void *memory)
{
	vfree(memory);
}
CORBEL_EXPORT(corbel_free_pages);

int corbel_copy_in(void *to, u64 user, size_t bytes)
{
	return copy_from_user(to, u64_to_user_ptr(user), bytes) ? -EFAULT : 0;
}
CORBEL_EXPORT(corbel_copy_in);

int corbel_copy_out(u64 user, const void *from, size_t bytes)
{
	return copy_to_user(u64_to_user_ptr(user), from, bytes) ? -EFAULT : 0;
}
CORBEL_EXPORT(corbel_copy_out);

u64 *corbel_percpu_new(void)
{
	return (__force u64 *)alloc_percpu_gfp(u64, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}
CORBEL_EXPORT(corbel_percpu_new);

void corbel_percpu_free(u64 *base)
{
	free_percpu((__force u64 __percpu *)base);
}
CORBEL_EXPORT(corbel_percpu_free);

u64 corbel_percpu_sum(const u64 *base)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) sum +=
		READ_ONCE(*per_cpu_ptr((__force const u64 __percpu *)base, cpu));
	return sum;
}
CORBEL_EXPORT(corbel_percpu_sum);

struct corbel_mutex {
	struct mutex mutex;
};

static struct lock_class_key corbel_lock_keys[CORBEL_LOCK_ROLES];
static const char *const corbel_lock_names[CORBEL_LOCK_ROLES] = {
	"corbel_role_0",  "corbel_role_1",  "corbel_role_2",  "corbel_role_3",
	"corbel_role_4",  "corbel_role_5",  "corbel_role_6",  "corbel_role_7",
	"corbel_role_8",  "corbel_role_9",  "corbel_role_10", "corbel_role_11",
	"corbel_role_12", "corbel_role_13", "corbel_role_14", "corbel_role_15",
};

struct corbel_mutex *corbel_mutex_new(u32 role)
{
	struct corbel_mutex *mutex;

	if (WARN_ON_ONCE(role >= CORBEL_LOCK_ROLES))
		return NULL;
	mutex = kzalloc(sizeof(*mutex), GFP_KERNEL_ACCOUNT);
	if (mutex)
		__mutex_init(&mutex->mutex, corbel_lock_names[role], &corbel_lock_keys[role]);
	return mutex;
}
CORBEL_EXPORT(corbel_mutex_new);

void corbel_mutex_free(struct corbel_mutex *mutex)
{
	if (!mutex)
		return;
	mutex_destroy(&mutex->mutex);
	kfree(mutex);
}
CORBEL_EXPORT(corbel_mutex_free);

void corbel_mutex_lock(struct corbel_mutex *mutex)
{
	mutex_lock(&mutex->mutex);
}
CORBEL_EXPORT(corbel_mutex_lock);

void corbel_mutex_unlock(struct corbel_mutex *mutex)
{
	mutex_unlock(&mutex->mutex);
}
CORBEL_EXPORT(corbel_mutex_unlock);

static raw_spinlock_t *corbel_raw(struct corbel_spinlock *lock)
{
	static_assert(sizeof(raw_spinlock_t) <= sizeof(struct corbel_spinlock));

	return (raw_spinlock_t *)lock;
}

void corbel_spin_init(struct corbel_spinlock *lock)
{
	raw_spin_lock_init(corbel_raw(lock));
}
CORBEL_EXPORT(corbel_spin_init);

u64 corbel_spin_lock(struct corbel_spinlock *lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(corbel_raw(lock), flags);
	return flags;
}
CORBEL_EXPORT(corbel_spin_lock);

void corbel_spin_unlock(struct corbel_spinlock *lock, u64 flags)
{
	raw_spin_unlock_irqrestore(corbel_raw(lock), (unsigned long)flags);
}
CORBEL_EXPORT(corbel_spin_unlock);

void corbel_spin_lock_inner(struct corbel_spinlock *lock)
{
	raw_spin_lock_nested(corbel_raw(lock), SINGLE_DEPTH_NESTING);
}
CORBEL_EXPORT(corbel_spin_lock_inner);

void corbel_spin_unlock_inner(struct corbel_spinlock *lock)
{
	raw_spin_unlock(corbel_raw(lock));
}
CORBEL_EXPORT(corbel_spin_unlock_inner);

void corbel_reschedule(void)
{
	cond_resched();
}
CORBEL_EXPORT(corbel_reschedule);

void corbel_pause(void)
{
	schedule_timeout_idle(1);
}
CORBEL_EXPORT(corbel_pause);

void corbel_rcu_read_lock(void)
{
	rcu_read_lock();
}
CORBEL_EXPORT(corbel_rcu_read_lock);

void corbel_rcu_read_unlock(void)
{
	rcu_read_unlock();
}
CORBEL_EXPORT(corbel_rcu_read_unlock);

void corbel_rcu_synchronize(void)
{
	synchronize_rcu();
}
CORBEL_EXPORT(corbel_rcu_synchronize);

void corbel_rcu_synchronize_tasks(void)
{
	/* Code on a CPU's idle task or entered from an interrupt: the rude one. */
	synchronize_rcu_tasks_rude();
	synchronize_rcu_tasks();
	synchronize_rcu();
}
CORBEL_EXPORT(corbel_rcu_synchronize_tasks);

struct corbel_work {
	struct work_struct work;
	void (*function)(void *);
	void *argument;
};

static void corbel_work_run(struct work_struct *work)
{
	struct corbel_work *it = container_of(work, struct corbel_work, work);

	it->function(it->argument);
}

struct corbel_work *corbel_work_new(void (*function)(void *), void *argument)
{
	struct corbel_work *work = kzalloc(sizeof(*work), GFP_KERNEL_ACCOUNT);

	if (!work)
		return NULL;
	INIT_WORK(&work->work, corbel_work_run);
	work->function = function;
	work->argument = argument;
	return work;
}
CORBEL_EXPORT(corbel_work_new);

void corbel_work_queue(struct corbel_work *work)
{
	/* Unbound: ending a VM can take long and must not hold up a CPU's queue. */
	queue_work(system_unbound_wq, &work->work);
}
CORBEL_EXPORT(corbel_work_queue);

void corbel_work_cancel(struct corbel_work *work)
{
	if (work)
		cancel_work_sync(&work->work);
}
CORBEL_EXPORT(corbel_work_cancel);

void corbel_work_free(struct corbel_work *work)
{
	kfree(work);
}
CORBEL_EXPORT(corbel_work_free);

struct corbel_waitqueue {
	wait_queue_head_t head;
	struct irq_work work;
};

static void corbel_waitqueue_run(struct irq_work *work)
{
	wake_up_interruptible_all(&container_of(work, struct corbel_waitqueue, work)->head);
}

struct corbel_waitqueue *corbel_waitqueue_new(void)
{
	struct corbel_waitqueue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);

	if (!queue)
		return NULL;
	init_waitqueue_head(&queue->head);
	init_irq_work(&queue->work, corbel_waitqueue_run);
	return queue;
}
CORBEL_EXPORT(corbel_waitqueue_new);

void corbel_waitqueue_free(struct corbel_waitqueue *queue)
{
	kfree(queue);
}
CORBEL_EXPORT(corbel_waitqueue_free);

void corbel_waitqueue_wake(struct corbel_waitqueue *queue)
{
	irq_work_queue(&queue->work);
}
CORBEL_EXPORT(corbel_waitqueue_wake);

void corbel_waitqueue_sync(struct corbel_waitqueue *queue)
{
	irq_work_sync(&queue->work);
}
CORBEL_EXPORT(corbel_waitqueue_sync);

/* A file's private data. */
struct corbel_file {
	const struct corbel_file_ops *ops;
	void *object;
	struct module *module;
};

struct corbel_poll {
	struct file *file;
	poll_table *table;
};

static long corbel_file_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct corbel_file *it = file->private_data;

	return it->ops->ioctl ? it->ops->ioctl(it->object, command, argument) : -ENOTTY;
}

static int corbel_file_mmap(struct file *file, struct vm_area_struct *area)
{
	struct corbel_file *it = file->private_data;

	return it->ops->mmap ? it->ops->mmap(it->object, (struct corbel_area *)area) : -ENODEV;
}

static __poll_t corbel_file_poll(struct file *file, poll_table *table)
{
	struct corbel_file *it = file->private_data;
	struct corbel_poll poll = {.file = file, .table = table};
	__poll_t mask = 0;
	u32 ready;

	if (!it->ops->poll)
		return DEFAULT_POLLMASK;
	ready = it->ops->poll(it->object, &poll);
	if (ready & CORBEL_POLL_IN)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (ready & CORBEL_POLL_HUP)
		mask |= EPOLLHUP;
	return mask;
}

static ssize_t corbel_file_read(struct file *file, char __user *user, size_t bytes, loff_t *offset)
{
	struct corbel_file *it = file->private_data;
	ssize_t got;

	if (*offset < 0)
		return -EINVAL;
	got = it->ops->read(it->object, (u64)(uintptr_t)user, bytes, *offset);
	if (got > 0)
		*offset += got;
	return got;
}

static int corbel_file_release(struct inode *inode, struct file *file)
{
	struct corbel_file *it = file->private_data;
	struct module *module = it->module;

	it->ops->release(it->object);
	kfree(it);
	/* From here, in the core's text, and not from inside @module's. */
	module_put(module);
	return 0;
}

static const struct file_operations corbel_file_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = corbel_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = corbel_file_mmap,
	.poll = corbel_file_poll,
	.release = corbel_file_release,
	.llseek = noop_llseek,
};

static const struct file_operations corbel_readable_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = corbel_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = corbel_file_mmap,
	.poll = corbel_file_poll,
	.read = corbel_file_read,
	.release = corbel_file_release,
	.llseek = noop_llseek,
};

/* As anon_inode_getfd(), which offers no pread(2). */
static int corbel_readable_getfd(const char *name, struct corbel_file *it)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = anon_inode_getfile(name, &corbel_readable_operations, it, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_PREAD;
	fd_install(fd, file);
	return fd;
}

bool corbel_module_get(struct module *module)
{
	return try_module_get(module);
}
CORBEL_EXPORT(corbel_module_get);

void corbel_module_put(struct module *module)
{
	module_put(module);
}
CORBEL_EXPORT(corbel_module_put);

int corbel_file_new(const struct corbel_file_ops *ops, void *object, struct module *module)
{
	struct corbel_file *it = kzalloc(sizeof(*it), GFP_KERNEL_ACCOUNT);
	int fd;

	if (!it)
		return -ENOMEM;
	if (!try_module_get(module)) {
		kfree(it);
		return -ENODEV;
	}
	it->ops = ops;
	it->object = object;
	it->module = module;
	if (ops->read)
		fd = corbel_readable_getfd(ops->name, it);
	else
		fd = anon_inode_getfd(ops->name, &corbel_file_operations, it, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		module_put(module);
		kfree(it);
	}
	return fd;
}
CORBEL_EXPORT(corbel_file_new);

void corbel_poll_on(struct corbel_poll *poll, struct corbel_waitqueue *queue)
{
	poll_wait(poll->file, &queue->head, poll->table);
}
CORBEL_EXPORT(corbel_poll_on);

static struct vm_area_struct *corbel_vma(const struct corbel_area *area)
{
	return (struct vm_area_struct *)area;
}

u64 corbel_area_offset(const struct corbel_area *area)
{
	return (u64)corbel_vma(area)->vm_pgoff << PAGE_SHIFT;
}
CORBEL_EXPORT(corbel_area_offset);

u64 corbel_area_length(const struct corbel_area *area)
{
	return corbel_vma(area)->vm_end - corbel_vma(area)->vm_start;
}
CORBEL_EXPORT(corbel_area_length);

bool corbel_area_shared(const struct corbel_area *area)
{
	return corbel_vma(area)->vm_flags & VM_SHARED;
}
CORBEL_EXPORT(corbel_area_shared);

bool corbel_area_writable(const struct corbel_area *area)
{
	return corbel_vma(area)->vm_flags & VM_WRITE;
}
CORBEL_EXPORT(corbel_area_writable);

void corbel_area_make_readonly(struct corbel_area *area)
{
	corbel_vma(area)->vm_flags &= ~VM_MAYWRITE;
}
CORBEL_EXPORT(corbel_area_make_readonly);

int corbel_area_map(struct corbel_area *area, void *memory, u64 offset)
{
	struct vm_area_struct *vma = corbel_vma(area);
	struct page *page;
	unsigned long at;
	int error;

	if (vma->vm_flags & VM_EXEC)
		return -EINVAL;
	vma->vm_flags &= ~VM_MAYEXEC;
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
	for (at = vma->vm_start; at < vma->vm_end; at += PAGE_SIZE, offset += PAGE_SIZE) {
		/* Behind what was allocated there is always a page of nothing. */
		page = vmalloc_to_page((u8 *)memory + offset);
		error = page ? vm_insert_page(vma, at, page) : -EINVAL;
		if (error)
			return error;
	}
	return 0;
}
CORBEL_EXPORT(corbel_area_map);

void corbel_log_warn(const char *text)
{
	pr_warn("corbel: %s\n", text);
}
CORBEL_EXPORT(corbel_log_warn);
