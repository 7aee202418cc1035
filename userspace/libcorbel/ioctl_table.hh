/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ioctl_table.hh - every ioctl of the ABI: number, argument type and name.
 *
 * The one place of user space that says which struct goes with which number; a
 * struct of another size than its number says does not compile.
 */
#pragma once

#include <corbel/corbel.h>
#include <corbel/dist.h>
#include <corbel/irq.h>
#include <corbel/memory.h>
#include <corbel/pager.h>
#include <corbel/replay.h>

#include <sys/ioctl.h>

#include <cerrno>
#include <string_view>

namespace corbel {

template <typename Argument>
struct Request {
	unsigned long number;
	std::string_view name;

	consteval Request(unsigned long n, std::string_view text) : number(n), name(text)
	{
		if (_IOC_SIZE(n) != sizeof(Argument) || _IOC_TYPE(n) != CORBEL_IOC_MAGIC)
			throw "the argument type does not belong to this ioctl number";
	}
};

namespace request {

#define CORBEL_REQUEST(variable, number, argument)                                                 \
	inline constexpr Request<argument> variable                                                \
	{                                                                                          \
		number, #number                                                                    \
	}

/* On /dev/corbel */
CORBEL_REQUEST(hello, CORBEL_HELLO, corbel_hello);
CORBEL_REQUEST(query, CORBEL_QUERY, corbel_caps);
CORBEL_REQUEST(hook_info, CORBEL_HOOK_INFO, corbel_hook_info);
CORBEL_REQUEST(vm_list, CORBEL_VM_LIST, corbel_vm_list);
CORBEL_REQUEST(vm_attach, CORBEL_VM_ATTACH, corbel_vm_attach);
CORBEL_REQUEST(vm_open, CORBEL_VM_OPEN, corbel_vm_open);
CORBEL_REQUEST(memory_create, CORBEL_MEMORY_CREATE, corbel_memory_create);
CORBEL_REQUEST(replay_enrol, CORBEL_REPLAY_ENROL, corbel_replay_enrol);

/* On a VM fd */
CORBEL_REQUEST(vm_info, CORBEL_VM_INFO, corbel_vm_info);
CORBEL_REQUEST(vm_pin, CORBEL_VM_PIN, corbel_vm_pin);
CORBEL_REQUEST(vm_irq, CORBEL_VM_IRQ, corbel_vm_irq);

/* On an IRQ fd */
CORBEL_REQUEST(irq_info, CORBEL_IRQ_INFO, corbel_irq_info);
CORBEL_REQUEST(irq_vcpu, CORBEL_IRQ_VCPU, corbel_irq_vcpu);
CORBEL_REQUEST(irq_vectors, CORBEL_IRQ_VECTORS_GET, corbel_irq_vectors);
CORBEL_REQUEST(irq_hist, CORBEL_IRQ_HIST, corbel_irq_hist);
CORBEL_REQUEST(irq_check, CORBEL_IRQ_CHECK, corbel_irq_check);
CORBEL_REQUEST(irq_policy, CORBEL_IRQ_POLICY, corbel_irq_policy);
CORBEL_REQUEST(irq_boost, CORBEL_IRQ_BOOST, corbel_irq_boost);
CORBEL_REQUEST(irq_ring, CORBEL_IRQ_RING, corbel_irq_ring);
CORBEL_REQUEST(irq_stats, CORBEL_IRQ_STATS, corbel_irq_stats);
CORBEL_REQUEST(irq_dist_new, CORBEL_IRQ_DIST_NEW, corbel_irq_dist);
CORBEL_REQUEST(irq_dist_get, CORBEL_IRQ_DIST_GET, corbel_irq_dist_get);

/* On a distributor fd */
CORBEL_REQUEST(dist_info, CORBEL_DIST_INFO, corbel_dist_info);
CORBEL_REQUEST(dist_map, CORBEL_DIST_MAP, corbel_dist_map);
CORBEL_REQUEST(dist_read, CORBEL_DIST_READ, corbel_dist_read);
CORBEL_REQUEST(dist_raise, CORBEL_DIST_RAISE, corbel_dist_raise);
CORBEL_REQUEST(dist_mask, CORBEL_DIST_MASK, corbel_dist_mask);
CORBEL_REQUEST(dist_doorbell, CORBEL_DIST_DOORBELL, corbel_dist_doorbell);
CORBEL_REQUEST(dist_ledger, CORBEL_DIST_LEDGER, corbel_dist_ledger);
CORBEL_REQUEST(dist_reset, CORBEL_DIST_RESET, corbel_dist_reset);
CORBEL_REQUEST(dist_stats, CORBEL_DIST_STATS, corbel_dist_stats);

/* On a memory fd */
CORBEL_REQUEST(memory_info, CORBEL_MEMORY_INFO, corbel_memory_info);
CORBEL_REQUEST(memory_install, CORBEL_MEMORY_INSTALL, corbel_memory_install);
CORBEL_REQUEST(memory_fail, CORBEL_MEMORY_FAIL, corbel_memory_fail);
CORBEL_REQUEST(memory_requeue, CORBEL_MEMORY_REQUEUE, corbel_memory_requeue);
CORBEL_REQUEST(memory_track, CORBEL_MEMORY_TRACK, corbel_memory_track);
CORBEL_REQUEST(memory_dirty, CORBEL_MEMORY_DIRTY, corbel_memory_dirty);
CORBEL_REQUEST(memory_seal, CORBEL_MEMORY_SEAL, corbel_memory_seal);
CORBEL_REQUEST(memory_prepare, CORBEL_MEMORY_PREPARE, corbel_memory_prepare);
CORBEL_REQUEST(memory_join, CORBEL_MEMORY_JOIN, corbel_memory_join);
CORBEL_REQUEST(memory_absent, CORBEL_MEMORY_ABSENT, corbel_memory_absent);
CORBEL_REQUEST(pager_new, CORBEL_PAGER_NEW, corbel_pager_new);

/* On a pager fd */
CORBEL_REQUEST(pager_info, CORBEL_PAGER_INFO, corbel_pager_info);
CORBEL_REQUEST(pager_round, CORBEL_PAGER_ROUND, corbel_pager_round);
CORBEL_REQUEST(pager_go, CORBEL_PAGER_GO, corbel_pager_go);

#undef CORBEL_REQUEST

} /* namespace request */

/*
 * Fills in the size and calls. Returns what the ioctl returned, or -errno. The
 * argument is filled in by the kernel even then where the ABI says so.
 */
template <typename Argument>
[[nodiscard]] int call(int fd, const Request<Argument> &request, Argument &argument)
{
	int ret;

	argument.size = sizeof(argument);
	do {
		ret = ::ioctl(fd, request.number, &argument);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

} /* namespace corbel */
