// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaching to a VM: what is refused and how, that an attachment is one shared
 * object, and how it is pinned, opened again and listed.
 */
#include "device.hh"
#include "kvm_state.hh"
#include "module.hh"
#include "process.hh"
#include "tap.hh"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

using namespace corbel::selftest;

namespace {

int try_attach(int device, int fd)
{
	corbel_vm_attach argument = {};

	argument.vm_fd = fd;
	int result = request(device, CORBEL_VM_ATTACH, argument);
	if (result >= 0)
		close(result);
	return result;
}

int try_open_irq(int vm)
{
	corbel_vm_irq argument = {};

	return request(vm, CORBEL_VM_IRQ, argument);
}

void refuse_other_fds()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	unique_fd kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	unique_fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
	unique_fd event(eventfd(0, EFD_CLOEXEC));
	unique_fd epoll(epoll_create1(EPOLL_CLOEXEC));
	unique_fd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unique_fd path(open("/dev/kvm", O_PATH | O_CLOEXEC));

	for (int fd : {-1, -100, 1 << 20, INT32_MAX, INT32_MIN})
		CHECK_EQ(try_attach(device.get(), fd), -EBADF, "descriptor {}", fd);
	CHECK_EQ(try_attach(device.get(), path.get()), -EBADF, "O_PATH descriptor");
	CHECK_EQ(try_attach(device.get(), kvm.get()), -EINVAL, "/dev/kvm");
	CHECK_EQ(try_attach(device.get(), vm.at(0).fd()), -EINVAL, "vCPU");
	CHECK_EQ(try_attach(device.get(), null.get()), -EINVAL, "/dev/null");
	CHECK_EQ(try_attach(device.get(), event.get()), -EINVAL, "eventfd");
	CHECK_EQ(try_attach(device.get(), epoll.get()), -EINVAL, "epoll");
	CHECK_EQ(try_attach(device.get(), directory.get()), -EINVAL, "directory");
	CHECK_EQ(try_attach(device.get(), device.get()), -EINVAL, "/dev/corbel");
	unique_fd attachment = attach(device.get(), vm.fd());
	CHECK_EQ(try_attach(device.get(), attachment.get()), -EINVAL, "VM fd of ours");
	attachment.reset();
	CHECK_EQ(query(device.get()).nr_vms, 0u, "nothing is attached after refusals");
}

void refuse_dead_vm()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	unique_fd device = connect_device();
	vm_process process(1, false);
	unique_fd fd = process.vm_fd();

	process.kill();
	CHECK_EQ(try_attach(device.get(), fd.get()), -ESTALE, "VM of a process that was killed");
	CHECK_EQ(query(device.get()).nr_vms, 0u, "nothing is attached");
	fd.reset();
	wait_kvm_state(before);
}

/* The core does not need a local APIC; the observer says that it does. */
void need_irqchip()
{
	ensure_corbel();
	unique_fd device = connect_device();
	unique_fd kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	unique_fd vm(KVM_CALL(kvm.get(), KVM_CREATE_VM, 0));

	unique_fd attachment = attach(device.get(), vm.get());
	CHECK_EQ(vm_info(attachment.get()).lapic, 0u, "VM without an in-kernel irqchip");
	CHECK_EQ(try_open_irq(attachment.get()), -ENODEV, "observer without a local APIC");
	unique_fd vcpu(KVM_CALL(vm.get(), KVM_CREATE_VCPU, 0));
	CHECK_EQ(try_open_irq(attachment.get()), -ENODEV, "observer without a local APIC");
	CHECK_EQ(vm_info(attachment.get()).features, 0u, "nothing is enabled");
}

