// SPDX-License-Identifier: GPL-2.0
/*
 * delivery.cc - from the hooks to the record, the counts and the rings.
 *
 * DOC: the balance of one vector
 *
 * A delivery is coalesced if its vector was pending already. KVM does not tell (it
 * sets the IRR bit blindly), and at the moment of the delivery it cannot be known
 * from outside: the vCPU may take the vector between any look at it and KVM's write.
 * But all else is counted exactly: every delivery, refusal and injection passes a
 * hook, and what is pending is the record. So the coalesced ones are not counted;
 * they are what is left,
 *
 *	coalesced = accepted + restored - (injected - extint) - dropped - pending,
 *
 * exact whenever nothing is under way, and it costs the delivery path nothing.
 *
 * A vCPU is found by the hooks some time before its record is first taken from the IRR.
 * What was delivered before and is injected in that time is in nobody's record: it is
 * counted as restored when it is injected.
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
	[[gnu::always_inline]] Token(ObservedVcpu *vcpu, u8 vector)
		: value_(reinterpret_cast<u64>(vcpu) | vector)
	{}
	[[gnu::always_inline]] explicit Token(u64 value) : value_(value) {}

	[[gnu::always_inline]] u64 value() const { return value_; }
	[[gnu::always_inline]] ObservedVcpu *vcpu() const
	{
		return reinterpret_cast<ObservedVcpu *>(value_ & ~low_bits);
	}
	[[gnu::always_inline]] u8 vector() const { return static_cast<u8>(value_); }
	/* Ask for a boost after the delivery: not a kernel address, which hooks.S sees. */
	[[gnu::always_inline]] u64 with_boost() const { return value_ & ~(1ULL << 63); }

private:
	static constexpr u64 low_bits = CORBEL_TOKEN_LOW_BITS;
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

[[gnu::always_inline]] inline bool wants_boosting(const ObservedVcpu *vcpu)
{
	return vcpu->wanted_events.load(Order::relaxed) & wants_boost;
}

/* The path has been looked at; which one it was does not matter to the booster. */
constexpr u32 boost_for_delivery = (1U << CORBEL_IRQ_PATHS) - 1;

/* A ring or the booster wants to know of it; what accept_enter() returns. */
CORBEL_COLD u64 accept_watched(ObservedVcpu *vcpu, u8 vector, u8 path, bool waiting)
{
	const Token token(vcpu, vector);

	if (wants(vcpu, CORBEL_EVENT_ACCEPT))
		emit(vcpu, CORBEL_EVENT_ACCEPT, vector, path, waiting);
	return wants_boosting(vcpu) && vcpu->observer->booster().counts(vcpu, vector, path)
		       ? token.with_boost()
		       : token.value();
}

/* The hardware has it from KVM at once, so it may be asked for before that. */
CORBEL_COLD void accept_posted(ObservedVcpu *vcpu, u8 vector, u8 path)
{
	Booster &booster = vcpu->observer->booster();

	if (wants_boosting(vcpu) && booster.counts(vcpu, vector, path))
		booster.ask(vcpu, boost_for_delivery);
}

struct Reporter {
	ObservedVcpu *vcpu;

	void operator()(unsigned vector, Change change) const
	{
		VectorCounts &counts = vcpu->counts[vector];
		rt::Atomic<u64> &since = vcpu->since[vector];

		switch (change) {
		case Change::appeared:
			counts.restored.fetch_add(1, Order::relaxed);
			since.store(rt::read_tsc(), Order::relaxed);
			break;
		case Change::stale:
			since.store(0, Order::relaxed);
			break;
		case Change::gone:
			vcpu->vanished[vector].fetch_add(1, Order::relaxed);
			since.store(0, Order::relaxed);
			break;
		}
	}
};

/* The vector's injection met a delivery under way. Interrupts off. */
CORBEL_COLD void leave_unsure(ObservedVcpu *vcpu, u8 vector)
{
	vcpu->since[vector].store(rt::read_tsc(), Order::relaxed);
	vcpu->pending.mark_unsure(vector);
	settle(vcpu);
}

/*
 * The PIC's vectors are injected like the local APIC's, but are never in service
 * there, and in the record only if the local APIC has the same vector pending too.
 * (An interrupt with AutoEOI, which Hyper-V's SynIC has, is never in service either.)
 */
CORBEL_COLD bool is_extint(ObservedVcpu *vcpu, u8 vector)
{
	const u64 mask = 1ULL << (vector % 64);

	return vcpu->irr()(vector / 64) & mask || !(vcpu->pending.word(vector / 64) & mask);
}

/* Its delivery was not seen: it was before observation began. */
CORBEL_COLD void count_unknown(ObservedVcpu *vcpu, u8 vector)
{
	if (!vcpu->sampled.load(Order::relaxed) && !vcpu->pending.knows_for_sure(vector))
		vcpu->counts[vector].restored.fetch_add(1, Order::relaxed);
}

