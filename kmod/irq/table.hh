/* SPDX-License-Identifier: GPL-2.0 */
/*
 * table.hh - from a local APIC to its observed vCPU, for any CPU at any moment.
 *
 * The hooks fire for every VM of the host, so the miss must be as cheap as the
 * hit: a shift, a mask and, at a load of at most a half, seldom more than one
 * probe. The delivery hook does the lookup itself, in assembly, before it saves
 * a register. Adding means publishing another table and freeing the old one after
 * a grace period; removing leaves the slot without a vCPU, so that it needs no
 * memory.
 */
#pragma once

#include "../rt/atomic.hh"
#include "../rt/result.hh"
#include "layout.h"
#include "vcpu.hh"

namespace corbel::irq {

class VcpuTable {
public:
	struct Slot {
		const kvm_lapic *lapic;
		ObservedVcpu *vcpu;
	};

	/* Room for @vcpus. Task. */
	static rt::Result<VcpuTable *> make(u32 vcpus);
	/* Nobody looks anything up in it any more. Task. nullptr is fine. */
	static void destroy(VcpuTable *table);

	/* Before it is published. There is room. */
	void insert(ObservedVcpu *vcpu);

	/* While it is in force. Lookups that run now may still find @vcpu. */
	void remove(const ObservedVcpu *vcpu);

	/* nullptr: not observed. Preemption off. */
	[[gnu::always_inline]] ObservedVcpu *find(const kvm_lapic *lapic) const
	{
		for (u64 i = hash(lapic);; i++) {
			const Slot &slot = slots_[static_cast<u32>(i) & mask_];

			if (slot.lapic == lapic)
				return rt::atomic_load(&slot.vcpu, Order::acquire);
			if (!slot.lapic) [[likely]]
				return nullptr;
		}
	}

private:
	/* The slab has aligned them to their size; the bits above differ. */
	[[gnu::always_inline]] static u64 hash(const kvm_lapic *lapic)
	{
		return reinterpret_cast<u64>(lapic) >> CORBEL_TABLE_SHIFT;
	}
	static void check_layout();

	u32 mask_;
	Slot slots_[];
};

/* The one in force; never nullptr while a hook is installed. */
extern "C" constinit rt::Atomic<VcpuTable *> corbel_irq_current_table;

[[gnu::always_inline]] inline VcpuTable *current_table()
{
	return corbel_irq_current_table.load(Order::acquire);
}

} /* namespace corbel::irq */
