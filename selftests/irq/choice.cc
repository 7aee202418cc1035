// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts that several vCPUs may take: who takes them under each policy, what no
 * policy may touch, and what a choice is worth when one of the vCPUs has to share its
 * CPU.
 */
#include "cpu_hog.hh"
#include "observed_vm.hh"
#include "tap.hh"
#include "timing.hh"
#include "wait.hh"

#include <algorithm>
#include <random>

using namespace corbel::selftest;

namespace {

constexpr unsigned times = 20;
constexpr uint32_t to_both = msi_address(3) | msi_logical;

/* Two vCPUs that spin in the guest. */
struct two : observed_vm {
	two() : observed_vm(2) { vm.start(); }

	uint64_t accepted(unsigned index, unsigned vector)
	{
		return sum_paths(irq_vectors(irq.get(), index)[vector].accepted);
	}
	void await(unsigned index, unsigned vector, uint64_t count)
	{
		vm.wait(fmt::format("vCPU {} handles vector {:#x}", index, vector),
			[&] { return vm.handled(index, vector) >= count; });
		CHECK_EQ(vm.handled(index, vector), count, "vCPU {} vector {:#x}", index, vector);
	}
	void send_to_both(unsigned vector)
	{
		CHECK_EQ(vm.send_raw_msi(to_both, msi_lowest_priority | vector), 1, "MSI");
	}
};

/* kvm.vector_hashing=N: KVM chooses by who has been chosen least often. */
bool kvm_hashes()
{
	return read_file("/sys/module/kvm/parameters/vector_hashing").starts_with("Y");
}

/* Hashing sends an even vector to the first of two, wherever that one is. */
void leave_it_to_kvm()
{
	two both;
	const unsigned first = kvm_hashes() ? times : times / 2;

	comment("KVM chooses by {}", kvm_hashes() ? "the vector" : "turns");

	CHECK_EQ(irq_policy(both.irq.get()).policy, CORBEL_IRQ_POLICY_OFF, "at first");
	parked guard(both.vm.at(0));
	for (unsigned i = 0; i < times; i++)
		both.send_to_both(0x50);
	CHECK_EQ(both.accepted(0, 0x50), first, "taken by the one that cannot handle it");
	CHECK_EQ(both.accepted(1, 0x50), times - first, "taken by the other one");
	CHECK_EQ(irq_policy(both.irq.get()).offered, 0u, "nothing was chosen");
}

void avoid_who_is_away()
{
	two both;

	both.vm.add_raw_irqfd(to_both, msi_lowest_priority | 0x52, 0, 0x52);
	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	for (unsigned away = 0; away < 2; away++) {
		parked guard(both.vm.at(away));

		for (unsigned i = 1; i <= times; i++) {
			both.send_to_both(0x50);
			both.await(!away, 0x50, i);
			both.send_to_both(0x51);
			both.await(!away, 0x51, i);
			both.vm.send_irqfd(0, 0x52);
			both.await(!away, 0x52, i);
		}
		for (unsigned vector = 0x50; vector <= 0x52; vector++)
			CHECK_EQ(both.accepted(away, vector), away * times, "vCPU {} vector {:#x}",
				 away, vector);
	}
	corbel_irq_policy policy = irq_policy(both.irq.get());
	CHECK_EQ(policy.offered, 6 * times, "choices");
	CHECK_EQ(policy.chosen[CORBEL_RES_USER - 1], 0u, "away");
	CHECK_EQ(policy.avoidable, 0u, "avoidable");
	wait_idle(both.vm);
	check_ledger(both.irq.get(), 2);
}

void prefer_halted_to_away()
{
	two both;

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	both.vm.set_mode(1, guest_mode::halt);
	parked guard(both.vm.at(0));
	for (unsigned i = 1; i <= times; i++) {
		both.send_to_both(0x50);
		both.await(1, 0x50, i);
	}
	CHECK_EQ(both.accepted(0, 0x50), 0u, "away");
}

void balance_what_is_pending()
{
	two both;
	unsigned pending[2] = {};

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_LEAST_PENDING);
	for (unsigned i = 0; i < 2; i++)
		both.vm.set_mode(i, guest_mode::masked);
	/* A head start for vCPU 1. */
	for (unsigned vector = 0x40; vector < 0x46; vector++)
		CHECK_EQ(both.vm.send_msi(1, vector), 1, "MSI");
	for (unsigned vector = 0x60; vector < 0x60 + times; vector++)
		both.send_to_both(vector);
	for (unsigned i = 0; i < 2; i++)
		pending[i] = count_vectors(both.read(i).record);
	CHECK_EQ(pending[0], (times + 6) / 2, "vCPU 0");
	CHECK_EQ(pending[1], (times + 6) / 2, "vCPU 1");
	for (unsigned i = 0; i < 2; i++)
		both.vm.set_mode(i, guest_mode::spin);
	wait_idle(both.vm);
	check_ledger(both.irq.get(), 2);
}