void share_attachment()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(2), other(3);
	__u64 first_id, second_id, other_id;

	unique_fd first = attach(device.get(), vm.fd(), &first_id);
	CHECK_EQ(vm_info(first.get()).nr_fds, 1u, "one descriptor");
	unique_fd second = attach(device.get(), vm.fd(), &second_id);
	CHECK_EQ(second_id, first_id, "one attachment per VM");
	CHECK_EQ(vm_info(first.get()).nr_fds, 2u, "two descriptors");
	unique_fd foreign = attach(device.get(), other.fd(), &other_id);
	CHECK(other_id != first_id, "two VMs, one id {}", first_id);
	CHECK_EQ(query(device.get()).nr_vms, 2u, "two VMs");
	CHECK_EQ(vm_info(first.get()).nr_vcpus, 2u, "vCPUs");
	CHECK_EQ(vm_info(foreign.get()).nr_vcpus, 3u, "vCPUs");
	CHECK_EQ(vm_info(first.get()).pid, static_cast<__u32>(getpid()), "owner");
	CHECK_EQ(vm_info(first.get()).state, CORBEL_VM_LIVE, "state");
	CHECK_EQ(vm_info(first.get()).lapic, 1u, "in-kernel local APIC");

	first.reset();
	CHECK_EQ(vm_info(second.get()).nr_fds, 1u, "one is closed");
	second.reset();
	CHECK_EQ(query(device.get()).nr_vms, 1u, "the last one is closed");
	unique_fd again = attach(device.get(), vm.fd(), &second_id);
	CHECK(second_id != first_id && second_id != other_id, "id {} was used again", second_id);
}

/* The attachment does not depend on the descriptor that it was made from. */
void close_vm_fd()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	unique_fd copy(dup(vm.fd()));
	unique_fd attachment = attach(device.get(), copy.get());

	copy.reset();
	CHECK_EQ(vm_info(attachment.get()).state, CORBEL_VM_LIVE,
		 "after the VM's descriptor was closed");
	device.reset();
	CHECK_EQ(vm_info(attachment.get()).state, CORBEL_VM_LIVE, "after the device was closed");
}

void pin_and_open()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	__u64 id;
	corbel_vm_open open = {};

	unique_fd attachment = attach(device.get(), vm.fd(), &id);
	CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
	CHECK_EQ(set_pin(attachment.get(), true), 0, "pin twice");
	CHECK_EQ(vm_info(attachment.get()).pinned, 1u, "pinned");
	attachment.reset();
	CHECK_EQ(query(device.get()).nr_vms, 1u, "a pinned attachment stays");
	device.reset();
	device = connect_device();
	CHECK_EQ(list_vms(device.get()).at(0).nr_fds, 0u, "and has no descriptor");

	attachment = open_vm(device.get(), id);
	CHECK_EQ(vm_info(attachment.get()).vm_id, id, "opened by id");
	unique_fd irq = open_irq(attachment.get());
	irq.reset();
	attachment.reset();
	attachment = open_vm(device.get(), id);
	CHECK_EQ(vm_info(attachment.get()).features, CORBEL_FEATURE_IRQ,
		 "what was enabled stays so");
	CHECK_EQ(set_pin(attachment.get(), false), 0, "unpin");
	attachment.reset();
	CHECK_EQ(query(device.get()).nr_vms, 0u, "unpinned and closed");
	for (__u64 unknown : {id, __u64{0}, ~__u64{0}}) {
		open.vm_id = unknown;
		CHECK_EQ(request(device.get(), CORBEL_VM_OPEN, open), -ENOENT, "id {:#x}", unknown);
	}
}

/* An IRQ fd or its parent alone keeps the attachment. */
void keep_by_child_fd()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	unique_fd attachment = attach(device.get(), vm.fd());
	unique_fd irq = open_irq(attachment.get());

	attachment.reset();
	device.reset();
	CHECK_EQ(irq_info(irq.get()).ended, 0u, "the observer goes on");
	CHECK_EQ(irq_info(irq.get()).nr_vcpus, 1u, "the observer goes on");
	irq.reset();
	CHECK_EQ(query(connect_device().get()).nr_vms, 0u, "all is closed");
}

