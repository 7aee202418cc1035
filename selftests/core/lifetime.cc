// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VMs that end while we are attached, in every way a VM ends, and vCPUs that
 * appear while we are. Nothing of the VM may stay in the kernel: KVM's reference
 * count and its debugfs folder go back to what they were while our descriptors
 * are still open.
 */
#include "kvm_state.hh"
#include "observed_vm.hh"
#include "process.hh"
#include "ring_reader.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <functional>
#include <optional>
#include <poll.h>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

/* What can still be asked of a VM that has ended, and what cannot. */
void check_ended(int attachment, int irq, ring_reader &ring, const corbel_irq_vcpu &last)
{
	corbel_irq_ring another = {};
	corbel_irq_check check = {};

	CHECK_EQ(vm_info(attachment).state, CORBEL_VM_ENDED, "state");
	CHECK_EQ(irq_info(irq).ended, 1u, "observer");
	CHECK(sum_paths(irq_vcpu(irq, 0).accepted) >= sum_paths(last.accepted),
	      "the last counts are lost");
	irq_vectors(irq, 0);
	irq_hist(irq, 0);
	CHECK(ring.ended(), "the ring's header does not tell of the end");
	CHECK(ring.wait(0) & POLLHUP, "no POLLHUP on the ring");

	CHECK_EQ(set_pin(attachment, true), -ESTALE, "pinning");
	check.flags = CORBEL_IRQ_CHECK_ON;
	CHECK_EQ(request(irq, CORBEL_IRQ_CHECK, check), -ESTALE, "checking");
	another.order = CORBEL_RING_MIN_ORDER;
	another.events = 1u << CORBEL_EVENT_ACCEPT;
	CHECK_EQ(request(irq, CORBEL_IRQ_RING, another), -ESTALE, "one more ring");
}

void end_while_attached(const std::function<void(vm_process &)> &end)
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	unique_fd device = connect_device();
	vm_process process(2);
	unique_fd attachment = attach(device.get(), process.vm_fd().get());
	unique_fd irq = open_irq(attachment.get());
	std::optional<ring_reader> ring(std::in_place, irq.get(), 10,
					event_bit(CORBEL_EVENT_ACCEPT) |
						event_bit(CORBEL_EVENT_INJECT));
	std::optional<status_page> page(std::in_place, irq.get());

	irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
	wait_until("interrupts are observed",
		   [&] { return sum_paths(irq_vcpu(irq.get(), 0).accepted) > 500; });
	corbel_irq_vcpu last = irq_vcpu(irq.get(), 0);
	end(process);
	wait_until("the attachment sees the end", [&] {
		return vm_info(attachment.get()).state == CORBEL_VM_ENDED &&
		       irq_info(irq.get()).ended;
	});
	wait_kvm_state(before);
	wait_until("the ring is told", [&] { return ring->ended(); });
	check_ended(attachment.get(), irq.get(), *ring, last);
	CHECK_EQ(__u64{page->line(0)->reserved[0]}, 0u, "the status page is still mapped");

	/* Every descriptor and mapping keeps what it belongs to, ended or not. */
	page.reset();
	ring.reset();
	attachment.reset();
	irq.reset();
	wait_until("the attachment is gone", [&] { return query(device.get()).nr_vms == 0; });
}

void exit_while_attached()
{
	end_while_attached([](vm_process &process) { process.finish(); });
}

void kill_while_attached()
{
	end_while_attached([](vm_process &process) { process.kill(); });
}

void close_while_attached()
{
	end_while_attached([](vm_process &process) { process.close_vm(); });
}

/* Nobody has a descriptor of it: the end of the VM alone ends a pinned one. */
void kill_while_pinned()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	unique_fd device = connect_device();
	vm_process process(2);
	{
		unique_fd attachment = attach(device.get(), process.vm_fd().get());
		unique_fd irq = open_irq(attachment.get());
		CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
	}
	CHECK_EQ(query(device.get()).nr_vms, 1u, "pinned");
	process.kill();
	wait_until("the pinned attachment ends", [&] { return query(device.get()).nr_vms == 0; });
	wait_kvm_state(before);
}

