// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The IRR written past the delivery path: KVM_SET_LAPIC, a disabled APIC, INIT,
 * the PIC's ExtINT, level-triggered pins. The record must be right at once after
 * each of them, and no VM entry may find it short.
 */
#include "injections.hh"
#include "observed_vm.hh"
#include "tap.hh"
#include "wait.hh"

using namespace corbel::selftest;

namespace {

void check_no_entry_was_short(int irq)
{
	corbel_irq_check check = irq_check(irq);

	CHECK_EQ(check.missing, 0u, "VM entries with a vector that the record did not have");
	CHECK_EQ(check.status_wrong, 0u, "VM entries with the status bit wrong");
}

void set_pending(guest_vm &vm, std::initializer_list<unsigned> add,
		 std::initializer_list<unsigned> remove)
{
	parked guard(vm.at(0));
	kvm_lapic_state state = vm.at(0).lapic();

	for (unsigned vector : add)
		set_lapic_bit(state, lapic_irr, vector, true);
	for (unsigned vector : remove)
		set_lapic_bit(state, lapic_irr, vector, false);
	vm.at(0).set_lapic(state);
}

void write_irr()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.start(guest_mode::masked);
	__u64 resyncs = irq_info(irq).resyncs;
	set_pending(vm, {0x45, 0x91, 0xff}, {});
	check_record_is_lapic(observed, 0);
	CHECK_EQ(count_vectors(observed.read(0).record), 3u, "added");
	CHECK(irq_info(irq).resyncs > resyncs, "no resync was counted");

	vm.send_msi(0, 0x46);
	set_pending(vm, {0x47}, {0x91});
	check_record_is_lapic(observed, 0);
	set_pending(vm, {}, {0x45, 0x46, 0x47, 0xff});
	check_record_is_lapic(observed, 0);
	CHECK_EQ(observed.read(0).pending, 0u, "all removed");

	set_pending(vm, {0x48, 0xc1}, {});
	vm.set_mode(0, guest_mode::spin);
	vm.wait("what was added is handled",
		[&] { return vm.handled(0, 0x48) == 1 && vm.handled(0, 0xc1) == 1; });
	wait_idle(vm);
	CHECK_EQ(vm.handled_total(), 2u, "what was removed is not");
	check_record_is_irr(irq, 1);
	check_ledger(irq, 1);
	check_no_entry_was_short(irq);
}

/* Written over and over while interrupts come in. */
void write_irr_under_load()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	interrupt_load load(vm);
	load.start();
	for (unsigned i = 0; i < 200; i++)
		set_pending(vm, {0x21u + i % 30}, {0x21u + (i + 7) % 30});
	load.stop();
	wait_idle(vm);
	check_record_is_irr(irq, 2);
	check_record_is_lapic(observed, 0);
	check_ledger(irq, 2);
	check_no_entry_was_short(irq);
}

/* IA32_APIC_BASE with the enable bit off: what KVM refuses must not linger. */
void disable_in_hardware()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.start(guest_mode::masked);
	CHECK_EQ(vm.send_msi(0, 0x66), 1, "enabled");
	check_record_is_lapic(observed, 0);

	uint64_t base;
	{
		parked guard(vm.at(0));
		base = vm.at(0).apic_base();
		vm.at(0).set_apic_base(base & ~(apic_base_enable | apic_base_x2apic));
		CHECK(vm.send_msi(0, 0x67) <= 0, "a disabled APIC took an interrupt");
		check_record_is_irr(irq, 1);
		vm.at(0).set_apic_base(base);
		vm.at(0).set_msr(msr::x2apic_svr, 0x1ff);
		check_record_is_irr(irq, 1);
	}
	CHECK_EQ(vm.send_msi(0, 0x68), 1, "enabled again");
	check_record_is_lapic(observed, 0);
	CHECK(test_vector(observed.read(0).record, 0x68), "what came after is pending");
	CHECK(!test_vector(observed.read(0).record, 0x67), "what was refused is pending");
	vm.set_mode(0, guest_mode::spin);
	vm.wait("it is handled", [&] { return vm.handled(0, 0x68) == 1; });
	wait_idle(vm);
	check_record_is_irr(irq, 1);
	check_ledger(irq, 1);
	check_no_entry_was_short(irq);
}

