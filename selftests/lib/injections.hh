/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a VM was given, as three count it: the observer, KVM, and the guest.
 */
#pragma once

#include "vm.hh"

#include <array>
#include <vector>

namespace corbel::selftest {

struct injections {
	uint64_t injected = 0; /* by the observer, of all vCPUs */
	uint64_t reinjected = 0;
	uint64_t given_by_kvm = 0; /* both, as KVM's debugfs has it */
	/* Of each vCPU and vector. */
	std::vector<std::array<uint64_t, nr_vectors>> of_vector;
	std::vector<std::array<uint64_t, nr_vectors>> handled;
};

/* @irq: an IRQ fd of @vm. While all is quiet. */
injections read_injections(guest_vm &vm, int irq);

/*
 * From @before to @now the three agree, or the case fails. KVM injects again what it is
 * told was cut short, and an emulated machine now and then says so of what the guest has
 * got: then the guest handles it twice. Returns how often.
 */
uint64_t check_injections(const injections &before, const injections &now);

} // namespace corbel::selftest
