// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ground truth. Two vCPUs spin, halt, exit and hold their interrupts back while
 * interrupts come in every way there is; the module compares record and IRR at
 * every VM entry, and whenever all is quiet four parties must agree: the record,
 * the IRR, KVM_GET_LAPIC and the handlers in the guest.
 */
#include "injections.hh"
#include "observed_vm.hh"
#include "tap.hh"
#include "wait.hh"

using namespace corbel::selftest;

namespace {

constexpr unsigned self_first = 0x20, self_last = 0x2b;
constexpr unsigned ipi_first = 0x2c, ipi_last = 0x37;
constexpr unsigned timer_vector = 0x38, deadline_vector = 0x39;
constexpr unsigned edge_pin = 5, edge_vector = 0xe0;
constexpr unsigned level_pin = 6, level_vector = 0xe1;

struct phase {
	guest_mode mode[2];
};

constexpr phase phases[] = {
	{{guest_mode::spin, guest_mode::halt}},	  {{guest_mode::halt, guest_mode::halt}},
	{{guest_mode::spin, guest_mode::spin}},	  {{guest_mode::exits, guest_mode::halt}},
	{{guest_mode::halt, guest_mode::masked}}, {{guest_mode::exits, guest_mode::exits}},
};

__u64 count_accepted(const observed_vm &observed)
{
	return sum_paths(observed.read(0).accepted) + sum_paths(observed.read(1).accepted);
}

/* What the guest itself sends, on the vCPU that has interrupts on in all phases. */
void send_from_guest(guest_vm &vm, unsigned round)
{
	switch (round % 4) {
	case 0:
		vm.start_job(0, {.kind = job_kind::self_ipi,
				 .first = self_first,
				 .last = self_last,
				 .count = 600});
		break;
	case 1:
		vm.start_job(0, {.kind = job_kind::ipi,
				 .target = 1,
				 .first = ipi_first,
				 .last = ipi_last,
				 .count = 600});
		break;
	case 2:
		vm.start_job(0, {.kind = job_kind::timer,
				 .first = timer_vector,
				 .last = timer_vector,
				 .count = 20});
		break;
	case 3:
		vm.start_job(0, {.kind = job_kind::tsc_deadline,
				 .first = deadline_vector,
				 .last = deadline_vector,
				 .count = 20});
		break;
	}
}

void send_through_ioapic(guest_vm &vm)
{
	for (unsigned i = 0; i < 20; i++) {
		vm.pulse_line(edge_pin);
		uint64_t before = vm.handled(0, level_vector);
		vm.set_line(level_pin, true);
		vm.wait("the level interrupt is handled",
			[&] { return vm.handled(0, level_vector) > before; });
		vm.set_line(level_pin, false);
	}
}

void agree_in_all_phases()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	const __u64 wanted = amount(15000, 1000000);
	const __u64 piece = wanted < 200000 ? 2500 : 20000;

	irq_check(irq, CORBEL_IRQ_CHECK_ON);
	vm.route_pin(edge_pin, 1, edge_vector, trigger::edge);
	vm.route_pin(level_pin, 0, level_vector, trigger::level);
	interrupt_load load(vm);
	vm.start();

	std::string miscount;
	injections given = read_injections(vm, irq);
	uint64_t twice = 0;
	unsigned rounds = 0;
	for (; count_accepted(observed) < wanted; rounds++) {
		const phase &now = phases[rounds % std::size(phases)];

		for (unsigned i = 0; i < 2; i++)
			vm.set_mode(i, now.mode[i]);
		load.start(piece);
		send_from_guest(vm, rounds);
		send_through_ioapic(vm);
		vm.finish_job(0);
		load.finish();
		wait_idle(vm);

		check_record_is_irr(irq, 2);
		check_record_is_lapic(observed, 0);
		check_record_is_lapic(observed, 1);
		/* Counts are judged at the end: the comparison is worth going on with. */
		try {
			for (unsigned i = 0; i < 2; i++)
				CHECK_EQ(observed.read(i).extint, 0u,
					 "vCPU {}: there is no PIC here", i);
			check_ledger(irq, 2);
			injections now = read_injections(vm, irq);
			twice += check_injections(given, now);
			given = now;
		} catch (const failure &error) {
			if (miscount.empty())
				miscount = fmt::format("after {} accepted: {}",
						       count_accepted(observed), error.what());
		}
		if (now.mode[1] == guest_mode::masked)
			CHECK(count_vectors(observed.read(1).record) > 50,
			      "interrupts are off, yet only {} are pending",
			      count_vectors(observed.read(1).record));
		if (rounds % 10 == 9)
			comment("{} of {} accepted, missing {}, status wrong {}",
				count_accepted(observed), wanted, irq_check(irq).missing,
				irq_check(irq).status_wrong);
	}

