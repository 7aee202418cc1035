// SPDX-License-Identifier: GPL-2.0-or-later
#include "load.hh"
#include "tap.hh"
#include "wait.hh"

#include <chrono>

namespace corbel::selftest {

bool pace::is_ahead()
{
	bool ahead = false;

	for (unsigned i = 0; i < seen.size(); i++) {
		const uint64_t loops = vm.memory(i).loops, handled = vm.memory(i).total;
		progress &last = seen[i];

		if (handled != last.handled)
			last.looks = 0;
		else
			last.looks++;
		last.handled = handled;
		if (loops != last.loops || last.looks >= looks_at_rest) {
			last.loops = loops;
			last.handled_then = handled;
		}
		ahead |= handled != last.handled_then;
	}
	return ahead;
}

void pace::rest(std::chrono::microseconds rest)
{
	std::this_thread::sleep_for(rest);
	while (is_ahead())
		std::this_thread::sleep_for(std::chrono::microseconds(100));
}

interrupt_load::interrupt_load(guest_vm &vm, unsigned seed)
	: vm(vm), random(seed), counts(vm.nr_vcpus())
{
	for (unsigned i = 0; i < vm.nr_vcpus(); i++)
		vm.add_irqfd(i, first_irqfd, last_irqfd);
}

interrupt_load::~interrupt_load()
{
	stopping = true;
	if (thread.joinable())
		thread.join();
}

void interrupt_load::start(uint64_t more)
{
	todo = more;
	stopping = false;
	finished = false;
	thread = std::thread([this] { loop(); });
}

void interrupt_load::finish()
{
	vm.wait("the interrupt load is sent", [this] { return finished.load(); });
	stop();
}

void interrupt_load::stop()
{
	stopping = true;
	if (thread.joinable())
		thread.join();
	CHECK(failed_because.empty(), "{}", failed_because);
}

void interrupt_load::loop()
try {
	pace pace(vm);

	for (uint64_t i = 0; i < todo && !stopping; i++) {
		unsigned dice = random();
		unsigned index = (dice >> 16) % vm.nr_vcpus();
		unsigned vector;

		if (dice & 1) {
			vector = first_irqfd + (dice >> 4) % (last_irqfd - first_irqfd + 1);
			vm.send_irqfd(index, vector);
		} else {
			vector = first_msi + (dice >> 4) % (last_msi - first_msi + 1);
			int result = vm.send_msi(index, vector);
			CHECK(result >= 0, "KVM_SIGNAL_MSI answers {}", error_name(result));
		}
		counts[index][vector]++;
		total++;
		/* Bursts of about sixteen, so that the vCPUs get a turn and HLT happens. */
		if (dice >> 28 == 0)
			pace.rest(std::chrono::microseconds((dice >> 24 & 15) << 4));
	}
	finished = true;
} catch (const std::exception &error) {
	failed_because = error.what();
	finished = true;
}

void wait_idle(guest_vm &vm)
{
	vm.wait("the guest has handled what was sent", [&] {
		for (unsigned i = 0; i < vm.nr_vcpus(); i++) {
			if (vm.memory(i).mode_seen == guest_mode::masked || !vm.at(i).started())
				continue;
			parked guard(vm.at(i));
			kvm_lapic_state state = vm.at(i).lapic();
			kvm_vcpu_events events = {};

			KVM_CALL(vm.at(i).fd(), KVM_GET_VCPU_EVENTS, &events);
			if (events.interrupt.injected)
				return false;
			for (unsigned vector = 0; vector < nr_vectors; vector++)
				if (lapic_bit(state, lapic_irr, vector) ||
				    lapic_bit(state, lapic_isr, vector))
					return false;
		}
		return true;
	});
}

} // namespace corbel::selftest
