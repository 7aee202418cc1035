// SPDX-License-Identifier: GPL-2.0
/*
 * device.cc - the ioctls of /dev/corbel and of VM descriptors.
 */
#include "device.h"

#include "../compat/inventory.hh"
#include "../rt/context.hh"
#include "arguments.hh"
#include "registry.hh"

#include <corbel/memory.h>
#include <corbel/qos.h>
#include <corbel/replay.h>

namespace corbel::core {
namespace {

constinit corbel_identity self{};

void copy_text(char *to, size_t room, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i + 1 < room; i++)
		to[i] = from[i];
	to[i] = '\0';
}

/* ---- VM descriptors ---------------------------------------------------------- */

Result<long> vm_info(Vm *vm, u64 user)
{
	auto info = CORBEL_TRY(read_arguments<corbel_vm_info>(user));

	/* Where no hook tells of new vCPUs, asking about the VM finds them. */
	if (!corbel_hook_usable(CORBEL_HOOK_VCPU_CREATED))
		vm->rescan();
	describe(vm, &info);
	CORBEL_TRY(write_arguments(user, info));
	return 0;
}

Result<long> vm_pin(Vm *vm, u64 user)
{
	const auto pin = CORBEL_TRY(read_arguments<corbel_vm_pin>(user, CORBEL_PIN_SET));

	CORBEL_TRY(set_pinned(vm, pin.flags & CORBEL_PIN_SET));
	return 0;
}

Result<long> vm_irq(Vm *vm, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_vm_irq>(user));
	return CORBEL_TRY(vm->open_feature(CORBEL_SLOT_IRQ));
}

Result<long> vm_request(Vm *vm, u32 command, u64 user)
{
	switch (command) {
	case CORBEL_VM_INFO:
		return vm_info(vm, user);
	case CORBEL_VM_PIN:
		return vm_pin(vm, user);
	case CORBEL_VM_IRQ:
		return vm_irq(vm, user);
	default:
		return Error::no_such_ioctl;
	}
}

long vm_ioctl(void *object, u32 command, u64 argument)
{
	return vm_request(static_cast<Vm *>(object), command, argument).value_or_errno();
}

void vm_release(void *object)
{
	close_descriptor(static_cast<Vm *>(object));
}

constexpr corbel_file_ops vm_operations{
	.name = "[corbel-vm]",
	.ioctl = vm_ioctl,
	.mmap = nullptr,
	.poll = nullptr,
	.read = nullptr,
	.release = vm_release,
};

/* Takes over one descriptor's reference. */
Result<long> make_descriptor(Vm *vm)
{
	const int fd = corbel_file_new(&vm_operations, vm, self.module);

	if (fd < 0) {
		close_descriptor(vm);
		return rt::from_errno(fd);
	}
	return fd;
}

/* ---- /dev/corbel --------------------------------------------------------------- */

Result<long> hello(bool *ready, u64 user)
{
	auto hello = CORBEL_TRY(read_arguments<corbel_hello>(user));

	if (!all_zero(hello.pad))
		return Error::invalid;
	const bool fits =
		hello.abi_major == CORBEL_ABI_MAJOR && hello.abi_minor <= CORBEL_ABI_MINOR;

	corbel_hello answer{};
	answer.size = sizeof(answer);
	answer.abi_major = CORBEL_ABI_MAJOR;
	answer.abi_minor = CORBEL_ABI_MINOR;
	copy_text(answer.version, sizeof(answer.version), self.version);
	copy_text(answer.release, sizeof(answer.release), self.release);
	copy_text(answer.srcversion, sizeof(answer.srcversion), self.srcversion);
	CORBEL_TRY(write_arguments(user, answer));
	if (!fits)
		return Error::protocol;
	*ready = true;
	return 0;
}

