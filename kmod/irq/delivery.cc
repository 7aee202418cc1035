// SPDX-License-Identifier: GPL-2.0
/*
 * delivery.cc - from the hooks to the record, the counts and the rings.
 *
 * DOC: the balance of one vector
 *
 * A delivery is fresh if it starts a pending interrupt and coalesced if the
 * vector was pending already. KVM does not tell which (it sets the IRR bit
 * blindly), so `since` decides, the time stamp of the vector's pending interrupt:
 * zero says that there is none, and a fresh delivery sets it. An injection that cannot decide whether the vector is pending again zeroes
 * `since` and marks the bit unsure; whoever finds the vector in the IRR with
 * `since` zero knows that one delivery was taken for coalesced and was not.
 * Therefore, when nothing is under way,
 *
 *	accepted + restored = injected - extint + coalesced + dropped + pending.
 */
#include "delivery.hh"

#include <corbel/latency_buckets.hh>

#include "../rt/context.hh"
#include "compat/generated_offsets.h"
#include "observer.hh"
#include "table.hh"

namespace corbel::irq {
namespace {

constinit DeliveryConstants constants{};

/* APIC delivery modes, as in asm/apicdef.h. */
constexpr int mode_fixed = 0;
constexpr int mode_lowest = 0x100;
constexpr int mode_extint = 0x700;

/* softirq, hardirq and NMI counts of asm/preempt.h. */
constexpr u32 interrupt_counts = 0x00ffff00;

[[gnu::always_inline]] inline u32 preempt_count()
{
	u32 count;

	asm volatile("movl %%gs:__preempt_count, %0" : "=r"(count));
	return count;
}

/*
 * The hook of deliveries saves no registers for us: this file's functions that
 * it leads to preserve what they touch, so that rare paths cost the usual one
 * nothing.
 */
#define CORBEL_COLD [[clang::preserve_most, gnu::noinline, gnu::cold]]

CORBEL_COLD kvm_vcpu *ask_running_vcpu()
{
	return kvm_get_running_vcpu();
}

/* The vCPU loaded on this CPU, or nullptr. Preemption off. */
[[gnu::always_inline]] inline kvm_vcpu *running_vcpu()
{
	kvm_vcpu *vcpu;

	if (!constants.running) [[unlikely]]
		return ask_running_vcpu();
	asm volatile("movq %%gs:(%1), %0" : "=r"(vcpu) : "r"(constants.running));
	return vcpu;
}

template <typename T>
[[gnu::always_inline]] inline T *member(const kvm_vcpu *vcpu, size_t offset)
{
	return *reinterpret_cast<T *const *>(reinterpret_cast<const u8 *>(vcpu) + offset);
}

[[gnu::always_inline]] inline u8 path_of(const ObservedVcpu *vcpu, u64 caller)
{
	if (caller - constants.local_deliver < constants.local_deliver_bytes)
		return CORBEL_IRQ_PATH_LOCAL;
	/*
	 * A vCPU sends IPIs from its own thread inside KVM_RUN. An interrupt of the
	 * host that came over such a thread, and a vCPU of another VM whose doorbell
	 * is our irqfd, are devices.
	 */
	if (preempt_count() & interrupt_counts)
		return CORBEL_IRQ_PATH_DEVICE;
	const kvm_vcpu *sender = running_vcpu();

	return sender && member<kvm>(sender, CORBEL_OFF_VCPU_KVM) == vcpu->vm
		       ? CORBEL_IRQ_PATH_IPI
		       : CORBEL_IRQ_PATH_DEVICE;
}

/* What accept_enter() remembers for accept_exit(), in the place of a pointer. */
class Token {
public:
	[[gnu::always_inline]] Token(ObservedVcpu *vcpu, u8 vector, bool coalesced)
		: value_(reinterpret_cast<u64>(vcpu) | vector | (coalesced ? coalesced_bit : 0))
	{}
	[[gnu::always_inline]] explicit Token(u64 value) : value_(value) {}

