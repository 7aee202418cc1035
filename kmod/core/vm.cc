// SPDX-License-Identifier: GPL-2.0
#include "vm.hh"

#include "registry.hh"

namespace corbel::core {

Result<Vm *> Vm::make(kvm *kvm, u64 id, EndNotice *notice)
{
	auto made = rt::Box<Vm>::make(rt::Context::task);

	if (!made) {
		corbel_kvm_put(kvm);
		return made.error();
	}
	rt::Box<Vm> vm = std::move(made).value();
	Result<void> ready = vm->lock_.init(rt::Role::vm);

	if (ready)
		ready = rt::check_shim(
			corbel_vm_watch_new(kvm, raise_end_notice, notice, &vm->watch_));
	if (!ready) {
		vm->lock_.destroy();
		corbel_kvm_put(kvm);
		return ready.error();
	}
	corbel_inventory_count_owner_exit(1);
	vm->kvm_ = kvm;
	vm->id_ = id;
	vm->notice_ = notice;
	vm->vcpus_ = corbel_kvm_vcpus(kvm);
	vm->lapic_ = corbel_kvm_has_lapic(kvm);
	vm->live_.store(true, rt::Order::release);
	return vm.release();
}

void Vm::destroy(Vm *vm)
{
	for (Instance &it : vm->instance_) {
		if (it.object)
			it.feature->destroy(it.object);
	}
	vm->lock_.destroy();
	(void)rt::Box<Vm>::adopt(vm);
}

void Vm::end()
{
	kvm *kvm = nullptr;

	{
		const rt::MutexGuard guard(lock_);

		if (!live_.load(rt::Order::relaxed))
			return;
		for (Instance &it : instance_) {
			if (it.object)
				it.feature->ended(it.object);
		}
		vcpus_ = corbel_kvm_vcpus(kvm_);
		corbel_vm_watch_free(watch_);
		corbel_inventory_count_owner_exit(-1);
		watch_ = nullptr;
		kvm = kvm_;
		kvm_ = nullptr;
		live_.store(false, rt::Order::release);
		/*
		 * Now, and not with the last descriptor: the next VM may get this one's
		 * address, and must not be taken for it.
		 */
		release_end_notice(notice_);
	}
	corbel_kvm_put(kvm);
}

void Vm::rescan()
{
	const rt::MutexGuard guard(lock_);

	if (!live_.load(rt::Order::relaxed))
		return;
	vcpus_ = corbel_kvm_vcpus(kvm_);
	lapic_ = corbel_kvm_has_lapic(kvm_);
	for (Instance &it : instance_) {
		if (it.object)
			it.feature->vcpus_changed(it.object);
	}
}

Result<int> Vm::open_feature(u32 slot)
{
	const rt::MutexGuard guard(lock_);
	Instance &it = instance_[slot];

	if (!it.object) {
		/* Its module cannot go away meanwhile: leaving takes lock_ of each VM. */
		const corbel_feature *feature = feature_of(slot);

		if (!feature || !feature->create)
			return Error::not_supported;
		if (!live_.load(rt::Order::relaxed))
			return Error::stale;
		CORBEL_TRY(rt::check_shim(feature->create(handle(), kvm_, &it.object)));
		it.feature = feature;
	}
	return rt::from_shim(it.feature->open(it.object));
}

void Vm::drop_feature(u32 slot)
{
	const rt::MutexGuard guard(lock_);
	Instance &it = instance_[slot];

	if (!it.object)
		return;
	if (live_.load(rt::Order::relaxed))
		it.feature->ended(it.object);
	it.feature->destroy(it.object);
	it = {};
}

void Vm::describe(corbel_vm_info *info)
{
	const rt::MutexGuard guard(lock_);
	const bool live = live_.load(rt::Order::relaxed);

	if (live) {
		vcpus_ = corbel_kvm_vcpus(kvm_);
		lapic_ = corbel_kvm_has_lapic(kvm_);
	}
	info->vm_id = id_;
	info->pid = live ? corbel_kvm_pid(kvm_) : 0;
	info->state = live ? CORBEL_VM_LIVE : CORBEL_VM_ENDED;
	info->nr_vcpus = vcpus_;
	info->lapic = lapic_;
	info->features = 0;
	for (u32 slot = 0; slot < CORBEL_SLOTS; slot++) {
		if (instance_[slot].object)
			info->features |= u64{1} << slot;
	}
}

} /* namespace corbel::core */