void keep_what_has_one_target()
{
	two both;

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	{
		parked guard(both.vm.at(0));

		CHECK_EQ(both.vm.send_msi(0, 0x50), 1, "fixed");
		CHECK_EQ(both.vm.send_raw_msi(msi_address(1) | msi_logical,
					      msi_lowest_priority | 0x51),
			 1, "lowest priority of one");
		CHECK_EQ(both.vm.send_raw_msi(to_both, 0x52), 2, "fixed, to both");
		both.vm.at(0).make_runnable();
		both.await(1, 0x52, 1);
	}
	for (unsigned vector = 0x50; vector <= 0x52; vector++)
		both.await(0, vector, 1);
	CHECK_EQ(both.accepted(1, 0x50) + both.accepted(1, 0x51), 0u, "moved");
	CHECK_EQ(irq_policy(both.irq.get()).offered, 0u, "choices");
}

/* An NMI with the redirection hint stays one; a broadcast has no lowest priority. */
void keep_what_is_no_choice()
{
	two both;

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	for (unsigned i = 1; i <= times; i++) {
		CHECK_EQ(both.vm.send_raw_msi(to_both | msi_redirection_hint, msi_nmi | 0x50), 1,
			 "NMI");
		both.vm.wait("the NMI is handled", [&] {
			return both.vm.handled(0, nmi_vector) + both.vm.handled(1, nmi_vector) >= i;
		});
		CHECK_EQ(both.vm.send_raw_msi(msi_address(0xff), msi_lowest_priority | 0x51), 2,
			 "broadcast");
		both.await(0, 0x51, i);
		both.await(1, 0x51, i);
	}
	CHECK_EQ(both.read(0).nmi + both.read(1).nmi, times, "NMIs");
	CHECK_EQ(both.accepted(0, 0x50) + both.accepted(1, 0x50), 0u, "an NMI has no vector");
	CHECK_EQ(irq_policy(both.irq.get()).offered, 0u, "choices");
}

void obey_a_vector_of_its_own()
{
	two both;

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST, 0x50,
		       CORBEL_IRQ_POLICY_OFF);
	{
		parked guard(both.vm.at(0));

		both.send_to_both(0x50);
		both.send_to_both(0x52);
		both.await(1, 0x52, 1);
		CHECK_EQ(both.accepted(0, 0x50), 1u, "KVM's choice");
	}
	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_OFF, 0x50,
		       CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	both.await(0, 0x50, 1);
	parked guard(both.vm.at(0));
	both.send_to_both(0x50);
	both.send_to_both(0x52);
	both.await(1, 0x50, 1);
	/* In turns it is the other one's: the first one had 0x50 before. */
	CHECK_EQ(both.accepted(kvm_hashes() ? 0 : 1, 0x52), kvm_hashes() ? 1u : 2u, "KVM's choice");
}

/* A software-disabled local APIC cannot be chosen. */
void skip_a_disabled_apic()
{
	two both;

	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	parked guard(both.vm.at(0));
	both.vm.at(0).set_msr(msr::x2apic_svr, 0xff);
	both.send_to_both(0x50);
	both.await(1, 0x50, 1);
	CHECK_EQ(irq_policy(both.irq.get()).offered, 0u, "one is no choice");
}