[[gnu::always_inline]] inline void count_latency(ObservedVcpu *vcpu, u8 vector, u64 ticks)
{
	VectorCounts &counts = vcpu->counts[vector];
	rt::Atomic<u32> &bucket = vcpu->latency[vector][bucket_of(ticks)];

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

	add(vcpu->counts[vector].injected, 1);
	if (wants(vcpu, CORBEL_EVENT_INJECT)) [[unlikely]]
		emit(vcpu, CORBEL_EVENT_INJECT, vector, 0, ticks);
	if (!vcpu->in_service(vector) && is_extint(vcpu, vector)) [[unlikely]] {
		add(vcpu->counts[vector].extint, 1);
		return;
	}
	if (!vcpu->pending.knows(vector)) [[unlikely]]
		count_unknown(vcpu, vector);
	if (began) [[likely]]
		count_latency(vcpu, vector, ticks);

	const rt::IrqGuard guard;
	/* Pending again: a delivery came after the vector was taken, and met its bit. */
	const auto result = vcpu->pending.inject(vector, vcpu->irr(), [&](bool again) {
		since.store(again ? now : 0, Order::relaxed);
	});

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

	(void)vcpu->pending.settle(vcpu->irr(), Reporter{vcpu});
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

namespace {

/* Until @done, which needs a moment without deliveries. Task context. */
template <typename Done>
void wait_for_quiet(const Done &done)
{
	constexpr unsigned spins = 1000;

	for (unsigned attempt = 1;; attempt++) {
		{
			const rt::IrqGuard guard;

			if (done())
				return;
		}
		/* A delivery is under way; it is short, but may have been preempted. */
		if (attempt % spins)
			rt::cpu_relax();
		else
			corbel_rcu_synchronize();
	}
}

} /* namespace */

void begin(ObservedVcpu *vcpu)
{
	wait_for_quiet([&] { return vcpu->pending.settle(vcpu->irr(), Reporter{vcpu}); });
	tell_resync(vcpu);
}

void reload(ObservedVcpu *vcpu)
{
	wait_for_quiet([&] { return vcpu->pending.load(vcpu->irr(), Reporter{vcpu}); });
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
	if (vcpu->hardware_posts()) [[unlikely]] {
		accept_posted(vcpu, v, path);
		return 0;
	}
	vcpu->pending.accept_enter(v);
	rt::Atomic<u64> &since = vcpu->since[v];
	const bool waiting = since.load(Order::relaxed);

	if (!waiting)
		since.store(rt::read_tsc(), Order::relaxed);
	if (vcpu->wanted_events.load(Order::relaxed) & (1U << CORBEL_EVENT_ACCEPT | wants_boost))
		[[unlikely]]
		return accept_watched(vcpu, v, path, waiting);
	return Token(vcpu, v).value();
}

/* Called by hooks.S: the local APIC did not take it. */
extern "C" void corbel_irq_accept_refused(u64 value)
{
	const Token token(value);
	ObservedVcpu *vcpu = token.vcpu();
	const u8 vector = token.vector();

	vcpu->counts[vector].refused.fetch_add(1, Order::relaxed);
	vcpu->pending.mark_unsure(vector);
	if (wants(vcpu, CORBEL_EVENT_DROP)) {
		const rt::PreemptGuard guard;

		emit(vcpu, CORBEL_EVENT_DROP, vector, CORBEL_IRQ_PATH_DEVICE, 0);
	}
	if (vcpu->pending.accept_exit())
		settle(vcpu);
}

/* Called by hooks.S for all that follows a delivery to be boosted. */
extern "C" void corbel_irq_accept_boosted(u64 value, int taken)
{
	ObservedVcpu *vcpu = Token(value).vcpu();

	if (!taken) {
		corbel_irq_accept_refused(value);
		return;
	}
	/* The record is ours until the exit. */
	vcpu->observer->booster().ask(vcpu, boost_for_delivery);
	if (vcpu->pending.accept_exit())
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
	const u64 value = enter_sleeping(running);
	auto *vcpu = reinterpret_cast<ObservedVcpu *>(value);

	/* So that a stale bit is not taken for one that the new state brings back. */
	if (vcpu && !vcpu->hardware_posts())
		wait_for_quiet([&] { return vcpu->pending.settle(vcpu->irr(), Reporter{vcpu}); });
	return value;
}

extern "C" void corbel_irq_sleeping_exit(u64 value, int)
{
	auto *vcpu = reinterpret_cast<ObservedVcpu *>(value);

	if (!vcpu->hardware_posts())
		reload(vcpu);
	/* The last access: from here the record may be freed. */
	vcpu->returning.fetch_sub(1, Order::acq_rel);
}
