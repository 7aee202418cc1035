// SPDX-License-Identifier: GPL-2.0
/*
 * reading.cc - the requests of descriptors to an observer.
 */
#include "../compat/hooks.h"
#include "../rt/context.hh"
#include "delivery.hh"
#include "observer.hh"
#include "stats.hh"

namespace corbel::irq {
namespace {

/* How often to try for a moment without deliveries, a few microseconds in all. */
constexpr unsigned quiet_attempts = 100;

/* Fills both sides; says whether they are of one moment without deliveries. */
void read_both(ObservedVcpu *vcpu, corbel_irq_vcpu *out)
{
	u64 record[CORBEL_IRQ_WORDS];
	u64 truth[CORBEL_IRQ_WORDS];

	out->quiet = 0;
	for (unsigned attempt = 0; !out->quiet && attempt < quiet_attempts; attempt++) {
		bool unsettled = false;

		if (attempt)
			rt::cpu_relax();
		{
			const rt::IrqGuard guard;

			out->quiet = vcpu->pending.compare(vcpu->irr(), record, truth);
			if (out->quiet)
				unsettled = vcpu->pending.compare_done();
		}
		if (unsettled)
			settle(vcpu);
	}
	for (unsigned i = 0; i < CORBEL_IRQ_WORDS; i++) {
		out->record[i] = record[i];
		out->irr[i] = truth[i];
	}
}

void sum_counts(const ObservedVcpu *vcpu, corbel_irq_vcpu *out)
{
	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++) {
		const VectorCounts &it = vcpu->counts[vector];

		for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
			out->accepted[path] += it.accepted[path].load(Order::relaxed);
		out->injected += it.injected.load(Order::relaxed);
		out->extint += it.extint.load(Order::relaxed);
		out->coalesced += vcpu->coalesced(static_cast<u8>(vector));
		out->dropped += vcpu->dropped(static_cast<u8>(vector));
		out->restored += it.restored.load(Order::relaxed);
	}
	out->reinjected = vcpu->reinjected.load(Order::relaxed);
	out->nmi = vcpu->other_modes.load(Order::relaxed);
}

/* @record: the vectors that are pending. */
void add_vector(const ObservedVcpu *vcpu, u8 vector, const u64 *record, Ledger *ledger)
{
	const VectorCounts &it = vcpu->counts[vector];
	/* In this order: what is the PIC's is counted as injected first. */
	const u64 extint = it.extint.load(Order::acquire);

	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		ledger->posted[path] += it.accepted[path].load(Order::relaxed);
	ledger->restored += it.restored.load(Order::relaxed);
	ledger->delivered += it.injected.load(Order::relaxed) - extint;
	ledger->coalesced += vcpu->coalesced(vector);
	ledger->refused += it.refused.load(Order::relaxed);
	ledger->vanished += vcpu->vanished[vector].load(Order::relaxed);
	ledger->pending += record[vector / 64] >> (vector % 64) & 1;
	ledger->extint += extint;
}

} /* namespace */

void Observer::sum_ledger(u32 of_vcpu, u32 of_vector, Ledger *ledger)
{
	const rt::MutexGuard guard(lock_);

	ledger->resyncs = resyncs_.sum();
	for (u32 i = 0; i < count(); i++) {
		ObservedVcpu *vcpu = vcpus_[i];
		u64 record[CORBEL_IRQ_WORDS];

		if (of_vcpu != CORBEL_IRQ_ALL_VCPUS && of_vcpu != i)
			continue;
		if (!ended_ && hooked_)
			follow_posting(vcpu);
		const bool sampled = vcpu->sampled.load(Order::acquire);

		/* KVM's structures are gone once the VM has ended. */
		for (unsigned word = 0; word < CORBEL_IRQ_WORDS; word++)
			record[word] = !sampled ? vcpu->pending.word(word)
				       : ended_ ? vcpu->last_irr[word]
						: vcpu->irr()(word);
		for (u32 vector = 0; vector < CORBEL_IRQ_VECTORS; vector++) {
			if (of_vector == CORBEL_IRQ_ALL_VECTORS || of_vector == vector)
				add_vector(vcpu, static_cast<u8>(vector), record, ledger);
		}
		ledger->vcpus++;
		ledger->sampled_vcpus += sampled;
		ledger->reinjected += vcpu->reinjected.load(Order::relaxed);
		ledger->other_modes += vcpu->other_modes.load(Order::relaxed);
		corbel_reschedule();
	}
}

Result<void> Observer::describe_distributor(corbel_irq_dist_get *out)
{
	/* It cannot be freed before it has left the list, which takes the lock. */
	const rt::MutexGuard guard(lock_);
	const u32 slot = rt::bounded_index(out->slot, CORBEL_DIST_MAX);
	Distributor *distributor = distributors_[slot].load(Order::relaxed);

	if (!distributor)
		return Error::not_found;
	*out = {};
	out->size = sizeof(*out);
	out->slot = slot;
	out->ids = distributor->ids();
	out->vcpus = distributor->vcpus();
	out->doorbells = distributor->doorbells();
	out->counts = sum_of_counts(distributor);
	return {};
}

