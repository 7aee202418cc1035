// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The test VM itself, without our modules: every way to send an interrupt
 * reaches the guest's handler as often as it should. If this fails, the other
 * results say nothing.
 */
#include "load.hh"
#include "module.hh"
#include "tap.hh"
#include "wait.hh"

using namespace corbel::selftest;

namespace {

void send_each_way()
{
	ensure_kvm();
	guest_vm vm(2);
	vm.add_irqfd(1, 0x51, 0x51);
	vm.route_pin(5, 0, 0x52, trigger::edge);
	vm.route_pin(6, 1, 0x53, trigger::level);
	vm.start();
	vm.set_mode(1, guest_mode::halt);

	for (unsigned i = 1; i <= 20; i++) {
		CHECK_EQ(vm.send_msi(0, 0x50), 1, "KVM_SIGNAL_MSI");
		vm.wait("the MSI is handled", [&] { return vm.handled(0, 0x50) == i; });
		vm.send_irqfd(1, 0x51);
		vm.wait("the irqfd is handled", [&] { return vm.handled(1, 0x51) == i; });
		vm.pulse_line(5);
		vm.wait("the edge is handled", [&] { return vm.handled(0, 0x52) == i; });
		uint64_t before = vm.handled(1, 0x53);
		vm.set_line(6, true);
		vm.wait("the level is handled", [&] { return vm.handled(1, 0x53) > before; });
		vm.set_line(6, false);
	}
	wait_idle(vm);
}

void send_from_guest()
{
	ensure_kvm();
	guest_vm vm(2);
	vm.start();
	vm.set_mode(1, guest_mode::halt);

	vm.start_job(0, {.kind = job_kind::self_ipi, .first = 0x60, .last = 0x6f, .count = 160});
	vm.finish_job(0);
	vm.start_job(1, {.kind = job_kind::timer, .first = 0x70, .last = 0x70, .count = 20});
	vm.start_job(0, {.kind = job_kind::tsc_deadline, .first = 0x71, .last = 0x71, .count = 20});
	vm.finish_job(0);
	vm.finish_job(1);
	wait_idle(vm);
	for (unsigned vector = 0x60; vector < 0x70; vector++)
		CHECK_EQ(vm.handled(0, vector), 10u, "self-IPI {:#x}", vector);
	CHECK_EQ(vm.handled(1, 0x70), 20u, "one-shot timer");
	CHECK_EQ(vm.handled(0, 0x71), 20u, "TSC deadline timer");

	for (uint64_t i = 1; i <= 20; i++) {
		vm.start_job(0, {.kind = job_kind::ipi,
				 .target = 1,
				 .first = 0x72,
				 .last = 0x72,
				 .count = 1});
		vm.wait("the IPI is handled", [&] { return vm.handled(1, 0x72) == i; });
	}
}

void send_extint()
{
	ensure_kvm();
	guest_vm vm(1);
	vm.enable_pic(0x30);
	vm.start();
	for (uint64_t i = 1; i <= 10; i++) {
		vm.pulse_line(3);
		vm.wait("the PIC's interrupt is handled", [&] { return vm.handled(0, 0x33) == i; });
	}
}

/* What is sent to a vCPU with interrupts off stays pending, once a vector. */
void hold_pending()
{
	ensure_kvm();
	guest_vm vm(1);
	vm.start(guest_mode::masked);
	for (unsigned vector = 0x80; vector < 0x90; vector++) {
		CHECK_EQ(vm.send_msi(0, vector), 1, "first");
		CHECK_EQ(vm.send_msi(0, vector), 1, "second");
	}
	{
		parked guard(vm.at(0));
		kvm_lapic_state state = vm.at(0).lapic();

		for (unsigned vector = 0; vector < nr_vectors; vector++)
			CHECK_EQ(lapic_bit(state, lapic_irr, vector),
				 vector >= 0x80 && vector < 0x90, "vector {:#x}", vector);
	}
	CHECK_EQ(vm.handled_total(), 0u, "interrupts are off");
	vm.set_mode(0, guest_mode::leave);
	vm.set_mode(0, guest_mode::spin);
	vm.wait("all are handled", [&] { return vm.handled_total() == 16; });
}

void bear_load()
{
	ensure_kvm();
	guest_vm vm(2);
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	interrupt_load load(vm);
	load.start(10000);
	load.finish();
	wait_idle(vm);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned vector = 0; vector < nr_vectors; vector++) {
			CHECK(vm.handled(i, vector) <= load.sent(i, vector),
			      "vector {:#x}: {} of {}", vector, vm.handled(i, vector),
			      load.sent(i, vector));
			CHECK(vm.handled(i, vector) || !load.sent(i, vector),
			      "vector {:#x} was lost", vector);
		}
	}
	comment("{} sent, {} handled", load.sent(), vm.handled_total());
}

constexpr test_case cases[] = {
	{"host: MSI, irqfd, IOAPIC edge and level", send_each_way},
	{"guest: self-IPI, IPI, timers", send_from_guest},
	{"PIC through ExtINT", send_extint},
	{"interrupts off: pending once a vector", hold_pending},
	{"10,000 random interrupts", bear_load},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
