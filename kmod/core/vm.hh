/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vm.hh - one attachment to a VM.
 *
 * DOC: life of an attachment
 *
 *	live --- end() ---> ended --- last reference ---> freed
 *
 * References: one for each VM descriptor, one for each descriptor of a feature,
 * one for the pin. While it is live the attachment holds a reference to the
 * struct kvm, so every vCPU pointer stays valid. A reference to a dead VM would
 * keep its memory, so two notices end the attachment: the hook on the last close
 * of the kvm-vm file, and an mmu notifier for the exit of the owner, which works
 * even where the hook is missing. Both only raise a flag; the registry's work
 * does the ending in task context, where the final kvm_put_kvm() may destroy
 * the VM.
 */
#pragma once

#include <corbel/corbel.h>

#include "../compat/inventory.hh"
#include "../compat/kvm.h"
#include "../rt/atomic.hh"
#include "../rt/intrusive_list.hh"
#include "../rt/lock.hh"
#include "../rt/memory.hh"
#include "../rt/result.hh"
#include "feature.h"

namespace corbel::core {

using rt::Error;
using rt::Result;

/* Where the notices of one VM meet; static, so that a late one harms nobody. */
struct EndNotice;

class Vm {
public:
	/* Takes over the reference to @kvm in every case. Task. */
	static Result<Vm *> make(kvm *kvm, u64 id, EndNotice *notice);
	/* After end(), with no reference left. Task. */
	static void destroy(Vm *vm);

	[[nodiscard]] u64 id() const { return id_; }
	[[nodiscard]] EndNotice *notice() const { return notice_; }
	[[nodiscard]] bool is_live() const { return live_.load(rt::Order::acquire); }
	/* As features and the C side know it. */
	[[nodiscard]] corbel_vm *handle() { return reinterpret_cast<corbel_vm *>(this); }
	static Vm *from(corbel_vm *handle) { return reinterpret_cast<Vm *>(handle); }

	/* Lets go of the VM. Idempotent. Task. */
	void end();
	/* Tells the features about vCPUs that were made meanwhile. Task. */
	void rescan();

	/* A new descriptor of the feature in @slot, enabling it first. Task. */
	Result<int> open_feature(u32 slot);
	/* The feature's module goes away. Task. */
	void drop_feature(u32 slot);
	/* All but what the registry knows (pinned, nr_fds). Task. */
	void describe(corbel_vm_info *info);

	/* The registry's: guarded by its lock. */
	struct Shared {
		u32 references;
		u32 descriptors;
		bool pinned;
	};
	Shared shared{};
	rt::ListHook hook{};

private:
	struct Instance {
		const corbel_feature *feature;
		void *object;
	};

	rt::Mutex lock_{};
	u64 id_{};
	EndNotice *notice_{};
	rt::Atomic<bool> live_{}; /* changes under lock_ */
	/* Guarded by lock_ from here. */
	kvm *kvm_{};
	bool lapic_{};
	u32 vcpus_{};
	corbel_vm_watch *watch_{};
	Instance instance_[CORBEL_SLOTS]{};
};

} /* namespace corbel::core */
