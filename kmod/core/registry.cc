// SPDX-License-Identifier: GPL-2.0
#include "registry.hh"

#include "../compat/inventory.hh"
#include "compat/generated_offsets.h"

extern "C" {
/* core_hooks.S */
void corbel_vcpu_created_hook(void);
void corbel_vm_closed_hook(void);
/* Called by it. Any context but NMI; must not sleep. */
void corbel_vcpu_created(struct kvm_vcpu *vcpu);
void corbel_vm_closed(void *inode, void *file);
}

namespace corbel::core {
namespace {

using rt::Order;

struct Vms {
	rt::List<Vm, &Vm::hook> list;
	u32 count;
	u64 next_id;
};

/* Held while attachments come and go, so that a VM never has two at a time. */
constinit rt::Mutex attach_lock{};
constinit rt::Guarded<Vms> vms{};
constinit rt::Atomic<const corbel_feature *> features[CORBEL_SLOTS]{};
constinit EndNotice notices[max_vms]{};
/* Ends the VMs whose notice was raised and tells the others about vCPUs. */
constinit corbel_work *service_work = nullptr;

void service(void *)
{
	(void)for_each_vm([](Vm &vm) -> Result<void> {
		if (vm.is_live() && vm.notice()->is_raised()) {
			vm.end();
			(void)set_pinned(&vm, false); /* only pinning can fail */
		} else {
			vm.rescan();
		}
		return {};
	});
}

EndNotice *take_notice(kvm *kvm)
{
	for (EndNotice &notice : notices) {
		if (!notice.of.load(Order::relaxed)) {
			notice.raised_for.store(nullptr, Order::relaxed);
			notice.of.store(kvm, Order::release);
			return &notice;
		}
	}
	return nullptr;
}

void *as_handler(void (*function)(void))
{
	return reinterpret_cast<void *>(function);
}

/* Missing hooks degrade, see the inventory; attaching goes on without. */
void install_hooks()
{
	(void)corbel_hook_install(CORBEL_HOOK_VCPU_CREATED, as_handler(corbel_vcpu_created_hook));
	(void)corbel_hook_install(CORBEL_HOOK_VM_CLOSED, as_handler(corbel_vm_closed_hook));
}

void remove_hooks()
{
	corbel_hook_remove(CORBEL_HOOK_VCPU_CREATED, as_handler(corbel_vcpu_created_hook));
	corbel_hook_remove(CORBEL_HOOK_VM_CLOSED, as_handler(corbel_vm_closed_hook));
}

/* The attachment of @kvm with one more descriptor, or nullptr. */
Vm *find_and_get(const EndNotice *notice)
{
	auto all = vms.lock();

	for (Vm &vm : all->list) {
		if (vm.notice() == notice && vm.is_live()) {
			vm.shared.references++;
			vm.shared.descriptors++;
			return &vm;
		}
	}
	return nullptr;
}

const EndNotice *notice_of(const kvm *kvm)
{
	for (const EndNotice &notice : notices) {
		if (notice.of.load(Order::relaxed) == kvm)
			return &notice;
	}
	return nullptr;
}

/* attach_lock held; the last reference is gone, the list still has it. */
void retire(Vm *vm)
{
	bool last;

	vm->end();
	{
		auto all = vms.lock();

		all->list.remove(*vm);
		last = --all->count == 0;
	}
	Vm::destroy(vm);
	if (last)
		remove_hooks();
}

} /* namespace */

Result<void> init_registry()
{
	CORBEL_TRY(attach_lock.init(rt::Role::attach));
	CORBEL_TRY(vms.init(rt::Role::registry));
	service_work = corbel_work_new(service, nullptr);
	if (!service_work)
		return Error::no_memory;
	return {};
}

void exit_registry()
{
	if (service_work) {
		(void)for_each_vm([](Vm &vm) { return set_pinned(&vm, false); });
		/* All attachments are gone, so nothing can queue it again. */
		corbel_work_cancel(service_work);
		corbel_work_free(service_work);
	}
	vms.destroy();
	attach_lock.destroy();
}

Result<Vm *> attach(s32 vm_fd)
{
	kvm *kvm = nullptr;

	CORBEL_TRY(rt::check_shim(corbel_kvm_from_fd(vm_fd, &kvm)));
	const rt::MutexGuard guard(attach_lock);

	if (const EndNotice *known = notice_of(kvm)) {
		Vm *vm = find_and_get(known);

		corbel_kvm_put(kvm);
		if (vm)
			return vm;
		return Error::stale;
	}
	EndNotice *notice = take_notice(kvm);

	if (!notice) {
		corbel_kvm_put(kvm);
		return Error::too_many_files;
	}
	bool first;
	u64 id;
	{
		auto all = vms.lock();

		first = all->count == 0;
		id = ++all->next_id;
	}
	if (first)
		install_hooks();
	const Result<Vm *> made = Vm::make(kvm, id, notice);

	if (!made) {
		notice->of.store(nullptr, Order::release);
		if (first)
			remove_hooks();
		return made.error();
	}
	auto all = vms.lock();
	Vm *vm = made.value(); /* checked above */

	vm->shared = {.references = 1, .descriptors = 1, .pinned = false};
	all->list.push_back(*vm);
	all->count++;
	return vm;
}

Result<Vm *> open(u64 id)
{
	auto all = vms.lock();

	for (Vm &vm : all->list) {
		if (vm.id() == id && vm.shared.references) {
			vm.shared.references++;
			vm.shared.descriptors++;
			return &vm;
		}
	}
	return Error::not_found;
}

void get(Vm *vm)
{
	auto all = vms.lock();

	vm->shared.references++;
}

void put(Vm *vm)
{
	const rt::MutexGuard guard(attach_lock);

	{
		auto all = vms.lock();

		if (--vm->shared.references)
			return;
	}
	retire(vm);
}

void close_descriptor(Vm *vm)
{
	{
		auto all = vms.lock();

		vm->shared.descriptors--;
	}
	put(vm);
}

Result<void> set_pinned(Vm *vm, bool pinned)
{
	{
		auto all = vms.lock();

		if (vm->shared.pinned == pinned)
			return {};
		if (pinned && !vm->is_live())
			return Error::stale;
		vm->shared.pinned = pinned;
		if (pinned) {
			vm->shared.references++;
			return {};
		}
	}
	put(vm);
	return {};
}

u32 count_vms()
{
	auto all = vms.lock();

	return all->count;
}

void describe(Vm *vm, corbel_vm_info *info)
{
	vm->describe(info);
	auto all = vms.lock();

	info->pinned = vm->shared.pinned;
	info->nr_fds = vm->shared.descriptors;
}

Vm *first_vm()
{
	auto all = vms.lock();

	for (Vm &vm : all->list) {
		if (vm.shared.references) {
			vm.shared.references++;
			return &vm;
		}
	}
	return nullptr;
}

Vm *next_vm(Vm *vm)
{
	Vm *next;

	{
		auto all = vms.lock();

		next = all->list.next(*vm);
		while (next && !next->shared.references)
			next = all->list.next(*next);
		if (next)
			next->shared.references++;
	}
	put(vm);
	return next;
}

const corbel_feature *feature_of(u32 slot)
{
	return features[slot].load(Order::acquire);
}

u64 enabled_features()
{
	u64 bits = 0;

	for (u32 slot = 0; slot < CORBEL_SLOTS; slot++) {
		if (feature_of(slot))
			bits |= u64{1} << slot;
	}
	return bits;
}

void raise_end_notice(void *notice)
{
	auto *it = static_cast<EndNotice *>(notice);

	it->raised_for.store(it->of.load(Order::acquire), Order::release);
	corbel_work_queue(service_work);
}

void release_end_notice(EndNotice *notice)
{
	notice->of.store(nullptr, Order::release);
}

} /* namespace corbel::core */