void list_all()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vms[] = {guest_vm(1), guest_vm(2), guest_vm(3)};
	unique_fd fds[3];
	corbel_vm_list list = {};

	for (unsigned i = 0; i < 3; i++)
		fds[i] = attach(device.get(), vms[i].fd());
	CHECK_EQ(request(device.get(), CORBEL_VM_LIST, list), 0, "no room, no pointer");
	CHECK_EQ(list.count, 3u, "attachments there are");

	corbel_vm_info room[3] = {};
	room[2].vm_id = 0x5a5a;
	list.count = 2;
	list.vms = reinterpret_cast<__u64>(room);
	CHECK_EQ(request(device.get(), CORBEL_VM_LIST, list), 0, "room for two");
	CHECK_EQ(list.count, 3u, "attachments there are");
	CHECK_EQ(room[2].vm_id, 0x5a5au, "nothing is written past the room");

	auto all = list_vms(device.get());
	CHECK_EQ(all.size(), 3u, "listed");
	for (unsigned i = 0; i < 3; i++) {
		corbel_vm_info info = vm_info(fds[i].get());

		CHECK(std::ranges::any_of(all,
					  [&](const corbel_vm_info &vm) {
						  return vm.vm_id == info.vm_id &&
							 vm.nr_vcpus == i + 1 && vm.nr_fds == 1 &&
							 vm.size == sizeof(vm);
					  }),
		      "VM {} is not in the list", info.vm_id);
	}
}

/* As the tool does it: another process's VM, from outside. */
void attach_other_process()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	unique_fd device = connect_device();
	vm_process process(2);
	__u64 id;

	unique_fd attachment = attach(device.get(), process.vm_fd().get(), &id);
	CHECK_EQ(vm_info(attachment.get()).pid, static_cast<__u32>(process.pid()), "owner");
	child_process second([&](child_process &self) {
		unique_fd device = connect_device();
		__u64 seen;
		unique_fd attachment = attach(device.get(), process.vm_fd().get(), &seen);
		self.tell(seen);
		self.tell(vm_info(attachment.get()).nr_fds);
		pause();
	});
	CHECK_EQ(second.hear(), static_cast<long>(id), "the same attachment, from a third process");
	CHECK_EQ(second.hear(), 2, "its descriptors");
	second.kill(SIGKILL);
	second.reap();
	CHECK_EQ(vm_info(attachment.get()).nr_fds, 1u, "after the third process was killed");
	attachment.reset();
	CHECK_EQ(query(device.get()).nr_vms, 0u, "detached");
	process.kill();
	wait_kvm_state(before);
}

/* No descriptor left to answer with: nothing may stay behind. */
void meet_fd_limit()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	rlimit old, tight;

	getrlimit(RLIMIT_NOFILE, &old);
	unique_fd last(dup(0)); /* the first number that is free */
	tight = {static_cast<rlim_t>(last.get()), old.rlim_max};
	last.reset();
	setrlimit(RLIMIT_NOFILE, &tight);
	int result = try_attach(device.get(), vm.fd());
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK_EQ(result, -EMFILE, "attaching");
	CHECK_EQ(query(device.get()).nr_vms, 0u, "nothing is attached");

	unique_fd attachment = attach(device.get(), vm.fd());
	last.reset(dup(0));
	tight.rlim_cur = last.get();
	last.reset();
	setrlimit(RLIMIT_NOFILE, &tight);
	result = try_open_irq(attachment.get());
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK_EQ(result, -EMFILE, "opening the observer");
	open_irq(attachment.get());
}

void close_on_exec()
{
	ensure_corbel();
	unique_fd device = connect_device();
	guest_vm vm(1);
	unique_fd attachment = attach(device.get(), vm.fd());
	unique_fd irq = open_irq(attachment.get());
	corbel_irq_ring ring = {};
	ring.order = CORBEL_RING_MIN_ORDER;
	ring.events = 1u << CORBEL_EVENT_ACCEPT;
	unique_fd ring_fd(request(irq.get(), CORBEL_IRQ_RING, ring));

	for (const unique_fd *fd : {&attachment, &irq, &ring_fd})
		CHECK(*fd && fcntl(fd->get(), F_GETFD) & FD_CLOEXEC,
		      "descriptor {} is not close-on-exec", fd->get());
}

constexpr test_case cases[] = {
	{"descriptors that are not a VM are refused", refuse_other_fds},
	{"a dead VM is refused", refuse_dead_vm},
	{"no in-kernel local APIC: no observer", need_irqchip},
	{"an attachment is shared", share_attachment},
	{"the VM's descriptor can be closed", close_vm_fd},
	{"pin, open by id, unpin", pin_and_open},
	{"an IRQ fd keeps the attachment", keep_by_child_fd},
	{"list", list_all},
	{"a VM of another process", attach_other_process},
	{"descriptor limit", meet_fd_limit},
	{"descriptors are close-on-exec", close_on_exec},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
