/* SPDX-License-Identifier: GPL-2.0 */
/*
 * registry.hh - all attachments, their references, and the notices of KVM.
 *
 * Everything here is task context unless said otherwise.
 */
#pragma once

#include "../rt/result.hh"
#include "vm.hh"

namespace corbel::core {

/* VMs that can be attached at a time; the notices are a static table. */
constexpr u32 max_vms = 256;

struct EndNotice {
	rt::Atomic<kvm *> of; /* nullptr: free. Compared, never followed */
	/*
	 * Of which VM the end was noticed. A notice that was taken over by another VM
	 * meanwhile is thus not believed: the late hook's own VM still exists then, so
	 * the other has another address.
	 */
	rt::Atomic<const kvm *> raised_for;

	[[nodiscard]] bool is_raised() const
	{
		return of.load(rt::Order::acquire) == raised_for.load(rt::Order::acquire);
	}
};

Result<void> init_registry();
/* No descriptor is left; ends the pinned attachments. */
void exit_registry();

/* One more reference for a VM descriptor, to a new or a known attachment. */
Result<Vm *> attach(s32 vm_fd);
Result<Vm *> open(u64 id);
void close_descriptor(Vm *vm);
void get(Vm *vm);
void put(Vm *vm);
Result<void> set_pinned(Vm *vm, bool pinned);

u32 count_vms();
void describe(Vm *vm, corbel_vm_info *info);
/*
 * Calls @each(Vm &) for every attachment, holding a reference but no lock. Stops
 * early if it returns an error.
 */
template <typename Each>
Result<void> for_each_vm(const Each &each);

/* nullptr: not loaded. Valid while a VM's lock is held. */
const corbel_feature *feature_of(u32 slot);
u64 enabled_features();

/* For the VM that the EndNotice is of. Any context but NMI. */
void raise_end_notice(void *notice);
/* The attachment has let go of its VM: another one may take the notice. */
void release_end_notice(EndNotice *notice);

/* Steps of for_each_vm. */
Vm *first_vm();
Vm *next_vm(Vm *vm); /* drops the reference to @vm */

template <typename Each>
Result<void> for_each_vm(const Each &each)
{
	for (Vm *vm = first_vm(); vm; vm = next_vm(vm)) {
		const Result<void> done = each(*vm);

		if (!done) {
			put(vm);
			return done;
		}
	}
	return {};
}

} /* namespace corbel::core */
