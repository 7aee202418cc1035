/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A distributor device as its owner has it, see <corbel/dist.h>: its ioctls, its
 * pages, and what must hold of its ledger.
 */
#pragma once

#include "observed_vm.hh"

#include <corbel/dist.h>

#include <initializer_list>
#include <span>

namespace corbel::selftest {

class distributor {
public:
	explicit distributor(int irq, unsigned ids = 256, unsigned vcpus = 2);
	~distributor();
	distributor(const distributor &) = delete;

	int fd() const { return device.get(); }
	/* Closes the descriptor; the mappings stay until the end. */
	void close() { device.reset(); }

	corbel_dist_info info() const;

	/* 0 or a negative error number. */
	int map(std::span<const corbel_dist_entry> entries, unsigned flags = 0) const;
	/* The same for one id, and it has to succeed. */
	void map(unsigned id, unsigned vcpu, unsigned vector, unsigned priority = 0,
		 unsigned state = 0) const;
	void unmap(unsigned id) const;
	std::vector<corbel_dist_entry> read(unsigned first, unsigned count) const;
	std::vector<corbel_dist_entry> read() const { return read(0, ids); }

	/* What the ioctl returns, or a negative error number. */
	int raise(unsigned id) const;
	int raise(std::span<const __u32> list) const;
	int set_masked(unsigned first, unsigned count, bool masked) const;
	int bind(unsigned id, int eventfd) const;
	int unbind(unsigned id) const;
	int set_doorbell(unsigned vcpu, int eventfd) const;
	int reset() const;
	int make_ring(unsigned order);
	int kick() const;

	/* Into the ring, which has room; kick() raises it. */
	void submit(unsigned id);
	corbel_dist_ring_ctl *ring_control() const { return ring; }

	std::vector<corbel_dist_counts> counts(unsigned first, unsigned count) const;
	corbel_dist_counts counts(unsigned id) const { return counts(id, 1)[0]; }
	/* Of all ids together; each has to balance. */
	corbel_dist_counts total() const;

	/* One load each. */
	__u64 status_word(unsigned word) const;
	bool status(unsigned vcpu) const { return status_word(vcpu / 64) >> vcpu % 64 & 1; }
	bool record(unsigned vcpu, unsigned id) const;
	/* All bits of one vCPU's record. */
	unsigned count_record(unsigned vcpu) const;

	/*
	 * While nobody raises or maps: records are what the entries say, and a status bit
	 * is set exactly if something unmasked is pending.
	 */
	void check_pages() const;

	const unsigned ids, vcpus;

private:
	unique_fd device;
	unsigned record_bytes = 0;
	const corbel_dist_line *lines = nullptr;
	const char *records = nullptr;
	corbel_dist_ring_ctl *ring = nullptr;
	size_t ring_size = 0;
	__u32 ring_capacity = 0;
	__u64 ring_head = 0;
};

/* An observed VM with a distributor, which is all that sends it interrupts. */
struct dist_vm {
	explicit dist_vm(unsigned vcpus = 2, unsigned ids = 256)
		: observed(vcpus), dist(observed.irq.get(), ids, vcpus)
	{}

	/* Waits until the guest has handled this many, and no more. */
	void wait_handled(unsigned vcpu, unsigned vector, uint64_t times);
	/* Until nothing is pending that is not masked, for vCPUs that run. */
	void wait_given_out();
	/*
	 * Once all is quiet: both ledgers balance, and what was delivered is what local
	 * APICs have accepted.
	 */
	void check_quiet();

	observed_vm observed;
	guest_vm &vm = observed.vm;
	distributor dist;
};

corbel_dist_entry make_entry(unsigned id, unsigned vcpu, unsigned vector, unsigned priority = 0,
			     unsigned state = 0);
unique_fd make_eventfd();
void signal_eventfd(int eventfd);
/* What read(2) gives; 0 if nothing has been signalled. */
__u64 read_eventfd(int eventfd);

} // namespace corbel::selftest
