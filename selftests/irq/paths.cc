// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts by delivery path, coalescing and refusal, each against a known number
 * of interrupts of one kind.
 */
#include "observed_vm.hh"
#include "tap.hh"

using namespace corbel::selftest;

namespace {

constexpr unsigned times = 25;

/* All of `times` on one vector of one vCPU went by one path, and no other did. */
void check_path(observed_vm &observed, unsigned index, unsigned vector, unsigned path)
{
	wait_idle(observed.vm);
	auto vectors = irq_vectors(observed.irq.get(), index);

	for (unsigned p = 0; p < CORBEL_IRQ_PATHS; p++)
		CHECK_EQ(vectors[vector].accepted[p], p == path ? times : 0u,
			 "vector {:#x} path {}", vector, p);
	CHECK_EQ(vectors[vector].injected + vectors[vector].coalesced, times, "vector {:#x}",
		 vector);
	CHECK_EQ(observed.vm.handled(index, vector), vectors[vector].injected, "vector {:#x}",
		 vector);
	check_ledger(observed.irq.get(), observed.vm.nr_vcpus());
}

void count_device()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;

	vm.add_irqfd(1, 0x51, 0x51);
	vm.route_pin(5, 0, 0x52, trigger::edge);
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	for (unsigned i = 1; i <= times; i++) {
		CHECK_EQ(vm.send_msi(0, 0x50), 1, "MSI");
		vm.send_irqfd(1, 0x51);
		vm.pulse_line(5);
		vm.wait("the edge is handled", [&] { return vm.handled(0, 0x52) == i; });
	}
	check_path(observed, 0, 0x50, CORBEL_IRQ_PATH_DEVICE);
	check_path(observed, 1, 0x51, CORBEL_IRQ_PATH_DEVICE);
	check_path(observed, 0, 0x52, CORBEL_IRQ_PATH_DEVICE);
}

void count_ipi()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	vm.start_job(0, {.kind = job_kind::self_ipi, .first = 0x60, .last = 0x60, .count = times});
	vm.finish_job(0);
	vm.start_job(
		0,
		{.kind = job_kind::ipi, .target = 1, .first = 0x61, .last = 0x61, .count = times});
	vm.finish_job(0);
	check_path(observed, 0, 0x60, CORBEL_IRQ_PATH_IPI);
	check_path(observed, 1, 0x61, CORBEL_IRQ_PATH_IPI);
}

void count_local()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	vm.start_job(0, {.kind = job_kind::timer, .first = 0x70, .last = 0x70, .count = times});
	vm.start_job(1,
		     {.kind = job_kind::tsc_deadline, .first = 0x71, .last = 0x71, .count = times});
	vm.finish_job(0);
	vm.finish_job(1);
	check_path(observed, 0, 0x70, CORBEL_IRQ_PATH_LOCAL);
	check_path(observed, 1, 0x71, CORBEL_IRQ_PATH_LOCAL);
}

/* One of two may take it: the choice is KVM's, the count is right wherever. */
void count_lowest_priority()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	__u64 accepted = 0;

	vm.start();
	for (unsigned i = 1; i <= times; i++) {
		CHECK_EQ(vm.send_raw_msi(msi_address(3) | msi_logical, msi_lowest_priority | 0x54),
			 1, "MSI");
		vm.wait("it is handled",
			[&] { return vm.handled(0, 0x54) + vm.handled(1, 0x54) == i; });
	}
	for (unsigned i = 0; i < 2; i++)
		accepted +=
			irq_vectors(observed.irq.get(), i)[0x54].accepted[CORBEL_IRQ_PATH_DEVICE];
	CHECK_EQ(accepted, times, "lowest priority");
	/* Both take it. */
	CHECK(vm.send_raw_msi(msi_address(3) | msi_logical, 0x55) > 0, "MSI to both");
	wait_idle(vm);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(irq_vectors(observed.irq.get(), i)[0x55].injected, 1u, "vCPU {}", i);
	check_ledger(observed.irq.get(), 2);
}

void count_coalesced()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;

	vm.start(guest_mode::masked);
	for (unsigned i = 0; i < times; i++)
		CHECK_EQ(vm.send_msi(0, 0x80), 1, "MSI");
	auto vectors = irq_vectors(observed.irq.get(), 0);
	CHECK_EQ(vectors[0x80].accepted[CORBEL_IRQ_PATH_DEVICE], times, "interrupts off");
	CHECK_EQ(vectors[0x80].coalesced, times - 1, "interrupts off");
	CHECK_EQ(vectors[0x80].injected, 0u, "interrupts off");
	check_record_is_lapic(observed, 0);
	vm.set_mode(0, guest_mode::spin);
	wait_idle(vm);
	CHECK_EQ(irq_vectors(observed.irq.get(), 0)[0x80].injected, 1u, "interrupts on");
	CHECK_EQ(vm.handled(0, 0x80), 1u, "interrupts on");
	check_ledger(observed.irq.get(), 1);
}

/* Software-disabled APIC: KVM refuses, nothing gets pending. */
void count_dropped()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;

	vm.start();
	{
		parked guard(vm.at(0));
		vm.at(0).set_msr(msr::x2apic_svr, 0xff);
	}
	for (unsigned i = 0; i < times; i++)
		CHECK(vm.send_msi(0, 0x90) <= 0, "a disabled APIC took an interrupt");
	corbel_irq_vcpu now = observed.read(0);
	corbel_irq_vector vector = irq_vectors(observed.irq.get(), 0)[0x90];
	CHECK_EQ(vector.dropped, times, "of the vector");
	CHECK_EQ(now.dropped, times, "of the vCPU");
	CHECK_EQ(now.pending, 0u, "nothing is pending");
	check_record_is_lapic(observed, 0);
	{
		parked guard(vm.at(0));
		vm.at(0).set_msr(msr::x2apic_svr, 0x1ff);
	}
	CHECK_EQ(vm.send_msi(0, 0x90), 1, "enabled again");
	vm.wait("it is handled", [&] { return vm.handled(0, 0x90) == 1; });
	check_record_is_irr(observed.irq.get(), 1);
	check_ledger(observed.irq.get(), 1);
}

/* What has no vector is counted apart and never enters the record. */
void count_nmi()
{
	observed_vm observed(2);

	CHECK_EQ(observed.vm.send_raw_msi(msi_address(1), msi_nmi | 0x40), 1, "NMI");
	CHECK_EQ(observed.vm.send_raw_msi(msi_address(1), msi_init | 0x41), 1, "INIT");
	corbel_irq_vcpu now = observed.read(1);
	CHECK_EQ(now.nmi, 2u, "NMI and INIT");
	CHECK_EQ(sum_paths(now.accepted), 0u, "no interrupt");
	CHECK_EQ(count_vectors(now.record), 0u, "no interrupt");
	CHECK_EQ(observed.read(0).nmi, 0u, "the other vCPU");
}

constexpr test_case cases[] = {
	{"device", count_device},	{"IPI", count_ipi},
	{"local: timers", count_local}, {"lowest priority and multi-cast", count_lowest_priority},
	{"coalesced", count_coalesced}, {"dropped by a disabled APIC", count_dropped},
	{"NMI and INIT", count_nmi},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