void Observer::describe(corbel_irq_info *info)
{
	const rt::MutexGuard guard(lock_);

	info->nr_vcpus = count();
	info->nr_lines = (count() + CORBEL_IRQ_LINE_VCPUS - 1) / CORBEL_IRQ_LINE_VCPUS;
	info->hist_buckets = CORBEL_IRQ_HIST_BUCKETS;
	info->tsc_khz = corbel_tsc_khz();
	info->ended = ended_;
	info->checking = is_checking();
	info->vm_id = corbel_vm_id(vm_);
	info->resyncs = resyncs_.sum();
}

Result<void> Observer::read_vcpu(corbel_irq_vcpu *out)
{
	ObservedVcpu *vcpu = CORBEL_TRY(find(out->vcpu));
	const bool wants_resync = out->flags & CORBEL_IRQ_F_RESYNC;
	const rt::MutexGuard guard(lock_);

	*out = {};
	out->size = sizeof(*out);
	out->vcpu = vcpu->index;
	out->vcpu_id = vcpu->id;
	if (ended_) {
		out->residency = CORBEL_RES_USER;
		for (unsigned i = 0; i < CORBEL_IRQ_WORDS; i++) {
			out->record[i] = vcpu->pending.word(i);
			out->irr[i] = vcpu->last_irr[i];
		}
		out->quiet = 1;
	} else {
		if (hooked_)
			follow_posting(vcpu);
		if (wants_resync && !vcpu->sampled.load(Order::acquire))
			resync(vcpu);
		read_both(vcpu, out);
		out->residency = corbel_vcpu_residency(vcpu->vcpu);
	}
	out->pending = vcpu->pending.status();
	out->exactness = CORBEL_IRQ_EXACT;
	if (vcpu->sampled.load(Order::acquire)) {
		u64 any = 0;

		out->exactness = CORBEL_IRQ_SAMPLED;
		for (unsigned i = 0; i < CORBEL_IRQ_WORDS; i++)
			any |= out->record[i] = out->irr[i];
		out->pending = any != 0;
	}
	sum_counts(vcpu, out);
	return {};
}

Result<void> Observer::check(corbel_irq_check *check)
{
	const u32 wanted = check->flags;
	auto *probe = reinterpret_cast<void *>(corbel_irq_entry_probe);
	const rt::MutexGuard guard(lock_);

	if (wanted && ended_)
		return Error::stale;
	if (wanted & CORBEL_IRQ_CHECK_ON && !is_checking()) {
		if (!hooked_ || corbel_hook_install(CORBEL_HOOK_ENTRY, probe))
			return Error::not_supported;
		checking_.store(true, Order::release);
	} else if (wanted & CORBEL_IRQ_CHECK_OFF && is_checking()) {
		checking_.store(false, Order::release);
		corbel_hook_remove(CORBEL_HOOK_ENTRY, probe);
	}
	*check = {};
	check->size = sizeof(*check);
	for (u32 i = 0; i < count(); i++) {
		const CheckCounts &of = vcpus_[i]->checks;

		check->entries += of.entries.load(Order::relaxed);
		check->nonempty += of.nonempty.load(Order::relaxed);
		check->missing += of.missing.load(Order::relaxed);
		check->extra += of.extra.load(Order::relaxed);
		check->status_wrong += of.status_wrong.load(Order::relaxed);
	}
	return {};
}

/* lock_ held, or nobody else can reach the observer. */
void Observer::update_wanted_events()
{
	u32 wanted = booster_.is_on() ? wants_boost : 0;

	for (const RingSlot &it : rings_) {
		if (it.ring.load(Order::relaxed))
			wanted |= it.events;
	}
	for (u32 i = 0; i < count(); i++)
		vcpus_[i]->wanted_events.store(wanted, Order::release);
}

Result<void> Observer::add_ring(corbel_ring *ring, u32 events)
{
	const rt::MutexGuard guard(lock_);

	if (ended_)
		return Error::stale;
	for (RingSlot &it : rings_) {
		if (it.ring.load(Order::relaxed))
			continue;
		it.events = events;
		it.ring.store(ring, Order::release);
		update_wanted_events();
		return {};
	}
	return Error::busy;
}

void Observer::remove_ring(corbel_ring *ring)
{
	{
		const rt::MutexGuard guard(lock_);

		for (RingSlot &it : rings_) {
			if (it.ring.load(Order::relaxed) == ring)
				it.ring.store(nullptr, Order::release);
		}
		update_wanted_events();
	}
	corbel_rcu_synchronize();
}

int Observer::map_status(corbel_area *area)
{
	if (corbel_area_offset(area) || corbel_area_length(area) != 4096 ||
	    !corbel_area_shared(area) || corbel_area_writable(area))
		return rt::to_errno(Error::invalid);
	corbel_area_make_readonly(area);
	return corbel_area_map(area, status_.get(), 0);
}

} /* namespace corbel::irq */
