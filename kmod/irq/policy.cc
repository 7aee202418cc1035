// SPDX-License-Identifier: GPL-2.0
#include "policy.hh"

#include "../rt/context.hh"
#include "../rt/memory.hh"
#include "choice.hh"
#include "compat/generated_offsets.h"
#include "observer.hh"

namespace corbel::irq {
namespace {

using rt::Order;

/* asm/apicdef.h */
constexpr u16 mode_fixed = 0, mode_lowest_priority = 0x100;

/* Some turns of the scheduler's. */
constexpr u32 contention_ms = 100;

template <typename T>
[[gnu::always_inline]] inline T member(const kvm_lapic_irq *request, size_t offset)
{
	return *reinterpret_cast<const T *>(reinterpret_cast<const u8 *>(request) + offset);
}

/* May one of several take it? */
[[gnu::always_inline]] inline bool leaves_choice(const kvm_lapic_irq *request)
{
	const u16 mode = member<u16>(request, CORBEL_OFF_IRQ_DELIVERY_MODE);

	/* An NMI can have the hint, too. */
	return (mode == mode_lowest_priority ||
		(mode == mode_fixed && member<bool>(request, CORBEL_OFF_IRQ_REDIR_HINT))) &&
	       !member<u32>(request, CORBEL_OFF_IRQ_SHORTHAND) &&
	       member<bool>(request, CORBEL_OFF_IRQ_LEVEL);
}

/*
 * Has another task taken its CPU within the last tenth of a second? Counted by the
 * scheduler; what it was is remembered from one choice to the next. Two choices at the
 * same moment may both see the change, or one of them late: a hint.
 */
bool is_contended(ObservedVcpu *vcpu)
{
	const u64 count = corbel_vcpu_preemptions(vcpu->vcpu);
	const u64 now = rt::read_tsc();

	if (vcpu->preemptions.exchange(count, Order::relaxed) != count)
		vcpu->preempted_at.store(now, Order::relaxed);
	return now - vcpu->preempted_at.load(Order::relaxed) <
	       u64{corbel_tsc_khz()} * contention_ms;
}

/* ---- the table ------------------------------------------------------------------- */

struct Entry {
	const kvm *vm;
	Policy *policy;
};

/* Open addressing, at most half full; never changed once it is published. */
struct Table {
	u32 mask;
	u32 used;
	Entry entries[];
};
constinit rt::Atomic<Table *> current_policies{};

/* A struct kvm is vmalloc'ed: whole pages. */
u64 hash(const kvm *vm)
{
	return reinterpret_cast<u64>(vm) >> 12;
}

Policy *find(const kvm *vm)
{
	const Table *table = current_policies.load(Order::acquire);

	if (!table)
		return nullptr;
	for (u64 i = hash(vm); table->entries[i & table->mask].vm; i++) {
		if (table->entries[i & table->mask].vm == vm)
			return table->entries[i & table->mask].policy;
	}
	return nullptr;
}

void insert(Table *table, const Entry &entry)
{
	u64 i = hash(entry.vm);

	while (table->entries[i & table->mask].vm)
		i++;
	table->entries[i & table->mask] = entry;
	table->used++;
}

/* All entries but @without's, with room for one more. */
rt::Result<Table *> copy_table(const Table *old, const kvm *without)
{
	u32 slots = 4;

	while (old && slots < 2 * (old->used + 1))
		slots *= 2;
	auto *table =
		static_cast<Table *>(corbel_alloc_pages(sizeof(Table) + slots * sizeof(Entry)));

	if (!table)
		return rt::Error::no_memory;
	table->mask = slots - 1;
	for (u32 i = 0; old && i <= old->mask; i++) {
		if (old->entries[i].vm && old->entries[i].vm != without)
			insert(table, old->entries[i]);
	}
	return table;
}

void replace_table(Table *table)
{
	Table *old = current_policies.exchange(table, Order::acq_rel);

	corbel_rcu_synchronize();
	corbel_free_pages(old);
}

} /* namespace */

rt::Result<void> publish_policy(const kvm *vm, Policy *policy)
{
	Table *table = CORBEL_TRY(copy_table(current_policies.load(Order::relaxed), vm));

	insert(table, {vm, policy});
	replace_table(table);
	return {};
}

void withdraw_policy(const kvm *vm)
{
	Table *table = current_policies.load(Order::relaxed);
	u32 others = 0;

	for (u32 i = 0; table && i <= table->mask; i++) {
		Entry &entry = table->entries[i];

		if (entry.vm == vm)
			rt::atomic_store(&entry.policy, nullptr, Order::release);
		others += entry.vm && entry.policy;
	}
	/* Without memory for a smaller table: the slot stays, empty. */
	if (others)
		corbel_rcu_synchronize();
	else
		replace_table(nullptr);
}

/* ---- the policy of a VM ------------------------------------------------------------ */

rt::Result<void> Policy::init()
{
	CORBEL_TRY(offered_.init());
	CORBEL_TRY(avoidable_.init());
	for (rt::PerCpuCounter &it : chosen_)
		CORBEL_TRY(it.init());
	return {};
}

void Policy::set(const corbel_irq_policy &wanted)
{
	of_vm_.store(wanted.policy, Order::relaxed);
	for (u32 i = 0; i < CORBEL_IRQ_VECTORS; i++)
		of_vector_[i].store(wanted.vectors[i], Order::relaxed);
}

void Policy::get(corbel_irq_policy *out) const
{
	out->policy = of_vm_.load(Order::relaxed);
	for (u32 i = 0; i < CORBEL_IRQ_VECTORS; i++)
		out->vectors[i] = of_vector_[i].load(Order::relaxed);
	out->offered = offered_.sum();
	out->avoidable = avoidable_.sum();
	for (u32 i = 0; i < CORBEL_RES_COUNT; i++)
		out->chosen[i] = chosen_[i].sum();
}

bool Policy::is_any_on() const
{
	if (of_vm_.load(Order::relaxed) != CORBEL_IRQ_POLICY_OFF)
		return true;
	for (const rt::Atomic<u8> &it : of_vector_) {
		if (it.load(Order::relaxed) > CORBEL_IRQ_POLICY_OFF)
			return true;
	}
	return false;
}

u32 Policy::of(u32 vector) const
{
	const u32 own = of_vector_[vector % CORBEL_IRQ_VECTORS].load(Order::relaxed);

	return own == CORBEL_IRQ_POLICY_INHERIT ? of_vm_.load(Order::relaxed) : own;
}

void Policy::choose(kvm_lapic_irq *request)
{
	const u32 vector = member<u32>(request, CORBEL_OFF_IRQ_VECTOR);
	const u32 policy = of(vector);
	const u32 count = observer_->count();
	bool resident = false;
	u32 apic_id = 0;

	if (policy == CORBEL_IRQ_POLICY_OFF || !count)
		return;
	Best best(policy);

	/* As KVM does, from another one for each vector: of equals not always the same. */
	for (u32 i = 0; i < count; i++) {
		ObservedVcpu *vcpu = observer_->at((vector + i) % count);
		u32 id;

		if (!corbel_vcpu_takes(vcpu->vcpu, vcpu->registers, request, &id))
			continue;
		const u32 before = best.count() ? best.get().index : count;
		const Candidate one{.index = vcpu->index,
				    .residency = corbel_vcpu_residency(vcpu->vcpu),
				    .contended = is_contended(vcpu),
				    .pending = vcpu->pending_vectors()};

		resident |= one.residency == CORBEL_RES_RESIDENT;
		best.consider(one);
		if (best.get().index != before)
			apic_id = id;
	}
	if (!best.count())
		return;
	/* Of one as well: KVM may look at those with a disabled local APIC too. */
	corbel_lapic_irq_send_to(request, apic_id);
	if (best.count() < 2)
		return;
	const Candidate &chosen = best.get();

	offered_.add(1);
	if (chosen.residency - 1 < CORBEL_RES_COUNT)
		chosen_[chosen.residency - 1].add(1);
	if (resident && Best::distance(chosen) >= Best::preempted)
		avoidable_.add(1);
}

} /* namespace corbel::irq */

using namespace corbel;
using namespace corbel::irq;

/* Called by hooks.S before kvm_irq_delivery_to_apic_fast(); any context but NMI. */
extern "C" void corbel_irq_choose(const kvm *vm, const kvm_lapic *source, kvm_lapic_irq *request)
{
	if (source || !leaves_choice(request)) [[likely]]
		return;
	const rt::PreemptGuard guard;

	if (Policy *policy = find(vm))
		policy->choose(request);
}