	[[gnu::always_inline]] u64 value() const { return value_; }
	[[gnu::always_inline]] ObservedVcpu *vcpu() const
	{
		return reinterpret_cast<ObservedVcpu *>(value_ & ~low_bits);
	}
	[[gnu::always_inline]] u8 vector() const { return static_cast<u8>(value_); }
	[[gnu::always_inline]] bool coalesced() const { return value_ & coalesced_bit; }

private:
	static constexpr u64 low_bits = CORBEL_TOKEN_LOW_BITS;
	static constexpr u64 coalesced_bit = CORBEL_TOKEN_COALESCED;
	u64 value_;
};

/* Written by one thread only, so a locked instruction would be wasted. */
[[gnu::always_inline]] inline void add(rt::Atomic<u64> &count, u64 more)
{
	count.store(count.load(Order::relaxed) + more, Order::relaxed);
}

CORBEL_COLD void emit(ObservedVcpu *vcpu, u8 type, u8 vector, u8 path, u64 arg)
{
	corbel_event event{};

	event.tsc = rt::read_tsc();
	event.vcpu = vcpu->index;
	event.type = type;
	event.vector = vector;
	event.path = path;
	event.arg = arg;
	vcpu->observer->emit(event);
}

[[gnu::always_inline]] inline bool wants(const ObservedVcpu *vcpu, u8 type)
{
	return vcpu->wanted_events.load(Order::relaxed) & 1U << type;
}

struct Reporter {
	ObservedVcpu *vcpu;
	bool loaded; /* the IRR was changed by other means */

