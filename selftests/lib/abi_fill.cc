// SPDX-License-Identifier: GPL-2.0-or-later
#include "abi_fill.hh"

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

/* They are refused where it is as asked, or where another one excludes them. */
void leave_alone(fd_set_of_vm &fds)
{
	(void)try_seal(fds.memory.fd(), false);
	(void)try_track(fds.memory.fd(), false);
}

} // namespace

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

} // namespace corbel::selftest
