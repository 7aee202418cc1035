// SPDX-License-Identifier: GPL-2.0-or-later
#include "abi_table.hh"

#include <corbel/qos.h>
#include <corbel/replay.h>

#include <cstring>
#include <sys/sysmacros.h>

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

void fill_dist(void *argument, fd_set_of_vm &)
{
	auto &dist = as<corbel_irq_dist>(argument);

	dist.ids = fd_set_of_vm::dist_ids;
	dist.vcpus = 1;
}

void fill_qos_stats(void *argument, fd_set_of_vm &)
{
	auto &stats = as<corbel_qos_stats>(argument);

	stats.major = major(qos_device_number());
	stats.minor = minor(qos_device_number());
}

void fill_enrol(void *argument, fd_set_of_vm &fds)
{
	auto &enrol = as<corbel_replay_enrol>(argument);

	enrol.vcpu_fd = fds.vm.at(0).fd();
	enrol.entries = CORBEL_REPLAY_MIN_ENTRIES;
}

/* Lists of all ids; as they were made, none is mapped. */
void fill_map(void *argument, fd_set_of_vm &fds)
{
	auto &map = as<corbel_dist_map>(argument);

	map.count = fd_set_of_vm::dist_ids;
	map.entries = reinterpret_cast<__u64>(fds.entries.data());
}

void fill_read(void *argument, fd_set_of_vm &fds)
{
	auto &read = as<corbel_dist_read>(argument);

	read.count = fd_set_of_vm::dist_ids;
	read.entries = reinterpret_cast<__u64>(fds.entries.data());
}

void fill_ledger(void *argument, fd_set_of_vm &fds)
{
	auto &ledger = as<corbel_dist_ledger>(argument);

	ledger.count = fd_set_of_vm::dist_ids;
	ledger.counts = reinterpret_cast<__u64>(fds.counts.data());
}

void fill_raise_many(void *argument, fd_set_of_vm &fds)
{
	auto &raise = as<corbel_dist_raise_many>(argument);

	raise.count = fd_set_of_vm::dist_ids;
	raise.ids = reinterpret_cast<__u64>(fds.ids);
}

void fill_mask(void *argument, fd_set_of_vm &)
{
	as<corbel_dist_mask>(argument).count = fd_set_of_vm::dist_ids;
}

/* Binding twice would be refused, unbinding what is not bound too. */
void fill_bind(void *argument, fd_set_of_vm &fds)
{
	auto &bind = as<corbel_dist_bind>(argument);
	corbel_dist_bind undo = {.flags = CORBEL_DIST_UNBIND, .fd = -1};

	request(fds.dist.get(), CORBEL_DIST_BIND, undo);
	bind.fd = fds.eventfd.get();
}

void fill_doorbell(void *argument, fd_set_of_vm &fds)
{
	as<corbel_dist_doorbell>(argument).fd = fds.eventfd.get();
}

void fill_memory(void *argument, fd_set_of_vm &)
{
	as<corbel_memory_create>(argument).bytes = page_bytes;
}

void fill_install(void *argument, fd_set_of_vm &fds)
{
	auto &install = as<corbel_memory_install>(argument);

	install.bytes = page_bytes;
	install.source = reinterpret_cast<__u64>(&fds.contents);
}

/* They are refused where it is as asked, or where another one excludes them. */
void leave_alone(fd_set_of_vm &fds)
{
	(void)try_seal(fds.memory.fd(), false);
	(void)try_track(fds.memory.fd(), false);
}

void fill_track(void *, fd_set_of_vm &fds)
{
	leave_alone(fds);
}

void fill_dirty(void *argument, fd_set_of_vm &fds)
{
	(void)try_track(fds.memory.fd(), true);
	as<corbel_memory_dirty>(argument).bitmap = reinterpret_cast<__u64>(fds.counts.data());
}

void fill_absent(void *argument, fd_set_of_vm &fds)
{
	as<corbel_memory_absent>(argument).bitmap = reinterpret_cast<__u64>(fds.counts.data());
}

void fill_seal(void *, fd_set_of_vm &fds)
{
	fds.memory.install_zeros(0, fds.memory.pages());
	leave_alone(fds);
}

void fill_join(void *, fd_set_of_vm &fds)
{
	leave_alone(fds);
}

void fill_pager(void *argument, fd_set_of_vm &fds)
{
	auto &pager = as<corbel_pager_new>(argument);

	leave_alone(fds);
	fds.make_sockets();
	pager.flags = CORBEL_PAGER_PLAIN;
	pager.role = CORBEL_PAGER_FETCH;
	pager.demand = fds.sockets->front().first.get();
	pager.push = fds.sockets->back().first.get();
}

