// SPDX-License-Identifier: GPL-2.0
#include "table.hh"

namespace corbel::irq {

constinit rt::Atomic<VcpuTable *> current_table{};

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

	table->shift_ = 64 - bits;
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