	corbel_irq_check check = irq_check(irq);
	comment("{} accepted in {} rounds; {} VM entries compared, {} with a non-empty IRR; missing {}, extra {}, "
		"status wrong {}; {} handled by the guest, {} of them twice",
		count_accepted(observed), rounds, check.entries, check.nonempty, check.missing,
		check.extra, check.status_wrong, vm.handled_total(), twice);
	CHECK_EQ(check.missing, 0u, "entries at which the IRR held more than the record");
	CHECK_EQ(check.status_wrong, 0u,
		 "entries at which the status bit was 0 and the IRR not empty");
	CHECK(miscount.empty(), "{}", miscount);
	CHECK(check.entries > rounds && check.nonempty > rounds,
	      "the comparison was vacuous: {} entries, {} non-empty", check.entries,
	      check.nonempty);
}

/* Attaching to a VM in the middle of its interrupts: exact from then on. */
void attach_under_load()
{
	ensure_corbel();
	guest_vm vm(2);
	interrupt_load load(vm, 7);
	unique_fd device = connect_device();
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	load.start();

	for (unsigned round = 0; round < 5; round++) {
		unique_fd attachment = attach(device.get(), vm.fd());
		unique_fd irq = open_irq(attachment.get());
		irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
		vm.wait("entries are compared",
			[&] { return irq_check(irq.get()).nonempty > 200; });
		corbel_irq_check check = irq_check(irq.get(), CORBEL_IRQ_CHECK_OFF);
		CHECK_EQ(check.missing, 0u, "round {}", round);
		CHECK_EQ(check.status_wrong, 0u, "round {}", round);
		if (round == 4) {
			load.stop();
			wait_idle(vm);
			check_record_is_irr(irq.get(), 2);
		}
	}
}

/*
 * Each vector is sent again only when it has been handled, so none is ever coalesced and
 * one that is not accounted for is seen.
 */
void count_from_the_middle()
{
	constexpr unsigned first = 0x40, last = 0x5f;

	ensure_corbel();
	guest_vm vm(2);
	unique_fd device = connect_device();
	vm.start();
	vm.set_mode(1, guest_mode::halt);
	for (unsigned round = 0; round < amount(4, 40); round++) {
		const unsigned index = round % 2;
		std::atomic<bool> stop = false;
		std::thread sender([&] {
			while (!stop) {
				uint64_t all = vm.memory(index).total + last - first + 1;

				for (unsigned vector = first; vector <= last; vector++)
					vm.send_msi(index, vector);
				while (vm.memory(index).total < all && !stop)
					std::this_thread::yield();
			}
		});
		unique_fd attachment, irq;
		try {
			attachment = attach(device.get(), vm.fd());
			irq = open_irq(attachment.get());
			vm.wait("interrupts are observed",
				[&] { return irq_vcpu(irq.get(), index).injected > 1000; });
		} catch (...) {
			stop = true;
			sender.join();
			throw;
		}
		stop = true;
		sender.join();
		wait_idle(vm);
		check_ledger(irq.get(), 2);
		corbel_irq_vcpu now = irq_vcpu(irq.get(), index);
		CHECK_EQ(now.coalesced + now.dropped, 0u, "round {}", round);
	}
}

/* What was pending before anybody looked is in the record at once. */
void find_what_was_pending()
{
	ensure_corbel();
	guest_vm vm(2);
	unique_fd device = connect_device();

	vm.start(guest_mode::masked);
	for (unsigned vector = 0x41; vector < 0x100; vector += 7)
		CHECK_EQ(vm.send_msi(1, vector), 1, "MSI");
	unique_fd attachment = attach(device.get(), vm.fd());
	unique_fd irq = open_irq(attachment.get());
	check_record_is_irr(irq.get(), 2);
	CHECK_EQ(count_vectors(irq_vcpu(irq.get(), 1).record), 28u, "pending before attaching");
	CHECK_EQ(irq_vcpu(irq.get(), 0).pending, 0u, "the other vCPU");
}

void tell_residency()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	vm.wait("vCPU 1 halts", [&] { return observed.read(1).residency == CORBEL_RES_HALTED; });
	vm.wait("vCPU 0 runs", [&] { return observed.read(0).residency == CORBEL_RES_RESIDENT; });
	parked guard(vm.at(0));
	vm.wait("vCPU 0 is outside KVM",
		[&] { return observed.read(0).residency == CORBEL_RES_USER; });
}

constexpr test_case cases[] = {
	{"record, IRR, LAPIC and guest agree", agree_in_all_phases},
	{"attached under load", attach_under_load},
	{"counted from the middle", count_from_the_middle},
	{"pending before attaching", find_what_was_pending},
	{"where a vCPU is", tell_residency},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