/* Edge and level through the IOAPIC; a level needs the EOI of who took it. */
void choose_for_pins()
{
	two both;
	guest_vm &vm = both.vm;

	vm.route_pin_to_any(5, 3, 0x50, trigger::edge);
	vm.route_pin_to_any(6, 3, 0x52, trigger::level);
	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	for (unsigned away = 0; away < 2; away++) {
		parked guard(vm.at(away));

		for (unsigned i = 1; i <= times; i++) {
			uint64_t before = vm.handled(!away, 0x52);

			vm.pulse_line(5);
			both.await(!away, 0x50, i);
			/* Without an EOI at the IOAPIC there is no second one. */
			vm.set_line(6, true);
			vm.wait("the level comes again",
				[&] { return vm.handled(!away, 0x52) >= before + 2; });
			vm.set_line(6, false);
		}
		CHECK_EQ(both.accepted(away, 0x50), away * times, "vCPU {} edge", away);
		if (!away)
			CHECK_EQ(both.accepted(0, 0x52), 0u, "level");
		/* The pin waits for the EOI of who is away next. */
		wait_idle(vm);
	}
	CHECK_EQ(irq_policy(both.irq.get()).avoidable, 0u, "avoidable");
	wait_idle(vm);
	check_ledger(both.irq.get(), 2);
}

/* Policies come and go while interrupts are under way; none is lost. */
void change_under_load()
{
	two both;
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> sent = 0;
	std::thread sender([&] {
		for (unsigned i = 0; !stop; i++, sent++)
			both.vm.send_raw_msi(to_both, msi_lowest_priority | (0x50 + i % 16));
	});

	for (unsigned i = 0; i < amount(6, 100); i++) {
		set_irq_policy(both.irq.get(), 1 + i % CORBEL_IRQ_POLICY_MAX);
		uint64_t before = sent;
		both.vm.wait("some are sent", [&] { return sent > before + 100; });
	}
	stop = true;
	sender.join();
	wait_idle(both.vm);
	uint64_t accepted = 0, handled = 0, coalesced = 0;
	for (unsigned i = 0; i < 2; i++) {
		auto vectors = irq_vectors(both.irq.get(), i);

		for (unsigned v = 0x50; v < 0x60; v++) {
			accepted += sum_paths(vectors[v].accepted);
			coalesced += vectors[v].coalesced;
			handled += both.vm.handled(i, v);
		}
	}
	comment("{} sent, {} handled, {} coalesced", sent.load(), handled, coalesced);
	CHECK_EQ(accepted, sent.load(), "accepted");
	CHECK_EQ(handled + coalesced, sent.load(), "handled and coalesced");
	check_ledger(both.irq.get(), 2);
}

/* ---- what it is worth ------------------------------------------------------------ */

struct outcome {
	std::vector<uint64_t> ticks;
	unsigned preempted = 0; /* went to a vCPU that did not have its CPU */
};

/*
 * Raise, wait for the handler, again; in guest time stamps, which are the host's. At random
 * moments: right after an interrupt was handled its vCPU has a CPU for a while.
 */
outcome measure(two &both, unsigned count)
{
	outcome out;
	std::mt19937 random(count);

	for (unsigned i = 0; i < count; i++) {
		std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
		/* The measuring thread has its CPU: it must be done with the last one. */
		both.vm.wait("vCPU 1 halts",
			     [&] { return both.read(1).residency == CORBEL_RES_HALTED; });
		uint64_t before[2] = {both.vm.handled(0, 0x50), both.vm.handled(1, 0x50)};
		uint64_t began = guest::read_tsc();

		both.send_to_both(0x50);
		bool first = both.accepted(0, 0x50) > before[0];
		out.preempted += both.read(first ? 0 : 1).residency == CORBEL_RES_PREEMPTED;
		both.vm.wait("it is handled", [&] {
			return both.vm.handled(0, 0x50) > before[0] ||
			       both.vm.handled(1, 0x50) > before[1];
		});
		unsigned taker = both.vm.handled(0, 0x50) > before[0] ? 0 : 1;
		out.ticks.push_back(both.vm.memory(taker).last_tsc - began);
	}
	std::ranges::sort(out.ticks);
	return out;
}

