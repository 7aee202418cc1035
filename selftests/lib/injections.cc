// SPDX-License-Identifier: GPL-2.0-or-later
#include "injections.hh"
#include "device.hh"
#include "kvm_state.hh"
#include "tap.hh"

namespace corbel::selftest {

injections read_injections(guest_vm &vm, int irq)
{
	injections now;

	now.given_by_kvm = read_kvm_stat(vm.fd(), "irq_injections");
	for (unsigned i = 0; i < vm.nr_vcpus(); i++) {
		const auto vectors = irq_vectors(irq, i);
		const corbel_irq_vcpu total = irq_vcpu(irq, i);
		auto &of_vector = now.of_vector.emplace_back();
		auto &handled = now.handled.emplace_back();

		now.injected += total.injected;
		now.reinjected += total.reinjected;
		for (unsigned v = 0; v < nr_vectors; v++) {
			of_vector[v] = vectors[v].injected;
			handled[v] = vm.handled(i, v);
		}
	}
	return now;
}

uint64_t check_injections(const injections &before, const injections &now)
{
	const uint64_t reinjected = now.reinjected - before.reinjected;
	uint64_t twice = 0;

	CHECK_EQ(now.injected - before.injected + reinjected,
		 now.given_by_kvm - before.given_by_kvm,
		 "injected and reinjected, here and by KVM");
	for (unsigned i = 0; i < now.handled.size(); i++)
		for (unsigned v = first_vector; v < nr_vectors; v++) {
			const uint64_t injected = now.of_vector[i][v] - before.of_vector[i][v];
			const uint64_t handled = now.handled[i][v] - before.handled[i][v];

			CHECK(handled >= injected,
			      "vCPU {} vector {:#x}: {} injected, {} handled by the guest", i, v,
			      injected, handled);
			twice += handled - injected;
		}
	CHECK(twice <= reinjected, "{} handled that were not injected, {} re-injected", twice,
	      reinjected);
	return twice;
}

} // namespace corbel::selftest
