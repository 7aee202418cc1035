// SPDX-License-Identifier: GPL-2.0
#include "table.hh"

namespace corbel::irq {

extern "C" constinit rt::Atomic<VcpuTable *> corbel_irq_current_table{};

/* What hooks.S relies on. */
void VcpuTable::check_layout()
{
	static_assert(offsetof(VcpuTable, mask_) == 0);
	static_assert(offsetof(VcpuTable, slots_) == CORBEL_TABLE_SLOTS);
	static_assert(sizeof(Slot) == 1U << CORBEL_TABLE_SLOT_SHIFT);
	static_assert(offsetof(Slot, lapic) == 0 && offsetof(Slot, vcpu) == 8);
}

rt::Result<VcpuTable *> VcpuTable::make(u32 vcpus)
{
	u32 bits = 3;

	while ((u32{1} << bits) < 2 * vcpus)
		bits++;
	const size_t slots = size_t{1} << bits;
	void *memory = corbel_alloc_pages(sizeof(VcpuTable) + slots * sizeof(Slot));

	if (!memory)
		return rt::Error::no_memory;
	auto *table = static_cast<VcpuTable *>(memory);

	table->mask_ = static_cast<u32>(slots - 1);
	return table;
}

void VcpuTable::destroy(VcpuTable *table)
{
	corbel_free_pages(table);
}

void VcpuTable::insert(ObservedVcpu *vcpu)
{
	u64 i = hash(vcpu->lapic);

	while (slots_[i & mask_].lapic)
		i++;
	slots_[i & mask_] = {vcpu->lapic, vcpu};
}

void VcpuTable::remove(const ObservedVcpu *vcpu)
{
	for (u64 i = hash(vcpu->lapic); slots_[i & mask_].lapic; i++) {
		if (slots_[i & mask_].vcpu == vcpu)
			rt::atomic_store(&slots_[i & mask_].vcpu, nullptr, Order::release);
	}
}

} /* namespace corbel::irq */
