// SPDX-License-Identifier: GPL-2.0
#include "observer.hh"

#include "../compat/hooks.h"
#include "../rt/context.hh"
#include "delivery.hh"
#include "table.hh"

namespace corbel::irq {
namespace {

struct All {
	rt::List<Observer, &Observer::hook> list;
	u32 hook_users;
};
constinit rt::Guarded<All> all{};

void *as_handler(void (*function)(void))
{
	return reinterpret_cast<void *>(function);
}

struct Hook {
	corbel_hook id;
	void (*handler)(void);
	bool needed; /* without it nothing is exact */
};

const Hook hooks[] = {
	{CORBEL_HOOK_LAPIC_STATE, corbel_irq_state_hook, false},
	{CORBEL_HOOK_LAPIC_RESET, corbel_irq_reset_hook, false},
	{CORBEL_HOOK_ACCEPT, corbel_irq_accept_hook, true},
};

void *inject_probe()
{
	return reinterpret_cast<void *>(corbel_irq_inject_probe);
}

void remove_hooks()
{
	corbel_hook_remove(CORBEL_HOOK_INJECT, inject_probe());
	for (const Hook &it : hooks)
		corbel_hook_remove(it.id, as_handler(it.handler));
}

/* Whether records can be exact. */
bool install_hooks()
{
	bool ready = true;

	for (const Hook &it : hooks) {
		if (corbel_hook_install(it.id, as_handler(it.handler)) && it.needed)
			ready = false;
	}
	if (corbel_hook_install(CORBEL_HOOK_INJECT, inject_probe()))
		ready = false;
	if (!ready)
		remove_hooks();
	return ready;
}

/* Publishes a table of all hooked observers' vCPUs; @observers is locked. */
Result<void> publish(All &observers)
{
	u32 count = 0;

	for (Observer &it : observers.list)
		count += it.is_hooked() ? it.count() : 0;
	VcpuTable *table = CORBEL_TRY(VcpuTable::make(count));

	for (Observer &it : observers.list) {
		for (u32 i = 0; it.is_hooked() && i < it.count(); i++)
			table->insert(it.at(i));
	}
	VcpuTable *old = corbel_irq_current_table.exchange(table, Order::acq_rel);

	corbel_rcu_synchronize();
	VcpuTable::destroy(old);
	return {};
}

const u8 *at_offset(const kvm_lapic *lapic, corbel_hook offset)
{
	return reinterpret_cast<const u8 *>(lapic) + corbel_hook_value(offset);
}

bool offsets_known()
{
	return corbel_hook_usable(CORBEL_HOOK_OFF_LAPIC_VCPU) &&
	       corbel_hook_usable(CORBEL_HOOK_OFF_LAPIC_REGS) &&
	       corbel_hook_usable(CORBEL_HOOK_OFF_LAPIC_APICV);
}

/* Do the offsets lead where they should on this very vCPU? */
bool offsets_hold(const ObservedVcpu &vcpu)
{
	constexpr size_t version_register = 0x30;
	constexpr u8 integrated_apic = 0x14;
	const auto *back = *reinterpret_cast<kvm_vcpu *const *>(
		at_offset(vcpu.lapic, CORBEL_HOOK_OFF_LAPIC_VCPU));

	if (back != vcpu.vcpu || !vcpu.registers ||
	    reinterpret_cast<u64>(vcpu.registers) % 4096 != 0)
		return false;
	return vcpu.registers[version_register] == integrated_apic;
}

} /* namespace */

Result<void> Observer::init_all()
{
	CORBEL_TRY(all.init(rt::Role::observers));
	set_delivery_constants({
		.running = corbel_running_vcpus(),
		.local_deliver = corbel_hook_value(CORBEL_HOOK_LOCAL_DELIVER),
		.local_deliver_bytes = corbel_hook_length(CORBEL_HOOK_LOCAL_DELIVER),
	});
	return {};
}

void Observer::exit_all()
{
	VcpuTable::destroy(corbel_irq_current_table.exchange(nullptr, Order::acq_rel));
	all.destroy();
}

Result<Observer *> Observer::make(corbel_vm *vm, kvm *kvm)
{
	if (!corbel_kvm_has_lapic(kvm))
		return Error::no_device;
	if (!offsets_known())
		return Error::not_supported;
	rt::Box<Observer> observer = CORBEL_TRY(rt::Box<Observer>::make(rt::Context::task));
	const Result<void> ready = observer->init(vm, kvm);

	if (!ready) {
		destroy(observer.release());
		return ready.error();
	}
	return observer.release();
}

Result<void> Observer::init(corbel_vm *vm, kvm *kvm)
{
	static_assert(CORBEL_MAX_VCPUS / CORBEL_IRQ_LINE_VCPUS * sizeof(corbel_irq_line) <= 4096);

	vm_ = vm;
	kvm_ = kvm;
	CORBEL_TRY(lock_.init(rt::Role::observer));
	CORBEL_TRY(resyncs_.init());
	CORBEL_TRY(policy_.init());
	status_ = CORBEL_TRY(rt::Pages::make(4096, rt::Pages::Use::mapped));
	vcpu_pointers_ = CORBEL_TRY(
		rt::Pages::make(CORBEL_MAX_VCPUS * sizeof(ObservedVcpu *), rt::Pages::Use::kernel));
	vcpus_ = vcpu_pointers_.as<ObservedVcpu *>();

	const u32 there = corbel_kvm_vcpus(kvm);
	{
		auto observers = all.lock();

		/* Before the hooks: they look into it. */
		if (!current_table())
			CORBEL_TRY(publish(*observers));
		hooked_ = observers->hook_users || install_hooks();
		if (hooked_)
			observers->hook_users++;
		observers->list.push_back(*this);
	}
	add_vcpus();
	if (count() < there) {
		ended();
		return Error::no_memory;
	}
	return {};
}

Result<ObservedVcpu *> Observer::make_vcpu(u32 index)
{
	kvm_vcpu *of = corbel_kvm_vcpu(kvm_, index);
	kvm_lapic *lapic = of ? corbel_vcpu_lapic(of) : nullptr;

	if (!lapic)
		return Error::no_device;
	auto *vcpu = static_cast<ObservedVcpu *>(corbel_alloc_pages(sizeof(ObservedVcpu)));

	if (!vcpu)
		return Error::no_memory;
	vcpu->vcpu = of;
	vcpu->vm = kvm_;
	vcpu->lapic = lapic;
	vcpu->registers =
		*reinterpret_cast<u8 *const *>(at_offset(lapic, CORBEL_HOOK_OFF_LAPIC_REGS));
	vcpu->apicv_active =
		reinterpret_cast<const bool *>(at_offset(lapic, CORBEL_HOOK_OFF_LAPIC_APICV));
	vcpu->index = index;
	vcpu->id = corbel_vcpu_id(of);
	vcpu->observer = this;
	/* A status line's words and Atomic<u64> are the same 8 bytes. */
	vcpu->pending.init(reinterpret_cast<rt::Atomic<u64> *>(&line(index)->pending), index % 64);
	if (!offsets_hold(*vcpu)) {
		corbel_log_warn("the offsets of struct kvm_lapic do not hold on a live vCPU: "
				"this VM's interrupts cannot be observed");
		corbel_free_pages(vcpu);
		return Error::not_supported;
	}
	return vcpu;
}

void Observer::add_vcpus()
{
	const u32 from = count();
	const u32 there = corbel_kvm_vcpus(kvm_);
	u32 to = from;

	for (; to < there && to < CORBEL_MAX_VCPUS; to++) {
		const Result<ObservedVcpu *> made = make_vcpu(to);

		if (!made)
			break;
		vcpus_[to] = made.value(); /* checked above */
	}
	if (to > from)
		go_live(from, to);
}

void Observer::go_live(u32 from, u32 to)
{
	count_.store(to, Order::release);
	if (hooked_) {
		auto observers = all.lock();

		if (!publish(*observers)) {
			/* Not in the table: nothing refers to them yet. */
			count_.store(from, Order::release);
			for (u32 i = from; i < to; i++) {
				corbel_free_pages(vcpus_[i]);
				vcpus_[i] = nullptr;
			}
			return;
		}
		corbel_rcu_synchronize_tasks();
	}
	/* Without memory for it: is never boosted. */
	for (u32 i = from; booster_.is_on() && i < to; i++)
		(void)booster_.add(vcpus_[i]);
	update_wanted_events();
	for (u32 i = from; i < to; i++) {
		ObservedVcpu *vcpu = vcpus_[i];
		const bool sampled = !hooked_ || vcpu->hardware_posts();

		vcpu->sampled.store(sampled, Order::relaxed);
		set_sampled(vcpu, sampled);
		if (!sampled)
			begin(vcpu);
		rt::set_bit(reinterpret_cast<u64 *>(&line(i)->present), i % 64);
		for (rt::Atomic<Distributor *> &it : distributors_) {
			if (Distributor *distributor = it.load(Order::relaxed))
				distributor->seat(vcpu);
		}
		const rt::PreemptGuard guard;

		emit({.seq = 0,
		      .tsc = rt::read_tsc(),
		      .vcpu = i,
		      .type = CORBEL_EVENT_VCPU,
		      .vector = 0,
		      .path = 0,
		      .flags = 0,
		      .arg = vcpu->id});
	}
}

void Observer::vcpus_changed()
{
	const rt::MutexGuard guard(lock_);

	if (!ended_)
		add_vcpus();
}

void Observer::ended()
{
	bool last = false;
	bool was_checking;

	{
		const rt::MutexGuard guard(lock_);

		if (ended_)
			return;
		ended_ = true;
		was_checking = checking_.exchange(false, Order::acq_rel);
		(void)hook_policy(false);
		for (rt::Atomic<Distributor *> &it : distributors_) {
			if (Distributor *distributor = it.load(Order::relaxed)) {
				distributor->ended();
				corbel_hook_remove(CORBEL_HOOK_VCPU_LOAD,
						   as_handler(corbel_irq_load_hook));
			}
		}
	}
	{
		auto observers = all.lock();

		observers->list.remove(*this);
		if (hooked_) {
			for (u32 i = 0; i < count(); i++)
				current_table()->remove(vcpus_[i]);
			last = --observers->hook_users == 0;
		}
		if (was_checking)
			corbel_hook_remove(CORBEL_HOOK_ENTRY,
					   reinterpret_cast<void *>(corbel_irq_entry_probe));
		if (last)
			remove_hooks();
	}
	/* Nobody finds a vCPU of ours any more after this ... */
	corbel_rcu_synchronize();
	for (u32 i = 0; i < count(); i++) {
		ObservedVcpu *vcpu = vcpus_[i];

		/* ... and those that did are short, but they may be preempted. */
		while (vcpu->pending.in_use() || vcpu->returning.load(Order::acquire))
			corbel_rcu_synchronize();
		for (unsigned word = 0; word < CORBEL_IRQ_WORDS; word++)
			vcpu->last_irr[word] = vcpu->irr()(word);
	}
	booster_.stop(vcpus_, count());
	/* After the trampolines' last instructions, for those waited out above. */
	if (last)
		corbel_rcu_synchronize_tasks();
	for (RingSlot &it : rings_) {
		if (corbel_ring *ring = it.ring.load(Order::acquire))
			corbel_ring_end(ring);
	}
}

/* lock_ held. */
Result<void> Observer::hook_policy(bool on)
{
	void *hook = as_handler(corbel_irq_choose_hook);

	if (on == policy_hooked_)
		return {};
	auto observers = all.lock();

	if (!on) {
		corbel_hook_remove(CORBEL_HOOK_CHOOSE, hook);
		withdraw_policy(kvm_);
		policy_hooked_ = false;
		return {};
	}
	CORBEL_TRY(publish_policy(kvm_, &policy_));
	if (const int error = corbel_hook_install(CORBEL_HOOK_CHOOSE, hook)) {
		withdraw_policy(kvm_);
		return error == rt::to_errno(Error::not_found) ? Error::not_supported
							       : rt::from_errno(error);
	}
	policy_hooked_ = true;
	return {};
}

Result<void> Observer::policy(corbel_irq_policy *policy)
{
	const rt::MutexGuard guard(lock_);

	if (policy->flags & CORBEL_IRQ_F_SET) {
		if (ended_)
			return Error::stale;
		corbel_irq_policy before{};

		policy_.get(&before);
		policy_.set(*policy);
		const Result<void> hooked = hook_policy(policy_.is_any_on());

		if (!hooked) {
			policy_.set(before);
			return hooked.error();
		}
	}
	*policy = {};
	policy->size = sizeof(*policy);
	policy_.get(policy);
	return {};
}

Result<void> Observer::boost(corbel_irq_boost *boost)
{
	const rt::MutexGuard guard(lock_);

	if (boost->flags & CORBEL_IRQ_F_SET) {
		if (ended_)
			return Error::stale;
		if (!hooked_)
			return Error::not_supported;
		if (boost->sources) {
			CORBEL_TRY(booster_.start());
			for (u32 i = 0; i < count(); i++)
				CORBEL_TRY(booster_.add(vcpus_[i]));
		}
		booster_.set(*boost, vcpus_, count());
		update_wanted_events();
	}
	*boost = {};
	boost->size = sizeof(*boost);
	booster_.get(boost);
	return {};
}

void Observer::destroy(Observer *observer)
{
	for (u32 i = 0; i < observer->count(); i++)
		corbel_free_pages(observer->vcpus_[i]);
	observer->lock_.destroy();
	(void)rt::Box<Observer>::adopt(observer);
}

void Observer::emit(const corbel_event &event)
{
	for (RingSlot &it : rings_) {
		corbel_ring *ring = it.ring.load(Order::acquire);

		if (ring && it.events & 1U << event.type)
			corbel_ring_produce(ring, &event);
	}
}

void Observer::set_sampled(const ObservedVcpu *vcpu, bool sampled)
{
	auto *word = reinterpret_cast<u64 *>(&line(vcpu->index)->sampled);

	if (sampled)
		rt::set_bit(word, vcpu->index % 64);
	else
		rt::clear_bit(word, vcpu->index % 64);
}

Result<void> Observer::add_distributor(Distributor *distributor)
{
	const rt::MutexGuard guard(lock_);

	if (ended_)
		return Error::stale;
	if (!hooked_)
		return Error::not_supported;
	for (rt::Atomic<Distributor *> &it : distributors_) {
		if (it.load(Order::relaxed))
			continue;
		const int error = corbel_hook_install(CORBEL_HOOK_VCPU_LOAD,
						      as_handler(corbel_irq_load_hook));

		if (error)
			return error == rt::to_errno(Error::not_found) ? Error::not_supported
								       : rt::from_errno(error);
		it.store(distributor, Order::release);
		for (u32 i = 0; i < count(); i++)
			distributor->seat(vcpus_[i]);
		return {};
	}
	return Error::busy;
}

void Observer::remove_distributor(Distributor *distributor)
{
	{
		const rt::MutexGuard guard(lock_);

		for (rt::Atomic<Distributor *> &it : distributors_) {
			if (it.load(Order::relaxed) != distributor)
				continue;
			it.store(nullptr, Order::release);
			if (!ended_)
				corbel_hook_remove(CORBEL_HOOK_VCPU_LOAD,
						   as_handler(corbel_irq_load_hook));
		}
	}
	corbel_rcu_synchronize();
}

void Observer::becoming_present(u32 index)
{
	/* Pairs with the locked instruction that sets a status bit. */
	rt::fence(Order::seq_cst);
	for (const rt::Atomic<Distributor *> &it : distributors_) {
		if (Distributor *distributor = it.load(Order::acquire))
			distributor->becoming_present(index);
	}
}

Result<ObservedVcpu *> Observer::find(u32 index) const
{
	/* Bounded by what user space gave; the mask keeps speculation inside too. */
	if (index >= count())
		return Error::not_found;
	return vcpus_[index & (CORBEL_MAX_VCPUS - 1)];
}

} /* namespace corbel::irq */
