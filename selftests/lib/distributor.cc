// SPDX-License-Identifier: GPL-2.0-or-later
#include "distributor.hh"

#include <corbel/dist_counts.hh>

#include <atomic>
#include <bit>
#include <sys/eventfd.h>
#include <sys/mman.h>

namespace corbel::selftest {

namespace {

constexpr size_t page = 4096;

__u64 load_word(const __u64 *place)
{
	return std::atomic_ref(const_cast<__u64 &>(*place)).load(std::memory_order_acquire);
}

void *map_pages(int fd, size_t length, int protection, off_t offset)
{
	void *place = mmap(nullptr, length, protection, MAP_SHARED, fd, offset);

	CHECK(place != MAP_FAILED, "mapping {} bytes at {:#x}: {}", length, offset,
	      error_name(errno));
	return place;
}

} // namespace

distributor::distributor(int irq, unsigned ids, unsigned vcpus) : ids(ids), vcpus(vcpus)
{
	corbel_irq_dist argument = {};

	argument.ids = ids;
	argument.vcpus = vcpus;
	int result = request(irq, CORBEL_IRQ_DIST_NEW, argument);
	CHECK(result >= 0, "CORBEL_IRQ_DIST_NEW answers {}", error_name(result));
	device.reset(result);
	record_bytes = info().record_bytes;
	lines = static_cast<const corbel_dist_line *>(
		map_pages(fd(), page, PROT_READ, CORBEL_DIST_STATUS_OFFSET));
	records = static_cast<const char *>(map_pages(fd(), size_t{vcpus} * record_bytes, PROT_READ,
						      CORBEL_DIST_RECORD_OFFSET));
}

distributor::~distributor()
{
	if (lines)
		munmap(const_cast<corbel_dist_line *>(lines), page);
	if (records)
		munmap(const_cast<char *>(records), size_t{vcpus} * record_bytes);
	if (ring)
		munmap(ring, ring_size);
}

corbel_dist_info distributor::info() const
{
	corbel_dist_info info = {};
	int result = request(fd(), CORBEL_DIST_INFO, info);

	CHECK(result == 0, "CORBEL_DIST_INFO answers {}", error_name(result));
	return info;
}

int distributor::map(std::span<const corbel_dist_entry> entries, unsigned flags) const
{
	corbel_dist_map argument = {};

	argument.flags = flags;
	argument.count = entries.size();
	argument.entries = reinterpret_cast<__u64>(entries.data());
	return request(fd(), CORBEL_DIST_MAP, argument);
}

void distributor::map(unsigned id, unsigned vcpu, unsigned vector, unsigned priority,
		      unsigned state) const
{
	corbel_dist_entry entry = make_entry(id, vcpu, vector, priority, state);
	int result = map(std::span(&entry, 1));

	CHECK(result == 0, "CORBEL_DIST_MAP of id {} answers {}", id, error_name(result));
}

void distributor::unmap(unsigned id) const
{
	corbel_dist_entry entry = {};

	entry.id = id;
	int result = map(std::span(&entry, 1));
	CHECK(result == 0, "unmapping id {} answers {}", id, error_name(result));
}

std::vector<corbel_dist_entry> distributor::read(unsigned first, unsigned count) const
{
	std::vector<corbel_dist_entry> entries(count);
	corbel_dist_read argument = {};

	argument.first = first;
	argument.count = count;
	argument.entries = reinterpret_cast<__u64>(entries.data());
	int result = request(fd(), CORBEL_DIST_READ, argument);
	CHECK(result == 0, "CORBEL_DIST_READ answers {}", error_name(result));
	return entries;
}

int distributor::raise(unsigned id) const
{
	corbel_dist_raise argument = {};

	argument.id = id;
	return request(fd(), CORBEL_DIST_RAISE, argument);
}

int distributor::raise(std::span<const __u32> list) const
{
	corbel_dist_raise_many argument = {};

	argument.count = list.size();
	argument.ids = reinterpret_cast<__u64>(list.data());
	return request(fd(), CORBEL_DIST_RAISE_MANY, argument);
}

int distributor::set_masked(unsigned first, unsigned count, bool masked) const
{
	corbel_dist_mask argument = {};

	argument.flags = masked ? CORBEL_DIST_MASK_SET : 0;
	argument.first = first;
	argument.count = count;
	return request(fd(), CORBEL_DIST_MASK, argument);
}

int distributor::bind(unsigned id, int eventfd) const
{
	corbel_dist_bind argument = {};

	argument.id = id;
	argument.fd = eventfd;
	return request(fd(), CORBEL_DIST_BIND, argument);
}

int distributor::unbind(unsigned id) const
{
	corbel_dist_bind argument = {};

	argument.flags = CORBEL_DIST_UNBIND;
	argument.id = id;
	argument.fd = -1;
	return request(fd(), CORBEL_DIST_BIND, argument);
}

int distributor::set_doorbell(unsigned vcpu, int eventfd) const
{
	corbel_dist_doorbell argument = {};

	argument.vcpu = vcpu;
	argument.fd = eventfd;
	return request(fd(), CORBEL_DIST_DOORBELL, argument);
}

int distributor::reset() const
{
	corbel_dist_reset argument = {};

	return request(fd(), CORBEL_DIST_RESET, argument);
}

int distributor::make_ring(unsigned order)
{
	corbel_dist_ring argument = {};

	argument.order = order;
	int result = request(fd(), CORBEL_DIST_RING, argument);
	if (result)
		return result;
	ring_capacity = 1u << order;
	ring_size = page + (ring_capacity * sizeof(__u32) + page - 1) / page * page;
	ring = static_cast<corbel_dist_ring_ctl *>(
		map_pages(fd(), ring_size, PROT_READ | PROT_WRITE, CORBEL_DIST_RING_OFFSET));
	return 0;
}

void distributor::submit(unsigned id)
{
	auto *list = reinterpret_cast<__u32 *>(reinterpret_cast<char *>(ring) + page);

	std::atomic_ref(list[ring_head % ring_capacity]).store(id, std::memory_order_relaxed);
	std::atomic_ref(ring->head).store(++ring_head, std::memory_order_release);
}

int distributor::kick() const
{
	corbel_dist_kick argument = {};

	return request(fd(), CORBEL_DIST_KICK, argument);
}

std::vector<corbel_dist_counts> distributor::counts(unsigned first, unsigned count) const
{
	std::vector<corbel_dist_counts> counts(count);
	corbel_dist_ledger argument = {};

	argument.first = first;
	argument.count = count;
	argument.counts = reinterpret_cast<__u64>(counts.data());
	int result = request(fd(), CORBEL_DIST_LEDGER, argument);
	CHECK(result == 0, "CORBEL_DIST_LEDGER answers {}", error_name(result));
	return counts;
}

corbel_dist_counts distributor::total() const
{
	corbel_dist_counts sum = {};
	unsigned id = 0;

	for (const corbel_dist_counts &of : counts(0, ids)) {
		CHECK_EQ(
			of.raised + of.restored,
			of.delivered + of.coalesced + of.refused + of.withdrawn + of.pending,
			"id {}: raised {} + restored {} = delivered {} + coalesced {} + refused {} "
			"+ withdrawn {} + pending {}",
			id, of.raised, of.restored, of.delivered, of.coalesced, of.refused,
			of.withdrawn, of.pending);
		irq::add_counts(sum, of);
		id++;
	}
	return sum;
}

__u64 distributor::status_word(unsigned word) const
{
	return load_word(&lines[word].pending);
}

bool distributor::record(unsigned vcpu, unsigned id) const
{
	auto *words = reinterpret_cast<const __u64 *>(records + size_t{vcpu} * record_bytes);

	return load_word(words + id / 64) >> id % 64 & 1;
}

unsigned distributor::count_record(unsigned vcpu) const
{
	auto *words = reinterpret_cast<const __u64 *>(records + size_t{vcpu} * record_bytes);
	unsigned sum = 0;

	for (unsigned i = 0; i < record_bytes / sizeof(__u64); i++)
		sum += std::popcount(load_word(words + i));
	return sum;
}

void distributor::check_pages() const
{
	std::vector<unsigned> pending(vcpus), open(vcpus);

	for (const corbel_dist_entry &it : read()) {
		bool is = it.state & CORBEL_DIST_PENDING;

		if (!(it.state & CORBEL_DIST_MAPPED))
			continue;
		pending[it.vcpu] += is;
		open[it.vcpu] += is && !(it.state & CORBEL_DIST_MASKED);
		CHECK_EQ(record(it.vcpu, it.id), is, "the record of vCPU {} about id {}", it.vcpu,
			 it.id);
	}
	for (unsigned i = 0; i < vcpus; i++) {
		CHECK_EQ(count_record(i), pending[i], "bits in the record of vCPU {}", i);
		CHECK_EQ(status(i), open[i] != 0, "the status of vCPU {}, {} open", i, open[i]);
	}
}

void dist_vm::wait_handled(unsigned vcpu, unsigned vector, uint64_t times)
{
	vm.wait("the interrupt is handled", [&] { return vm.handled(vcpu, vector) >= times; });
	CHECK_EQ(vm.handled(vcpu, vector), times, "vCPU {}, vector {:#x}", vcpu, vector);
}

void dist_vm::wait_given_out()
{
	for (unsigned i = 0; i < vm.nr_vcpus(); i++)
		if (vm.at(i).started())
			vm.wait("nothing is pending", [&] { return !dist.status(i); });
	/* The last one is given out once its status has been cleared; to read it takes the lock. */
	(void)dist.total();
}

void dist_vm::check_quiet()
{
	wait_given_out();
	wait_idle(vm);
	corbel_dist_counts total = dist.total();
	__u64 accepted = 0;
	std::string vectors;

	for (unsigned i = 0; i < vm.nr_vcpus(); i++) {
		accepted += sum_paths(observed.read(i).accepted);
		for (unsigned v = 0;
		     const corbel_irq_vector &of : irq_vectors(observed.irq.get(), i)) {
			if (__u64 sum = sum_paths(of.accepted))
				vectors += fmt::format(" {}:{:#x} {}", i, v, sum);
			v++;
		}
	}
	CHECK_EQ(total.delivered, accepted, "delivered, and accepted by local APICs ({} )",
		 vectors);
	check_ledger(observed.irq.get(), vm.nr_vcpus());
	dist.check_pages();
}

corbel_dist_entry make_entry(unsigned id, unsigned vcpu, unsigned vector, unsigned priority,
			     unsigned state)
{
	corbel_dist_entry entry = {};

	entry.id = id;
	entry.vcpu = vcpu;
	entry.vector = vector;
	entry.priority = priority;
	entry.state = CORBEL_DIST_MAPPED | state;
	return entry;
}

unique_fd make_eventfd()
{
	unique_fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	CHECK(fd, "eventfd: {}", error_name(errno));
	return fd;
}

void signal_eventfd(int eventfd)
{
	__u64 one = 1;

	CHECK(write(eventfd, &one, sizeof(one)) == sizeof(one), "writing an eventfd: {}",
	      error_name(errno));
}

__u64 read_eventfd(int eventfd)
{
	__u64 count = 0;

	return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

} // namespace corbel::selftest