/* There is one GO, and no ROUND after it. */
void fill_round(void *, fd_set_of_vm &fds)
{
	if (fds.pages->serve.info().going)
		fds.make_transfer();
	(void)try_track(fds.served.fd(), true);
}

void fill_go(void *argument, fd_set_of_vm &fds)
{
	fill_round(argument, fds);
	(void)try_seal(fds.served.fd(), true);
}

void fill_stats(void *argument, fd_set_of_vm &)
{
	as<corbel_irq_stats>(argument).vector = CORBEL_IRQ_ALL_VECTORS;
}

/* There can be one, so a device of its own for each try. */
void fill_dist_ring(void *argument, fd_set_of_vm &fds)
{
	as<corbel_dist_ring>(argument).order = CORBEL_DIST_RING_MIN_ORDER;
	fds.make_distributor();
}

/* Needs the ring. */
void fill_kick(void *, fd_set_of_vm &fds)
{
	corbel_dist_ring ring = {.order = CORBEL_DIST_RING_MIN_ORDER};

	request(fds.dist.get(), CORBEL_DIST_RING, ring);
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
		{"CORBEL_IRQ_BOOST",
		 fd_kind::irq,
		 CORBEL_IRQ_BOOST,
		 CORBEL_IRQ_F_SET,
		 {RANGE(corbel_irq_boost, pad)},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_IRQ_RING",
		 fd_kind::irq,
		 CORBEL_IRQ_RING,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_ring},
		{"CORBEL_IRQ_STATS",
		 fd_kind::irq,
		 CORBEL_IRQ_STATS,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_stats},
		{"CORBEL_IRQ_DIST_GET",
		 fd_kind::irq,
		 CORBEL_IRQ_DIST_GET,
		 0,
		 {RANGE(corbel_irq_dist_get, pad)},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_IRQ_DIST_NEW",
		 fd_kind::irq,
		 CORBEL_IRQ_DIST_NEW,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_dist},
		{"CORBEL_DIST_INFO",
		 fd_kind::dist,
		 CORBEL_DIST_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_DIST_MAP",
		 fd_kind::dist,
		 CORBEL_DIST_MAP,
		 CORBEL_DIST_RESTORE,
		 {RANGE(corbel_dist_map, pad)},
		 offsetof(corbel_dist_map, entries),
		 false,
		 false,
		 fill_map},
		{"CORBEL_DIST_READ",
		 fd_kind::dist,
		 CORBEL_DIST_READ,
		 0,
		 {},
		 offsetof(corbel_dist_read, entries),
		 false,
		 false,
		 fill_read},
		{"CORBEL_DIST_RAISE",
		 fd_kind::dist,
		 CORBEL_DIST_RAISE,
		 0,
		 {RANGE(corbel_dist_raise, pad)},
		 {},
		 false,
		 false,
		 fill_nothing},
		{"CORBEL_DIST_RAISE_MANY",
		 fd_kind::dist,
		 CORBEL_DIST_RAISE_MANY,
		 0,
		 {RANGE(corbel_dist_raise_many, pad)},
		 offsetof(corbel_dist_raise_many, ids),
		 false,
		 false,
		 fill_raise_many},
		{"CORBEL_DIST_MASK",
		 fd_kind::dist,
		 CORBEL_DIST_MASK,
		 CORBEL_DIST_MASK_SET,
		 {},
		 {},
		 false,
		 false,
		 fill_mask},
		{"CORBEL_DIST_BIND",
		 fd_kind::dist,
		 CORBEL_DIST_BIND,
		 CORBEL_DIST_UNBIND,
		 {},
		 {},
		 false,
		 false,
		 fill_bind},
		{"CORBEL_DIST_DOORBELL",
		 fd_kind::dist,
		 CORBEL_DIST_DOORBELL,
		 0,
		 {},
		 {},
		 false,
		 false,
		 fill_doorbell},
		{"CORBEL_DIST_LEDGER",
		 fd_kind::dist,
		 CORBEL_DIST_LEDGER,
		 0,
		 {},
		 offsetof(corbel_dist_ledger, counts),
		 false,
		 false,
		 fill_ledger},
		{"CORBEL_DIST_RESET",
		 fd_kind::dist,
		 CORBEL_DIST_RESET,
		 0,
		 {},
		 {},
		 false,
		 false,
		 fill_nothing},
		{"CORBEL_DIST_RING",
		 fd_kind::dist,
		 CORBEL_DIST_RING,
		 0,
		 {RANGE(corbel_dist_ring, pad)},
		 {},
		 false,
		 false,
		 fill_dist_ring},
		{"CORBEL_DIST_KICK",
		 fd_kind::dist,
		 CORBEL_DIST_KICK,
		 0,
		 {},
		 {},
		 false,
		 false,
		 fill_kick},
		{"CORBEL_DIST_STATS",
		 fd_kind::dist,
		 CORBEL_DIST_STATS,
		 0,
		 {},
		 {},
		 true,
		 false,
		 fill_nothing},
		{"CORBEL_MEMORY_CREATE",
		 fd_kind::device,
		 CORBEL_MEMORY_CREATE,
		 CORBEL_MEMORY_MISSING | CORBEL_MEMORY_SMALL,
		 {RANGE(corbel_memory_create, pad)},
		 {},
		 true,
		 true,
		 fill_memory},
		{"CORBEL_QOS_STATS",
		 fd_kind::device,
		 CORBEL_QOS_STATS,
		 0,
		 {RANGE(corbel_qos_stats, pad)},
		 {},
		 true,
		 false,
		 fill_qos_stats},
		{"CORBEL_REPLAY_ENROL",
		 fd_kind::device,
		 CORBEL_REPLAY_ENROL,
		 0,
		 {RANGE(corbel_replay_enrol, pad)},
		 {},
		 true,
		 true,
		 fill_enrol},
		{"CORBEL_MEMORY_INFO",
		 fd_kind::memory,
		 CORBEL_MEMORY_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_MEMORY_INSTALL",
		 fd_kind::memory,
		 CORBEL_MEMORY_INSTALL,
		 CORBEL_MEMORY_ZERO,
		 {},
		 offsetof(corbel_memory_install, source),
		 false,
		 true,
		 fill_install},
		{"CORBEL_MEMORY_FAIL",
		 fd_kind::memory,
		 CORBEL_MEMORY_FAIL,
		 0,
		 {},
		 {},
		 false,
		 false,
		 fill_nothing},
		{"CORBEL_MEMORY_REQUEUE",
		 fd_kind::memory,
		 CORBEL_MEMORY_REQUEUE,
		 0,
		 {},
		 {},
		 false,
		 false,
		 fill_nothing},
		{"CORBEL_MEMORY_TRACK",
		 fd_kind::memory,
		 CORBEL_MEMORY_TRACK,
		 CORBEL_MEMORY_TRACK_OFF,
		 {},
		 {},
		 false,
		 false,
		 fill_track},
		{"CORBEL_MEMORY_DIRTY",
		 fd_kind::memory,
		 CORBEL_MEMORY_DIRTY,
		 CORBEL_MEMORY_DIRTY_KEEP,
		 {},
		 {},
		 false,
		 true,
		 fill_dirty},
		{"CORBEL_MEMORY_SEAL",
		 fd_kind::memory,
		 CORBEL_MEMORY_SEAL,
		 CORBEL_MEMORY_UNSEAL,
		 {},
		 {},
		 false,
		 false,
		 fill_seal},
		{"CORBEL_MEMORY_PREPARE",
		 fd_kind::memory,
		 CORBEL_MEMORY_PREPARE,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_MEMORY_JOIN",
		 fd_kind::memory,
		 CORBEL_MEMORY_JOIN,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_join},
		{"CORBEL_MEMORY_ABSENT",
		 fd_kind::memory,
		 CORBEL_MEMORY_ABSENT,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_absent},
		{"CORBEL_PAGER_NEW",
		 fd_kind::memory,
		 CORBEL_PAGER_NEW,
		 CORBEL_PAGER_PLAIN | CORBEL_PAGER_NO_COMPRESSION,
		 {},
		 {},
		 true,
		 false,
		 fill_pager},
		{"CORBEL_PAGER_INFO",
		 fd_kind::pager,
		 CORBEL_PAGER_INFO,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_nothing},
		{"CORBEL_PAGER_ROUND",
		 fd_kind::pager,
		 CORBEL_PAGER_ROUND,
		 0,
		 {},
		 {},
		 false,
		 true,
		 fill_round},
		{"CORBEL_PAGER_GO",
		 fd_kind::pager,
		 CORBEL_PAGER_GO,
		 CORBEL_PAGER_GO_ASKED,
		 {},
		 {},
		 false,
		 true,
		 fill_go},
	};
	return all;
}

} // namespace

std::span<const abi_entry> abi_table()
{
	return entries();
}

} // namespace corbel::selftest
