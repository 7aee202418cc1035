/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lock.hh - locks that own what they protect.
 *
 * Guarded<T> holds a T that can only be reached through the Access object that
 * locking returns, so forgetting the lock does not compile. Each role is a
 * lockdep class of its own (Role, one place for the whole project) and the order
 * of the enumerators is the lock order: a lock is only taken while holding locks
 * that stand above it.
 */
#pragma once

#include "result.hh"
#include "shim.h"

namespace corbel::rt {

enum class Role : u32 {
	attach, /* attaching to and freeing of attachments, one at a time */
	vm, /* what is enabled on one VM */
	distributor, /* irq: bindings, doorbells and ring of one distributor */
	observer, /* irq: one observer against the end of its VM */
	registry, /* list of attachments and their reference counts */
	observers, /* irq: observers and the table of observed vCPUs */
	recorders, /* replay: recorders, and which vCPU has one */
	hooks, /* what is installed */
	meter, /* block: objects, budgets and ranges of a device under QoS */
	block, /* a pool: its maps and what is under way */
	count,
};
static_assert(static_cast<u32>(Role::count) <= CORBEL_LOCK_ROLES);

/* Task context only. Lives in static storage or in an object made by a factory. */
class Mutex {
public:
	constexpr Mutex() = default;
	Mutex(const Mutex &) = delete;
	Mutex &operator=(const Mutex &) = delete;

	Result<void> init(Role role)
	{
		mutex_ = corbel_mutex_new(static_cast<u32>(role));
		if (!mutex_)
			return Error::no_memory;
		return {};
	}
	void destroy()
	{
		corbel_mutex_free(mutex_);
		mutex_ = nullptr;
	}

	void lock() { corbel_mutex_lock(mutex_); }
	void unlock() { corbel_mutex_unlock(mutex_); }

private:
	corbel_mutex *mutex_{};
};

/*
 * Any context but NMI, interrupts of this CPU off while it is held; below every
 * mutex. In memory of a longer life than any user's; init() before anything else.
 */
class SpinLock {
public:
	void init() { corbel_spin_init(&lock_); }
	[[nodiscard]] u64 lock() { return corbel_spin_lock(&lock_); }
	void unlock(u64 flags) { corbel_spin_unlock(&lock_, flags); }
	/* While another one is held, which stands before this one in an order. */
	void lock_inner() { corbel_spin_lock_inner(&lock_); }
	void unlock_inner() { corbel_spin_unlock_inner(&lock_); }

private:
	corbel_spinlock lock_;
};

class [[nodiscard]] MutexGuard {
public:
	explicit MutexGuard(Mutex &mutex) : mutex_(mutex) { mutex_.lock(); }
	~MutexGuard() { mutex_.unlock(); }
	MutexGuard(const MutexGuard &) = delete;
	MutexGuard &operator=(const MutexGuard &) = delete;

private:
	Mutex &mutex_;
};

template <typename T>
class Guarded {
public:
	constexpr Guarded() = default;

	class [[nodiscard]] Access {
	public:
		explicit Access(Guarded &owner) : owner_(owner) { owner_.mutex_.lock(); }
		~Access() { owner_.mutex_.unlock(); }
		Access(const Access &) = delete;
		Access &operator=(const Access &) = delete;

		T *operator->() { return &owner_.data_; }
		T &operator*() { return owner_.data_; }

	private:
		Guarded &owner_;
	};

	Result<void> init(Role role) { return mutex_.init(role); }
	void destroy() { mutex_.destroy(); }
	Access lock() { return Access(*this); }

private:
	Mutex mutex_;
	T data_{};
};

} /* namespace corbel::rt */