/* INIT empties the IRR of a vCPU. */
void reset_by_init()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.start(guest_mode::masked);
	for (unsigned vector : {0x50, 0x90, 0xd0})
		CHECK_EQ(vm.send_msi(1, vector), 1, "MSI");
	check_record_is_lapic(observed, 1);
	CHECK_EQ(count_vectors(observed.read(1).record), 3u, "pending before INIT");
	CHECK_EQ(vm.send_raw_msi(msi_address(1), msi_init), 1, "INIT");
	vm.wait("INIT empties the IRR", [&] { return count_vectors(observed.read(1).irr) == 0; });
	check_record_is_irr(irq, 2);
	check_record_is_lapic(observed, 1);
	/* Its APIC is software-disabled now. */
	CHECK(vm.send_msi(1, 0x51) <= 0, "a vCPU after INIT took an interrupt");
	check_record_is_lapic(observed, 1);
	CHECK_EQ(observed.read(1).pending, 0u, "pending after INIT");
	check_ledger(irq, 2);
	check_no_entry_was_short(irq);
}

/* ExtINT is injected without ever having been in the IRR. */
void pass_extint()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.enable_pic(0x30);
	const injections before = read_injections(vm, irq);
	vm.start();
	for (uint64_t i = 1; i <= 20; i++) {
		vm.pulse_line(3);
		/* The guest may handle one twice, see check_injections(). */
		vm.wait("the PIC's interrupt is handled",
			[&] { return observed.read(0).injected == i && vm.handled(0, 0x33) >= i; });
	}
	corbel_irq_vcpu now = observed.read(0);
	CHECK_EQ(now.extint, 20u, "ExtINT");
	CHECK_EQ(sum_paths(now.accepted), 0u, "accepted by the local APIC");

	/* The same vector by both ways: the local APIC's must stay pending. */
	vm.set_mode(0, guest_mode::masked);
	vm.pulse_line(3);
	{
		/* So that no VM entry meets the MSI on its way from the record to the IRR. */
		parked guard(vm.at(0));

		CHECK_EQ(vm.send_msi(0, 0x33), 1, "MSI");
	}
	check_record_is_lapic(observed, 0);
	vm.set_mode(0, guest_mode::spin);
	vm.wait("both are handled",
		[&] { return observed.read(0).injected == 22 && vm.handled(0, 0x33) >= 22; });
	wait_idle(vm);
	check_record_is_irr(irq, 1);
	now = observed.read(0);
	CHECK_EQ(now.injected, 22u, "injected");
	CHECK_EQ(now.extint, 21u, "ExtINT");
	check_injections(before, read_injections(vm, irq));
	check_ledger(irq, 1);
	check_no_entry_was_short(irq);
	CHECK_EQ(irq_check(irq).extra, 0u, "VM entries with a vector that was not there");
}

void hold_level()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.route_pin(6, 0, 0x53, trigger::level);
	vm.start(guest_mode::masked);
	vm.set_line(6, true);
	check_record_is_lapic(observed, 0);
	CHECK(test_vector(observed.read(0).record, 0x53), "the raised line is not pending");
	vm.set_line(6, false);
	check_record_is_lapic(observed, 0);
	vm.set_line(6, true);
	vm.set_mode(0, guest_mode::spin);
	/* Held: each EOI delivers it again. */
	vm.wait("it is handled again", [&] { return vm.handled(0, 0x53) >= 3; });
	vm.set_line(6, false);
	wait_idle(vm);
	check_record_is_irr(irq, 1);
	check_ledger(irq, 1);
	CHECK_EQ(irq_vectors(irq, 0)[0x53].injected, vm.handled(0, 0x53), "level-triggered");
	check_no_entry_was_short(irq);
}

/* CORBEL_IRQ_F_RESYNC at any time does no harm. */
void resync_under_load()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	interrupt_load load(vm);
	load.start();
	for (unsigned i = 0; i < 500; i++)
		observed.read(i & 1, CORBEL_IRQ_F_RESYNC);
	load.stop();
	wait_idle(vm);
	check_record_is_irr(irq, 2);
	check_no_entry_was_short(irq);
	CHECK(irq_info(irq).resyncs >= 500, "{} resyncs", irq_info(irq).resyncs);
}

constexpr test_case cases[] = {
	{"KVM_SET_LAPIC adds and clears", write_irr},
	{"KVM_SET_LAPIC under load", write_irr_under_load},
	{"APIC disabled in IA32_APIC_BASE", disable_in_hardware},
	{"INIT", reset_by_init},
	{"PIC ExtINT", pass_extint},
	{"level-triggered pin", hold_level},
	{"resync under load", resync_under_load},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