	void operator()(unsigned vector, Change change) const
	{
		VectorCounts &counts = vcpu->counts[vector];
		rt::Atomic<u64> &since = vcpu->since[vector];

		switch (change) {
		case Change::appeared:
			counts.restored.fetch_add(1, Order::relaxed);
			since.store(rt::read_tsc(), Order::relaxed);
			break;
		case Change::gone:
			if (!loaded)
				break;
			counts.dropped.fetch_add(1, Order::relaxed);
			since.store(0, Order::relaxed);
			break;
		case Change::confirmed:
			if (since.load(Order::relaxed))
				break;
			counts.coalesced.fetch_sub(1, Order::relaxed);
			since.store(rt::read_tsc(), Order::relaxed);
			break;
		}
	}
};

[[gnu::noinline]] void refuse(ObservedVcpu *vcpu, Token token)
{
	const u8 vector = token.vector();

	vcpu->counts[vector].dropped.fetch_add(1, Order::relaxed);
	if (!token.coalesced()) {
		vcpu->since[vector].store(0, Order::relaxed);
		vcpu->pending.mark_unsure(vector);
	}
	if (wants(vcpu, CORBEL_EVENT_DROP)) {
		const rt::PreemptGuard guard;

		emit(vcpu, CORBEL_EVENT_DROP, vector, CORBEL_IRQ_PATH_DEVICE, 0);
	}
	if (vcpu->pending.accept_exit())
		settle(vcpu);
}

/* The vector's injection met a delivery under way. Interrupts off. */
CORBEL_COLD void leave_unsure(ObservedVcpu *vcpu, u8 vector)
{
	vcpu->since[vector].store(0, Order::relaxed);
	vcpu->pending.mark_unsure(vector);
	settle(vcpu);
}

/*
 * An injection of a vector that no delivery is known for: one that was taken for
 * coalesced while the gate was busy, or the PIC's, which never was in the IRR.
 */
CORBEL_COLD void inject_unknown(ObservedVcpu *vcpu, u8 vector)
{
	add(vcpu->counts[vector].injected, 1);
	if (vcpu->pending.take_unsure(vector))
		vcpu->counts[vector].coalesced.fetch_sub(1, Order::relaxed);
	else
		add(vcpu->extint, 1);
}

[[gnu::always_inline]] inline void count_latency(ObservedVcpu *vcpu, u8 vector, u64 ticks)
{
	VectorCounts &counts = vcpu->counts[vector];
	rt::Atomic<u32> &bucket = vcpu->latency[vector][bucket_of(ticks)];

	add(counts.injected, 1);
	add(counts.latency_sum, ticks);
	if (ticks > counts.latency_max.load(Order::relaxed))
		counts.latency_max.store(ticks, Order::relaxed);
	bucket.store(bucket.load(Order::relaxed) + 1, Order::relaxed);
}

[[gnu::always_inline]] inline void inject(ObservedVcpu *vcpu, u8 vector)
{
	rt::Atomic<u64> &since = vcpu->since[vector];
	const u64 began = since.load(Order::relaxed);
	const u64 now = rt::read_tsc();
	/* The counters of two CPUs may differ by a few ticks. */
	const u64 ticks = began && now > began ? now - began : 0;

	if (wants(vcpu, CORBEL_EVENT_INJECT)) [[unlikely]]
		emit(vcpu, CORBEL_EVENT_INJECT, vector, 0, ticks);
	if (!began) [[unlikely]]
		inject_unknown(vcpu, vector);

	const rt::IrqGuard guard;
	bool pic = false;
	const auto result = vcpu->pending.inject(vector, vcpu->irr(), [&](bool again) {
		if (!again) [[likely]] {
			since.store(0, Order::relaxed);
			return;
		}
		/*
		 * Either a delivery came after the vector was taken, and met its bit; or
		 * this is the PIC's, which has the same vector but is never in service.
		 */
		pic = began && !vcpu->in_service(vector);
		if (pic)
			return;
		since.store(now, Order::relaxed);
		vcpu->counts[vector].coalesced.fetch_sub(1, Order::relaxed);
	});

	if (began && !pic) [[likely]]
		count_latency(vcpu, vector, ticks);
	if (pic) [[unlikely]] {
		add(vcpu->counts[vector].injected, 1);
		add(vcpu->extint, 1);
	}

	if (result != PendingRecord<>::Injected::done) [[unlikely]] {
		if (result == PendingRecord<>::Injected::busy)
			leave_unsure(vcpu, vector);
		else
			settle(vcpu);
	}
}

/* Preemption off. */
[[gnu::always_inline]] inline ObservedVcpu *observed(const kvm_lapic *lapic)
{
	return current_table()->find(lapic);
}

/* Around a function that KVM may sleep in: keep the vCPU's record in existence. */
u64 enter_sleeping(const kvm_vcpu *running)
{
	const rt::PreemptGuard guard;
	ObservedVcpu *vcpu = observed(member<kvm_lapic>(running, CORBEL_OFF_VCPU_LAPIC));

	if (!vcpu)
		return 0;
	vcpu->returning.fetch_add(1, Order::acq_rel);
	return reinterpret_cast<u64>(vcpu);
}

} /* namespace */

void set_delivery_constants(const DeliveryConstants &values)
{
	constants = values;
}

void settle(ObservedVcpu *vcpu)
{
	const rt::IrqGuard guard;

	(void)vcpu->pending.settle(vcpu->irr(), Reporter{vcpu, false});
}

namespace {

void tell_resync(ObservedVcpu *vcpu)
{
	vcpu->observer->count_resync();
	if (wants(vcpu, CORBEL_EVENT_RESYNC)) {
		const rt::PreemptGuard guard;

		emit(vcpu, CORBEL_EVENT_RESYNC, 0, 0, 0);
	}
}

} /* namespace */

void resync(ObservedVcpu *vcpu)
{
	settle(vcpu);
	tell_resync(vcpu);
}

void reload(ObservedVcpu *vcpu)
{
	constexpr unsigned spins = 1000;

	for (unsigned attempt = 1;; attempt++) {
		{
			const rt::IrqGuard guard;

			if (vcpu->pending.load(vcpu->irr(), Reporter{vcpu, true}))
				break;
		}
		/* A delivery is under way; it is short, but may have been preempted. */
		if (attempt % spins)
			rt::cpu_relax();
		else
			corbel_rcu_synchronize();
	}
	tell_resync(vcpu);
}

void follow_posting(ObservedVcpu *vcpu)
{
	const bool posts = vcpu->hardware_posts();

	if (vcpu->sampled.exchange(posts, Order::acq_rel) == posts)
		return;
	vcpu->observer->set_sampled(vcpu, posts);
	if (!posts)
		reload(vcpu);
}

} /* namespace corbel::irq */

using namespace corbel;
using namespace corbel::irq;

/*
 * Called by hooks.S with preemption off, any context but NMI. 0: let the function
 * run and do nothing more.
 */
