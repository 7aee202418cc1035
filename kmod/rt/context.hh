/* SPDX-License-Identifier: GPL-2.0 */
/*
 * context.hh - scopes in which something of the machine is held still.
 */
#pragma once

#include "shim.h"

namespace corbel::rt {

/* rcu_read_lock(). May not sleep inside. Any context but NMI. */
class [[nodiscard]] RcuReadGuard {
public:
	RcuReadGuard() { corbel_rcu_read_lock(); }
	~RcuReadGuard() { corbel_rcu_read_unlock(); }
	RcuReadGuard(const RcuReadGuard &) = delete;
	RcuReadGuard &operator=(const RcuReadGuard &) = delete;
};

#ifdef CORBEL_KERNEL

/*
 * Interrupts off on this CPU, by two instructions: KVM hosts are not Xen PV
 * guests, so the flag is the real one.
 */
class [[nodiscard]] IrqGuard {
public:
	[[gnu::always_inline]] IrqGuard()
	{
		u64 flags;

		asm volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
		flags_ = flags;
	}
	[[gnu::always_inline]] ~IrqGuard()
	{
		if (flags_ & interrupt_flag)
			asm volatile("sti" : : : "memory");
	}
	IrqGuard(const IrqGuard &) = delete;
	IrqGuard &operator=(const IrqGuard &) = delete;

private:
	static constexpr u64 interrupt_flag = 1U << 9;
	u64 flags_;
};

/*
 * An RCU reader at the price of two instructions: the kernel's synchronize_rcu()
 * waits for every section with preemption off. A reschedule that falls due
 * inside is done at the next chance (an interrupt or the hooked function's own
 * preempt_enable()), not at the end of the scope.
 */
class [[nodiscard]] PreemptGuard {
public:
	[[gnu::always_inline]] PreemptGuard()
	{
		asm volatile("incl %%gs:__preempt_count" : : : "memory", "cc");
	}
	[[gnu::always_inline]] ~PreemptGuard()
	{
		asm volatile("decl %%gs:__preempt_count" : : : "memory", "cc");
	}
	PreemptGuard(const PreemptGuard &) = delete;
	PreemptGuard &operator=(const PreemptGuard &) = delete;
};

#endif /* CORBEL_KERNEL */

} /* namespace corbel::rt */