using namespace corbel;
using namespace corbel::core;

/* The hooks are in place for any VM of the host; most calls are about others. */
void corbel_vcpu_created(struct kvm_vcpu *vcpu)
{
	const auto *kvm_at = reinterpret_cast<struct kvm *const *>(
		reinterpret_cast<const u8 *>(vcpu) + CORBEL_OFF_VCPU_KVM);

	if (notice_of(*kvm_at))
		corbel_work_queue(service_work);
}

void corbel_vm_closed(void *, void *file)
{
	auto *kvm = *reinterpret_cast<struct kvm *const *>(static_cast<const u8 *>(file) +
							   CORBEL_OFF_FILE_PRIVATE_DATA);

	for (EndNotice &notice : notices) {
		if (notice.of.load(rt::Order::acquire) != kvm)
			continue;
		notice.raised_for.store(kvm, rt::Order::release);
		corbel_work_queue(service_work);
	}
}

int corbel_feature_register(const struct corbel_feature *feature)
{
	const corbel_feature *expected = nullptr;

	if (!features[feature->slot].compare_exchange(expected, feature, rt::Order::release))
		return rt::to_errno(Error::exists);
	return 0;
}

void corbel_feature_unregister(const struct corbel_feature *feature)
{
	features[feature->slot].store(nullptr, rt::Order::release);
	(void)for_each_vm([feature](Vm &vm) -> Result<void> {
		vm.drop_feature(feature->slot);
		return {};
	});
}

void corbel_vm_get(struct corbel_vm *vm)
{
	get(Vm::from(vm));
}

void corbel_vm_put(struct corbel_vm *vm)
{
	put(Vm::from(vm));
}

u64 corbel_vm_id(const struct corbel_vm *vm)
{
	return reinterpret_cast<const Vm *>(vm)->id();
}