extern "C" [[clang::preserve_most]] u64 corbel_irq_accept_enter(ObservedVcpu *vcpu, int mode,
								int vector, int level, int trigger,
								u64 caller)
{
	if (mode != mode_fixed && mode != mode_lowest) [[unlikely]] {
		if (mode != mode_extint)
			vcpu->other_modes.fetch_add(1, Order::relaxed);
		return 0;
	}
	/* The falling edge of a level-triggered line delivers nothing. */
	if (trigger && !level) [[unlikely]]
		return 0;
	const u8 path = path_of(vcpu, caller);
	const u8 v = static_cast<u8>(vector);

	vcpu->counts[v].accepted[path].fetch_add(1, Order::relaxed);
	if (vcpu->hardware_posts()) [[unlikely]]
		return 0;
	vcpu->pending.accept_enter(v);
	/*
	 * By compare-exchange: of two deliveries of a vector at the same moment one is
	 * fresh and the other is not.
	 */
	rt::Atomic<u64> &since = vcpu->since[v];
	u64 none = since.load(Order::relaxed);
	const bool coalesced =
		none || !since.compare_exchange(none, rt::read_tsc(), Order::relaxed);

	if (wants(vcpu, CORBEL_EVENT_ACCEPT)) [[unlikely]]
		emit(vcpu, CORBEL_EVENT_ACCEPT, v, path, coalesced);
	return Token(vcpu, v, coalesced).value();
}

/*
 * Called by hooks.S where its own few instructions do not do: the local APIC
 * refused, or the delivery was coalesced.
 */
extern "C" void corbel_irq_accept_exit(u64 value, int delivered)
{
	const Token token(value);
	ObservedVcpu *vcpu = token.vcpu();

	if (!delivered) [[unlikely]] {
		refuse(vcpu, token);
		return;
	}
	/* Before the exit: whoever closes the gate finds the count complete. */
	if (token.coalesced())
		vcpu->counts[token.vector()].coalesced.fetch_add(1, Order::relaxed);
	if (vcpu->pending.accept_exit()) [[unlikely]]
		settle(vcpu);
}

/* Called by hooks.S: the last delivery out found the gate suspect. */
extern "C" void corbel_irq_accept_settle(ObservedVcpu *vcpu)
{
	settle(vcpu);
}

void corbel_irq_inject_probe(void *, unsigned int vector, bool soft, bool reinjected)
{
	const kvm_vcpu *running = running_vcpu();

	if (!running || soft) [[unlikely]]
		return;
	ObservedVcpu *vcpu = observed(member<kvm_lapic>(running, CORBEL_OFF_VCPU_LAPIC));

	if (!vcpu)
		return;
	if (reinjected) [[unlikely]] {
		add(vcpu->reinjected, 1);
		return;
	}
	inject(vcpu, static_cast<u8>(vector));
}

void corbel_irq_entry_probe(void *, kvm_vcpu *running, bool)
{
	ObservedVcpu *vcpu = observed(member<kvm_lapic>(running, CORBEL_OFF_VCPU_LAPIC));

	if (!vcpu || !vcpu->observer->is_checking() || vcpu->hardware_posts())
		return;
	const Irr irr = vcpu->irr();
	CheckCounts &checks = vcpu->checks;
	u64 any = 0, missing = 0, extra = 0;

	for (unsigned i = 0; i < CORBEL_IRQ_WORDS; i++) {
		/* Truth first, see PendingRecord::compare(). */
		const u64 truth = irr(i);
		const u64 record = vcpu->pending.word(i);

		any |= truth;
		missing |= truth & ~record;
		extra |= record & ~truth;
	}
	add(checks.entries, 1);
	add(checks.nonempty, any != 0);
	add(checks.missing, missing != 0);
	add(checks.extra, extra != 0);
	add(checks.status_wrong, any && !vcpu->pending.status());
}

/* kvm_apic_set_state(vcpu, state) and kvm_lapic_reset(vcpu, init_event). */
extern "C" u64 corbel_irq_sleeping_enter(const kvm_vcpu *running)
{
	return enter_sleeping(running);
}

extern "C" void corbel_irq_sleeping_exit(u64 value, int)
{
	auto *vcpu = reinterpret_cast<ObservedVcpu *>(value);

	if (!vcpu->hardware_posts())
		reload(vcpu);
	/* The last access: from here the record may be freed. */
	vcpu->returning.fetch_sub(1, Order::acq_rel);
}
