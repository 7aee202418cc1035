// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attach and detach, load and unload, again and again while interrupts pour
 * into the VM. Every cycle is timed; afterwards the kernel must hold exactly
 * what it held before: VMs, slab objects, vmalloc areas. Run in a boot with
 * slub_debug=U, or the slab part is skipped with a word about it.
 */
#include "kvm_state.hh"
#include "observed_vm.hh"
#include "ring_reader.hh"
#include "tap.hh"
#include "timing.hh"

#include <optional>

using namespace corbel::selftest;

namespace {

constexpr unsigned warm_up = 3;

void observe(int device, guest_vm &vm, unsigned cycle)
{
	unique_fd attachment = attach(device, vm.fd());
	unique_fd irq = open_irq(attachment.get());
	std::optional<ring_reader> ring;

	if (cycle % 2)
		irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
	if (cycle % 3 == 0)
		ring.emplace(irq.get(), 8,
			     event_bit(CORBEL_EVENT_ACCEPT) | event_bit(CORBEL_EVENT_INJECT));
	vm.wait("interrupts are observed", [&] {
		return sum_paths(irq_vcpu(irq.get(), 0).accepted) >= 20 &&
		       sum_paths(irq_vcpu(irq.get(), 1).accepted) >= 20;
	});
	corbel_irq_check check = irq_check(irq.get());
	CHECK_EQ(check.missing, 0u, "cycle {}", cycle);
	CHECK_EQ(check.status_wrong, 0u, "cycle {}", cycle);
}

void tell_about_slab(const slab_usage &usage)
{
	if (usage.known)
		comment("allocations of ours while idle: {}", print_usage(usage));
	else
		comment("without slub_debug=U on the kernel's command line: slab objects are not checked");
}

struct loaded_vm {
	loaded_vm()
	{
		vm.start();
		vm.set_mode(1, guest_mode::halt);
		load.start();
	}
	guest_vm vm{2};
	interrupt_load load{vm};
};

void attach_again_and_again()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	const unsigned cycles = amount(8, 1000);
	{
		loaded_vm loaded;
		unique_fd device = connect_device();
		timing times("attach, observe, detach");

		for (unsigned i = 0; i < warm_up; i++)
			observe(device.get(), loaded.vm, i);
		slab_usage usage = read_settled_slab_usage(ours);
		tell_about_slab(usage);
		for (unsigned i = 0; i < cycles; i++)
			times.measure([&] { observe(device.get(), loaded.vm, i); });
		times.print();
		CHECK_EQ(query(device.get()).nr_vms, 0u, "attachments");
		wait_slab_usage(usage, ours);
		comment("{} interrupts were sent meanwhile", loaded.load.sent());
	}
	wait_kvm_state(before);
}

void load_again_and_again()
{
	need_own_modules();
	ensure_corbel();
	kvm_state before = read_kvm_state();
	const unsigned cycles = amount(3, 200);
	{
		loaded_vm loaded;
		timing loading("load"), observing("attach, observe, detach"), unloading("unload");

		observe(connect_device().get(), loaded.vm, 0);
		unload_corbel();
		slab_usage usage = read_settled_slab_usage(orphaned);
		for (unsigned i = 0; i < cycles; i++) {
			loading.measure(ensure_corbel);
			observing.measure([&] { observe(connect_device().get(), loaded.vm, i); });
			/* Every other time with a pinned attachment that has no descriptor. */
			if (i % 2) {
				unique_fd attachment =
					attach(connect_device().get(), loaded.vm.fd());
				open_irq(attachment.get());
				CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
			}
			unloading.measure(unload_corbel);
		}
		loading.print();
		observing.print();
		unloading.print();
		wait_slab_usage(usage, orphaned);
		comment("{} interrupts were sent meanwhile", loaded.load.sent());
	}
	wait_kvm_state(before);
}

constexpr test_case cases[] = {
	{"attach and detach", attach_again_and_again},
	{"load and unload", load_again_and_again},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