Result<long> query(u64 user)
{
	auto caps = CORBEL_TRY(read_arguments<corbel_caps>(user));

	if (!all_zero(caps.pad))
		return Error::invalid;
	caps.features = enabled_features();
	caps.vendor = corbel_kvm_vendor();
	caps.tsc_khz = corbel_tsc_khz();
	caps.nr_hooks = CORBEL_HOOK_COUNT;
	caps.nr_vms = count_vms();
	caps.max_vcpus = CORBEL_MAX_VCPUS;
	caps.btf = corbel_inventory_has_btf();
	CORBEL_TRY(write_arguments(user, caps));
	return 0;
}

Result<long> hook_info(u64 user)
{
	const auto asked = CORBEL_TRY(read_arguments<corbel_hook_info>(user));
	corbel_hook_info info{};

	info.size = sizeof(info);
	info.index = asked.index;
	CORBEL_TRY(rt::check_shim(corbel_inventory_describe(info.index, &info)));
	CORBEL_TRY(write_arguments(user, info));
	return 0;
}

Result<long> vm_list(u64 user)
{
	auto list = CORBEL_TRY(read_arguments<corbel_vm_list>(user));
	const u32 room = list.count;
	u32 seen = 0;

	if (list.pad)
		return Error::invalid;
	CORBEL_TRY(for_each_vm([&](Vm &vm) -> Result<void> {
		const u32 place = seen++;

		if (place >= room)
			return {};
		corbel_vm_info info{};

		info.size = sizeof(info);
		describe(&vm, &info);
		return write_arguments(list.vms + u64{place} * sizeof(info), info);
	}));
	list.count = seen;
	CORBEL_TRY(write_arguments(user, list));
	return 0;
}

Result<long> vm_attach(u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_vm_attach>(user));

	if (request.pad)
		return Error::invalid;
	Vm *vm = CORBEL_TRY(attach(request.vm_fd));

	/* Before the descriptor exists: it could not be taken back. */
	request.vm_id = vm->id();
	const Result<void> told = write_arguments(user, request);

	if (!told) {
		close_descriptor(vm);
		return told.error();
	}
	return make_descriptor(vm);
}

Result<long> vm_open(u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_vm_open>(user));

	return make_descriptor(CORBEL_TRY(open(request.vm_id)));
}

/* Of a system that may be unloaded at any moment, unless we hold it. */
Result<long> feature_request(u32 slot, u32 command, u64 user)
{
	const corbel_feature *feature = nullptr;

	{
		const rt::RcuReadGuard guard;

		feature = feature_of(slot);
		if (!feature || !corbel_module_get(feature->module))
			return Error::not_supported;
	}
	const long done = feature->request(command, user);
	corbel_module_put(feature->module);
	return done;
}

Result<long> device_request(bool *ready, u32 command, u64 user)
{
	if (command == CORBEL_HELLO)
		return hello(ready, user);
	if (!*ready)
		return Error::protocol;
	switch (command) {
	case CORBEL_QUERY:
		return query(user);
	case CORBEL_HOOK_INFO:
		return hook_info(user);
	case CORBEL_VM_LIST:
		return vm_list(user);
	case CORBEL_VM_ATTACH:
		return vm_attach(user);
	case CORBEL_VM_OPEN:
		return vm_open(user);
	case CORBEL_MEMORY_CREATE:
		return feature_request(CORBEL_SLOT_MEMORY, command, user);
	case CORBEL_QOS_STATS:
		return feature_request(CORBEL_SLOT_BLOCK, command, user);
	case CORBEL_REPLAY_ENROL:
		return feature_request(CORBEL_SLOT_REPLAY, command, user);
	default:
		return Error::no_such_ioctl;
	}
}

} /* namespace */
} /* namespace corbel::core */

using namespace corbel;
using namespace corbel::core;

int corbel_core_start(const struct corbel_identity *identity)
{
	self = *identity;
	if (const int error = corbel_inventory_init(self.without))
		return error;
	const Result<void> ready = init_registry();

	if (!ready) {
		exit_registry();
		corbel_inventory_exit();
	}
	return ready.to_errno();
}

void corbel_core_stop(void)
{
	exit_registry();
	corbel_inventory_exit();
}

long corbel_device_ioctl(bool *ready, u32 command, u64 argument)
{
	return device_request(ready, command, argument).value_or_errno();
}
