// SPDX-License-Identifier: GPL-2.0-or-later
#include "abi_table.hh"

#include <cstring>

namespace corbel::selftest {

namespace {

template <typename Argument>
Argument &as(void *argument)
{
	return *static_cast<Argument *>(argument);
}

void fill_nothing(void *, fd_set_of_vm &) {}

void fill_hello(void *argument, fd_set_of_vm &)
{
	auto &hello = as<corbel_hello>(argument);

	hello.abi_major = CORBEL_ABI_MAJOR;
	hello.abi_minor = CORBEL_ABI_MINOR;
	std::strcpy(hello.version, "selftests");
}

void fill_list(void *argument, fd_set_of_vm &fds)
{
	auto &list = as<corbel_vm_list>(argument);

	list.count = std::size(fds.infos);
	list.vms = reinterpret_cast<__u64>(fds.infos);
}

void fill_attach(void *argument, fd_set_of_vm &fds)
{
	as<corbel_vm_attach>(argument).vm_fd = fds.vm.fd();
}

void fill_open(void *argument, fd_set_of_vm &fds)
{
	as<corbel_vm_open>(argument).vm_id = fds.vm_id;
}

void fill_vectors(void *argument, fd_set_of_vm &fds)
{
	auto &vectors = as<corbel_irq_vectors>(argument);

	vectors.count = CORBEL_IRQ_VECTORS;
	vectors.vectors = reinterpret_cast<__u64>(fds.vectors.data());
}

void fill_hist(void *argument, fd_set_of_vm &)
{
	as<corbel_irq_hist>(argument).vector = CORBEL_IRQ_ALL_VECTORS;
}

void fill_policy(void *argument, fd_set_of_vm &)
{
	as<corbel_irq_policy>(argument).policy = CORBEL_IRQ_POLICY_OFF;
}

void fill_ring(void *argument, fd_set_of_vm &)
{
	auto &ring = as<corbel_irq_ring>(argument);

	ring.order = CORBEL_RING_MIN_ORDER;
	ring.events = 1u << CORBEL_EVENT_ACCEPT;
}

#define RANGE(type, member) {offsetof(type, member), sizeof(type::member)}

const std::vector<abi_entry> &entries()
{
	static const std::vector<abi_entry> all = {
		{"CORBEL_HELLO",
		 fd_kind::device,
		 CORBEL_HELLO,
		 0,
		 {RANGE(corbel_hello, pad)},
		 {},
		 false,
		 true,
		 fill_hello},
		{"CORBEL_QUERY",
		 fd_kind::device,
		 CORBEL_QUERY,
		 0,
		 {RANGE(corbel_caps, pad)},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_HOOK_INFO",
		 fd_kind::device,
		 CORBEL_HOOK_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_VM_LIST",
		 fd_kind::device,
		 CORBEL_VM_LIST,
		 0,
		 {RANGE(corbel_vm_list, pad)},
		 offsetof(corbel_vm_list, vms),
		 false,
		 true,
		 fill_list},
		{"CORBEL_VM_ATTACH",
		 fd_kind::device,
		 CORBEL_VM_ATTACH,
		 0,
		 {RANGE(corbel_vm_attach, pad)},
		 {},
		 true,
		 true,
		 fill_attach},
		{"CORBEL_VM_OPEN",
		 fd_kind::device,
		 CORBEL_VM_OPEN,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_open},
		{"CORBEL_VM_INFO",
		 fd_kind::vm,
		 CORBEL_VM_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_VM_PIN",
		 fd_kind::vm,
		 CORBEL_VM_PIN,
		 CORBEL_PIN_SET,
		 {},
		 {},
		 false,
		 false,
		 fill_nothing},
		{"CORBEL_VM_IRQ", fd_kind::vm, CORBEL_VM_IRQ, 0, {}, {}, true, false, fill_nothing},
		{"CORBEL_IRQ_INFO",
		 fd_kind::irq,
		 CORBEL_IRQ_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_IRQ_VCPU",
		 fd_kind::irq,
		 CORBEL_IRQ_VCPU,
		 CORBEL_IRQ_F_RESYNC,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_IRQ_VECTORS_GET",
		 fd_kind::irq,
		 CORBEL_IRQ_VECTORS_GET,
		 0,
		 {},
		 offsetof(corbel_irq_vectors, vectors),
		 false,
		 false,
		 fill_vectors},
		{"CORBEL_IRQ_HIST",
		 fd_kind::irq,
		 CORBEL_IRQ_HIST,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_hist},
		{"CORBEL_IRQ_CHECK",
		 fd_kind::irq,
		 CORBEL_IRQ_CHECK,
		 CORBEL_IRQ_CHECK_ON | CORBEL_IRQ_CHECK_OFF,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_IRQ_POLICY",
		 fd_kind::irq,
		 CORBEL_IRQ_POLICY,
		 CORBEL_IRQ_F_SET,
		 {RANGE(corbel_irq_policy, pad)},
		 {},
		 false,
		 true,
		 fill_policy},
		{"CORBEL_IRQ_RING",
		 fd_kind::irq,
		 CORBEL_IRQ_RING,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_ring},
	};
	return all;
}

} // namespace

const char *kind_name(fd_kind kind)
{
	constexpr const char *names[] = {"/dev/corbel", "VM fd", "IRQ fd", "ring fd"};

	return names[static_cast<unsigned>(kind)];
}

fd_set_of_vm::fd_set_of_vm()
{
	corbel_irq_ring argument = {};

	argument.order = CORBEL_RING_MIN_ORDER;
	argument.events = 1u << CORBEL_EVENT_ACCEPT;
	int result = request(irq.get(), CORBEL_IRQ_RING, argument);
	CHECK(result >= 0, "CORBEL_IRQ_RING answers {}", error_name(result));
	ring.reset(result);
}

int fd_set_of_vm::get(fd_kind kind) const
{
	switch (kind) {
	case fd_kind::device:
		return device.get();
	case fd_kind::vm:
		return attachment.get();
	case fd_kind::irq:
		return irq.get();
	default:
		return ring.get();
	}
}

std::span<const abi_entry> abi_table()
{
	return entries();
}

} // namespace corbel::selftest