/* The observing process is killed: the VM goes on, the attachment does not. */
void kill_observer()
{
	ensure_corbel();
	unique_fd device = connect_device();
	vm_process process(1);
	child_process observer([&](child_process &self) {
		unique_fd device = connect_device();
		unique_fd attachment = attach(device.get(), process.vm_fd().get());
		unique_fd irq = open_irq(attachment.get());
		self.tell(0);
		pause();
	});

	observer.hear();
	CHECK_EQ(query(device.get()).nr_vms, 1u, "attached");
	observer.kill(SIGKILL);
	observer.reap();
	wait_until("the attachment is gone", [&] { return query(device.get()).nr_vms == 0; });
	unique_fd attachment = attach(device.get(), process.vm_fd().get());
	unique_fd irq = open_irq(attachment.get());
	wait_until("the VM goes on",
		   [&] { return sum_paths(irq_vcpu(irq.get(), 0).accepted) > 100; });
}

/* Readers on every descriptor while the VM goes away under them. */
void read_through_end()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	for (unsigned round = 0; round < 5; round++) {
		unique_fd device = connect_device();
		vm_process process(2);
		unique_fd attachment = attach(device.get(), process.vm_fd().get());
		unique_fd irq = open_irq(attachment.get());
		std::atomic<bool> stop = false;
		std::atomic<uint64_t> reads = 0;
		std::vector<std::thread> readers;

		for (unsigned i = 0; i < 2; i++) {
			readers.emplace_back([&] {
				while (!stop) {
					corbel_irq_vcpu vcpu = {};
					corbel_vm_info info = {};

					vcpu.flags = reads & 1 ? CORBEL_IRQ_F_RESYNC : 0;
					request(irq.get(), CORBEL_IRQ_VCPU, vcpu);
					request(attachment.get(), CORBEL_VM_INFO, info);
					reads++;
				}
			});
		}
		wait_until("the readers read", [&] { return reads > 200; });
		process.kill();
		wait_for([&] { return vm_info(attachment.get()).state == CORBEL_VM_ENDED; });
		stop = true;
		for (std::thread &reader : readers)
			reader.join();
		CHECK_EQ(vm_info(attachment.get()).state, CORBEL_VM_ENDED, "state");
	}
	wait_kvm_state(before);
}

void observe_late_vcpus()
{
	observed_vm observed(1, 4);
	guest_vm &vm = observed.vm;
	ring_reader ring(observed.irq.get(), 8, event_bit(CORBEL_EVENT_VCPU));

	vm.start();
	for (unsigned i = 1; i < 4; i++) {
		vm.add_vcpu();
		vm.start();
		for (unsigned n = 1; n <= 10; n++) {
			CHECK_EQ(vm.send_msi(i, 0x40 + i), 1, "MSI to the new vCPU");
			vm.wait("it is handled", [&] { return vm.handled(i, 0x40 + i) == n; });
		}
		wait_until("the vCPU is observed",
			   [&] { return irq_info(observed.irq.get()).nr_vcpus == i + 1; });
		CHECK_EQ(vm_info(observed.attachment.get()).nr_vcpus, i + 1, "attachment");

		/* From here on it is counted like any other. */
		uint64_t accepted = sum_paths(observed.read(i).accepted);
		uint64_t handled = vm.handled(i, 0x60);
		for (unsigned n = 1; n <= 10; n++) {
			CHECK_EQ(vm.send_msi(i, 0x60), 1, "MSI");
			vm.wait("it is handled",
				[&] { return vm.handled(i, 0x60) == handled + n; });
		}
		wait_idle(vm);
		corbel_irq_vcpu now = observed.read(i);
		CHECK_EQ(sum_paths(now.accepted), accepted + 10, "vCPU {}", i);
		CHECK_EQ(now.vcpu_id, i, "vCPU {}", i);
		check_record_is_irr(observed.irq.get(), i + 1);
		status_page page(observed.irq.get());
		CHECK_EQ(page.line(0)->present, (2u << i) - 1, "vCPUs in the status page");

		auto event = ring.next();
		CHECK(event && event->type == CORBEL_EVENT_VCPU && event->vcpu == i &&
			      event->arg == i,
		      "no event tells of vCPU {}", i);
	}
	CHECK_EQ(irq_check(observed.irq.get(), CORBEL_IRQ_CHECK_ON).missing, 0u,
		 "checking from here");
}

constexpr test_case cases[] = {
	{"the process exits", exit_while_attached},
	{"the process is killed", kill_while_attached},
	{"the VM is closed, its process lives", close_while_attached},
	{"a pinned VM is killed", kill_while_pinned},
	{"the observing process is killed", kill_observer},
	{"reading while the VM ends", read_through_end},
	{"vCPUs that appear after attaching", observe_late_vcpus},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
