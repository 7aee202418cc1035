// SPDX-License-Identifier: GPL-2.0-or-later
#include "fd_set.hh"
#include "block_pool.hh"

#include <sys/stat.h>

namespace corbel::selftest {

const char *kind_name(fd_kind kind)
{
	constexpr const char *names[] = {"/dev/corbel", "VM fd",	  "IRQ fd",
					 "ring fd",	"distributor fd", "stats fd",
					 "memory fd",	"pager fd",	  "recorder fd"};

	return names[static_cast<unsigned>(kind)];
}

dev_t qos_device_number()
{
	static const bool ready = (ensure_block(), true);
	static const dm_device zeros("corbel-zeros", 128, "zero");
	static const dm_device device("corbel-qos", 128, "corbel-qos " + zeros.path() + " 0");
	struct stat found = {};

	CHECK(ready && stat(device.path().c_str(), &found) == 0, "{}: {}", device.path(),
	      std::strerror(errno));
	return found.st_rdev;
}

fd_set_of_vm::fd_set_of_vm()
{
	corbel_irq_ring argument = {};

	argument.order = CORBEL_RING_MIN_ORDER;
	argument.events = 1u << CORBEL_EVENT_ACCEPT;
	int result = request(irq.get(), CORBEL_IRQ_RING, argument);
	CHECK(result >= 0, "CORBEL_IRQ_RING answers {}", error_name(result));
	ring.reset(result);
	for (unsigned id = 0; id < dist_ids; id++)
		entries[id].id = ids[id] = id;
	corbel_irq_stats of_vm = {.vcpu = CORBEL_IRQ_ALL_VCPUS, .vector = CORBEL_IRQ_ALL_VECTORS};
	result = request(irq.get(), CORBEL_IRQ_STATS, of_vm);
	CHECK(result >= 0, "CORBEL_IRQ_STATS answers {}", error_name(result));
	stats.reset(result);
	spare = open_distributor();
	make_distributor();
	make_sockets();
	make_transfer();
}

void fd_set_of_vm::make_sockets()
{
	sockets.emplace();
}

void fd_set_of_vm::make_transfer()
{
	pages.reset();
	(void)try_seal(served.fd(), false);
	pages.emplace(served, fetched);
}

unique_fd fd_set_of_vm::open_distributor() const
{
	corbel_irq_dist argument = {.ids = dist_ids, .vcpus = 1};
	int result = request(irq.get(), CORBEL_IRQ_DIST_NEW, argument);

	CHECK(result >= 0, "CORBEL_IRQ_DIST_NEW answers {}", error_name(result));
	return unique_fd(result);
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
	case fd_kind::ring:
		return ring.get();
	case fd_kind::dist:
		return dist.get();
	case fd_kind::stats:
		return stats.get();
	case fd_kind::pager:
		return pages->serve.fd();
	case fd_kind::recorder:
		return log.fd();
	default:
		return memory.fd();
	}
}

} // namespace corbel::selftest