void print(const char *name, const outcome &out, uint64_t khz)
{
	auto at = [&](unsigned percent) { return percentile(out.ticks, percent) * 1000 / khz; };

	comment("{}: {} interrupts, raise to handler us: median {}, p90 {}, p99 {}; {} went to a "
		"preempted vCPU",
		name, out.ticks.size(), at(50), at(90), at(99), out.preempted);
}

void avoid_who_is_preempted()
{
	std::vector<int> cpus = allowed_cpus();

	if (cpus.size() < 2)
		skip("needs two CPUs");
	two both;
	const unsigned count = amount(40, 1000);
	const uint64_t khz = irq_info(both.irq.get()).tsc_khz;

	both.vm.set_mode(1, guest_mode::halt);
	pin(both.vm.at(0).thread_id(), {cpus[0]});
	pin(both.vm.at(1).thread_id(), {cpus[1]});
	pin(0, {cpus[1]});
	cpu_hog hog(cpus[0]);

	outcome kvm = measure(both, count);
	set_irq_policy(both.irq.get(), CORBEL_IRQ_POLICY_RESIDENT_FIRST);
	outcome chosen = measure(both, count);
	hog.stop();

	print("KVM's choice", kvm, khz);
	print("resident first", chosen, khz);
	corbel_irq_policy policy = irq_policy(both.irq.get());
	comment("chosen: {} resident, {} halted, {} preempted, {} outside KVM",
		policy.chosen[CORBEL_RES_RESIDENT - 1], policy.chosen[CORBEL_RES_HALTED - 1],
		policy.chosen[CORBEL_RES_PREEMPTED - 1], policy.chosen[CORBEL_RES_USER - 1]);
	CHECK_EQ(policy.offered, count, "choices");
	CHECK_EQ(policy.avoidable, 0u, "avoidable");
	/* Rarely the other one was woken by something else, and has lost its CPU as well. */
	CHECK(policy.chosen[CORBEL_RES_PREEMPTED - 1] <= count / 10,
	      "{} times a preempted vCPU although the other one is mostly free",
	      policy.chosen[CORBEL_RES_PREEMPTED - 1]);
	CHECK(chosen.ticks[count * 9 / 10] < kvm.ticks[count * 9 / 10],
	      "p90 is not lower with a choice");
}

void refuse_what_is_wrong()
{
	two both;

	for (unsigned wrong : {0u, CORBEL_IRQ_POLICY_MAX + 1u, ~0u}) {
		corbel_irq_policy policy = irq_policy(both.irq.get());

		policy.flags = CORBEL_IRQ_F_SET;
		policy.policy = wrong;
		CHECK_EQ(request(both.irq.get(), CORBEL_IRQ_POLICY, policy), -EINVAL, "policy {}",
			 wrong);
	}
	corbel_irq_policy policy = irq_policy(both.irq.get());
	policy.flags = CORBEL_IRQ_F_SET;
	policy.vectors[255] = CORBEL_IRQ_POLICY_MAX + 1;
	CHECK_EQ(request(both.irq.get(), CORBEL_IRQ_POLICY, policy), -EINVAL, "of a vector");
	both.vm.stop();
}

constexpr test_case cases[] = {
	{"off: KVM chooses", leave_it_to_kvm},
	{"resident first: not who is outside KVM", avoid_who_is_away},
	{"resident first: halted before outside KVM", prefer_halted_to_away},
	{"least pending", balance_what_is_pending},
	{"one target stays the target", keep_what_has_one_target},
	{"NMIs and broadcasts are no choice", keep_what_is_no_choice},
	{"a vector's own policy", obey_a_vector_of_its_own},
	{"a disabled APIC is no candidate", skip_a_disabled_apic},
	{"IOAPIC pins, edge and level", choose_for_pins},
	{"changed under load", change_under_load},
	{"one candidate preempted by a hog", avoid_who_is_preempted},
	{"wrong policies", refuse_what_is_wrong},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
