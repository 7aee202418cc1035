/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every ioctl of the interface as data: on which descriptor, how its struct is
 * laid out, and how to fill in one that the kernel accepts. The hostile tests
 * and the fuzzer walk it; a new ioctl is tested by adding its line.
 */
#pragma once

#include "device.hh"
#include "distributor.hh"
#include "memory_object.hh"
#include "transfer.hh"
#include "vm.hh"

#include <cstddef>
#include <optional>
#include <span>

namespace corbel::selftest {

enum class fd_kind { device, vm, irq, ring, dist, stats, memory, pager };
inline constexpr unsigned nr_fd_kinds = 8;
const char *kind_name(fd_kind kind);

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

struct byte_range {
	size_t offset;
	size_t length;
};

struct abi_entry {
	const char *name;
	fd_kind kind;
	unsigned long command;
	/* Flags that are defined; the member is at offset 4 of every struct. */
	__u32 flags;
	/* Bytes that must be zero. */
	std::vector<byte_range> zeroes;
	/* The offset of a user pointer inside the struct. */
	std::optional<size_t> pointer;
	bool makes_fd;
	/* The kernel has something to write back. */
	bool answers;
	/* Fills a zeroed struct, `size` included. */
	void (*fill)(void *argument, fd_set_of_vm &fds);

	size_t size() const { return _IOC_SIZE(command); }
};

std::span<const abi_entry> abi_table();

} // namespace corbel::selftest
