/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One descriptor of each kind that the interface has.
 */
#pragma once

#include "device.hh"
#include "distributor.hh"
#include "memory_object.hh"
#include "recorder.hh"
#include "transfer.hh"
#include "vm.hh"

#include <array>
#include <optional>
#include <sys/types.h>

namespace corbel::selftest {

enum class fd_kind { device, vm, irq, ring, dist, stats, memory, pager, recorder };
inline constexpr unsigned nr_fd_kinds = 9;
const char *kind_name(fd_kind kind);

/* Of a device under QoS, which is there from the first call on and until the program ends. */
dev_t qos_device_number();

/* One descriptor of each kind, all of one attached VM with a vCPU. */
struct fd_set_of_vm {
	static constexpr unsigned dist_ids = 8;

	guest_vm vm{1};
	unique_fd device = connect_device();
	__u64 vm_id = 0;
	unique_fd attachment = attach(device.get(), vm.fd(), &vm_id);
	unique_fd irq = open_irq(attachment.get());
	unique_fd ring;
	unique_fd dist;
	unique_fd stats;
	memory_object memory{4 * page_bytes};
	page_pattern contents{0, 1};
	/* What `memory` is told to make pagers on, and a transfer that is under way. */
	std::optional<std::array<tcp_pair, 2>> sockets;
	memory_object served{4 * page_bytes, 0}, fetched{4 * page_bytes};
	std::optional<transfer> pages;
	/* Of a VM of its own: what is asked for in tests is another one of `vm`'s vCPU. */
	guest_vm recorded{1, 0, irqchip::none};
	recorder log{device.get(), recorded.at(0).fd(), CORBEL_REPLAY_MIN_ENTRIES};
	/* Keeps the hook of distributors in place while the other is made anew. */
	unique_fd spare;
	std::vector<corbel_irq_vector> vectors{CORBEL_IRQ_VECTORS};
	corbel_vm_info infos[4];
	std::vector<corbel_dist_entry> entries{dist_ids};
	std::vector<corbel_dist_counts> counts{dist_ids};
	__u32 ids[dist_ids] = {};
	unique_fd eventfd = make_eventfd();

	fd_set_of_vm();
	/* Another one in the place of `dist`. */
	void make_distributor() { dist = open_distributor(); }
	unique_fd open_distributor() const;
	/* Other ones, of which no pager has taken hold. */
	void make_sockets();
	/* Another one in which nothing has been sent, of an object that is not sealed. */
	void make_transfer();
	int get(fd_kind kind) const;
};

} // namespace corbel::selftest
