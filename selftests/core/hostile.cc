// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hostile arguments, from one table of all ioctls: each refused with the error
 * that the ABI promises, and nothing changed by what was refused.
 */
#include "abi_table.hh"
#include "kvm_state.hh"
#include "module.hh"
#include "tap.hh"

#include <cstring>
#include <sys/mman.h>

using namespace corbel::selftest;

namespace {

constexpr size_t page = 4096;

/* All that an ioctl could have changed by mistake. */
struct footprint {
	unsigned nr_vms, nr_fds, pinned, checking, hook_users, open_fds;
	__u64 features, vm_ids;

	bool operator==(const footprint &) const = default;
};

footprint take_footprint(const fd_set_of_vm &fds)
{
	footprint now = {};
	corbel_vm_info vm = vm_info(fds.attachment.get());

	now.nr_vms = query(fds.device.get()).nr_vms;
	now.nr_fds = vm.nr_fds;
	now.pinned = vm.pinned;
	now.features = vm.features;
	now.checking = irq_info(fds.irq.get()).checking;
	for (const corbel_hook_info &hook : list_hooks(fds.device.get()))
		now.hook_users += hook.users;
	for (const corbel_vm_info &info : list_vms(fds.device.get()))
		now.vm_ids += info.vm_id;
	now.open_fds = count_open_fds();
	return now;
}

/* A struct of an entry at any address, well-formed. */
std::vector<char> well_formed(const abi_entry &entry, fd_set_of_vm &fds)
{
	std::vector<char> argument(entry.size());
	__u32 size = entry.size();

	std::memcpy(argument.data(), &size, sizeof(size));
	entry.fill(argument.data(), fds);
	return argument;
}

/* The ioctl; a descriptor that it makes is closed again. */
int try_entry(const abi_entry &entry, const fd_set_of_vm &fds, const void *argument)
{
	int result = call(fds.get(entry.kind), entry.command, argument);

	if (result >= 0 && entry.makes_fd)
		close(result);
	return result;
}

/* Runs `body` for every entry and checks that it left no trace. */
template <typename Body>
void for_each_entry(Body &&body)
{
	ensure_corbel();
	fd_set_of_vm fds;

	for (const abi_entry &entry : abi_table()) {
		footprint before = take_footprint(fds);

		body(entry, fds);
		CHECK(take_footprint(fds) == before, "{} changed something by a refused request",
		      entry.name);
	}
}

void accept_well_formed()
{
	for_each_entry([](const abi_entry &entry, fd_set_of_vm &fds) {
		auto argument = well_formed(entry, fds);
		int result = try_entry(entry, fds, argument.data());

		CHECK(result >= 0, "{} answers {}", entry.name, error_name(result));
	});
}

void refuse_sizes()
{
	for_each_entry([](const abi_entry &entry, fd_set_of_vm &fds) {
		__u32 right = entry.size();

		for (__u32 size : {0u, 1u, 4u, right - 1, right + 1, right * 2, 4096u, 0x7fffffffu,
				   0x80000000u, ~0u}) {
			auto argument = well_formed(entry, fds);

			std::memcpy(argument.data(), &size, sizeof(size));
			CHECK_EQ(try_entry(entry, fds, argument.data()), -EINVAL, "{} of size {}",
				 entry.name, size);
		}
	});
}

void refuse_flags()
{
	for_each_entry([](const abi_entry &entry, fd_set_of_vm &fds) {
		for (unsigned bit = 0; bit < 32; bit++) {
			__u32 flags = 1u << bit;
			auto argument = well_formed(entry, fds);

			if (entry.flags & flags)
				continue;
			std::memcpy(argument.data() + 4, &flags, sizeof(flags));
			CHECK_EQ(try_entry(entry, fds, argument.data()), -EINVAL,
				 "{} with flags {:#x}", entry.name, flags);
		}
	});
}

void refuse_padding()
{
	unsigned tried = 0;

	for_each_entry([&](const abi_entry &entry, fd_set_of_vm &fds) {
		for (byte_range range : entry.zeroes) {
			for (size_t i = 0; i < range.length; i++, tried++) {
				auto argument = well_formed(entry, fds);

				argument[range.offset + i] = 0x80;
				CHECK_EQ(try_entry(entry, fds, argument.data()), -EINVAL,
					 "{} with byte {} of the padding set", entry.name, i);
			}
		}
	});
	CHECK(tried > 20, "only {} bytes of padding in the table", tried);
}

/* Two pages, of which the second has no access. */
class guarded_page {
public:
	guarded_page()
	{
		space = static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		mprotect(space + page, page, PROT_NONE);
	}
	~guarded_page() { munmap(space, 2 * page); }
	char *end() const { return space + page; }
	void make_read_only() { mprotect(space, page, PROT_READ); }

private:
	char *space;
};

void refuse_pointers()
{
	for_each_entry([](const abi_entry &entry, fd_set_of_vm &fds) {
		guarded_page guarded;

		for (uintptr_t bad : {0ul, 1ul, 0x1000ul, 0x7ffffffff000ul, 0x800000000000ul,
				      0xffff888000000000ul, 0xffffffff81000000ul, ~0ul, ~0ul - 7,
				      reinterpret_cast<uintptr_t>(guarded.end())})
			CHECK_EQ(try_entry(entry, fds, reinterpret_cast<void *>(bad)), -EFAULT,
				 "{} at {:#x}", entry.name, bad);

		/* Begins in a page that is there and ends in one that is not. */
		auto argument = well_formed(entry, fds);
		for (size_t there :
		     {size_t{1}, size_t{4}, argument.size() / 2, argument.size() - 1}) {
			char *place = guarded.end() - there;

			std::memcpy(place, argument.data(), there);
			CHECK_EQ(try_entry(entry, fds, place), -EFAULT,
				 "{} of which {} bytes are there", entry.name, there);
		}
	});
}

/* What cannot be answered must not have been done either. */
void undo_when_answer_fails()
{
	for_each_entry([](const abi_entry &entry, fd_set_of_vm &fds) {
		guarded_page guarded;
		auto argument = well_formed(entry, fds);
		char *place = guarded.end() - argument.size();

		std::memcpy(place, argument.data(), argument.size());
		guarded.make_read_only();
		int result = try_entry(entry, fds, place);
		if (entry.answers)
			CHECK_EQ(result, -EFAULT, "{} in a read-only page", entry.name);
		else
			CHECK(result >= 0 || result == -EFAULT, "{} in a read-only page answers {}",
			      entry.name, error_name(result));
	});
}

void refuse_inner_pointers()
{
	unsigned tried = 0;

	for_each_entry([&](const abi_entry &entry, fd_set_of_vm &fds) {
		guarded_page guarded;

		if (!entry.pointer)
			return;
		for (__u64 bad : {__u64{0}, __u64{8}, __u64{0xffff888000000000}, ~__u64{0} - 15,
				  reinterpret_cast<__u64>(guarded.end()),
				  reinterpret_cast<__u64>(guarded.end() - 8)}) {
			auto argument = well_formed(entry, fds);

			std::memcpy(argument.data() + *entry.pointer, &bad, sizeof(bad));
			CHECK_EQ(try_entry(entry, fds, argument.data()), -EFAULT,
				 "{} with a pointer of {:#x}", entry.name, bad);
			tried++;
		}
	});
	CHECK(tried >= 12, "only {} pointers in the table", tried);
}

/* Each descriptor knows its own numbers, with their own sizes, and no other. */
void refuse_numbers()
{
	ensure_corbel();
	fd_set_of_vm fds;
	footprint before = take_footprint(fds);
	std::vector<char> space(64 * 1024);

	for (unsigned k = 0; k < nr_fd_kinds; k++) {
		auto kind = static_cast<fd_kind>(k);

		for (const abi_entry &entry : abi_table()) {
			unsigned number = _IOC_NR(entry.command);
			auto argument = well_formed(entry, fds);

			std::memcpy(space.data(), argument.data(), argument.size());
			if (entry.kind != kind)
				CHECK_EQ(call(fds.get(kind), entry.command, space.data()), -ENOTTY,
					 "{} on {}", entry.name, kind_name(kind));
			for (size_t size :
			     {size_t{0}, entry.size() - 1, entry.size() + 1, size_t{0x3fff}})
				CHECK_EQ(call(fds.get(kind),
					      _IOC(_IOC_READ | _IOC_WRITE, CORBEL_IOC_MAGIC, number,
						   size),
					      space.data()),
					 -ENOTTY, "{} encoded with size {} on {}", entry.name, size,
					 kind_name(kind));
			for (unsigned direction : {0u, 1u, 2u})
				CHECK_EQ(call(fds.get(kind),
					      _IOC(direction, CORBEL_IOC_MAGIC, number,
						   entry.size()),
					      space.data()),
					 -ENOTTY, "{} encoded with direction {} on {}", entry.name,
					 direction, kind_name(kind));
		}
		for (unsigned number = 0; number < 256; number++) {
			bool known = false;

			for (const abi_entry &entry : abi_table())
				known |= _IOC_NR(entry.command) == number;
			for (size_t size : {size_t{8}, size_t{16}, size_t{64}}) {
				unsigned long command = _IOC(3u, CORBEL_IOC_MAGIC, number, size);

				if (!known)
					CHECK_EQ(call(fds.get(kind), command, space.data()),
						 -ENOTTY, "number {:#x} on {}", number,
						 kind_name(kind));
				CHECK_EQ(call(fds.get(kind),
					      _IOC(3u, CORBEL_IOC_MAGIC ^ 1, number, size),
					      space.data()),
					 -ENOTTY, "another magic on {}", kind_name(kind));
			}
		}
	}
	CHECK(take_footprint(fds) == before, "an unknown number changed something");
}

void refuse_values()
{
	ensure_corbel();
	fd_set_of_vm fds;
	footprint before = take_footprint(fds);
	int irq = fds.irq.get();

	for (__u32 index : {query(fds.device.get()).nr_hooks, 0x7fffffffu, ~0u}) {
		corbel_hook_info hook = {};
		hook.index = index;
		CHECK_EQ(request(fds.device.get(), CORBEL_HOOK_INFO, hook), -ENOENT, "hook {}",
			 index);
	}
	for (__u32 vcpu : {1u, 63u, 64u, 1023u, 1024u, 4096u, 0x80000000u, ~0u}) {
		corbel_irq_vcpu one = {};
		corbel_irq_hist hist = {};
		corbel_irq_vectors vectors = {};

		one.vcpu = hist.vcpu = vectors.vcpu = vcpu;
		vectors.count = CORBEL_IRQ_VECTORS;
		vectors.vectors = reinterpret_cast<__u64>(fds.vectors.data());
		CHECK_EQ(request(irq, CORBEL_IRQ_VCPU, one), -ENOENT, "vCPU {}", vcpu);
		CHECK_EQ(request(irq, CORBEL_IRQ_HIST, hist), -ENOENT, "vCPU {}", vcpu);
		CHECK_EQ(request(irq, CORBEL_IRQ_VECTORS_GET, vectors), -ENOENT, "vCPU {}", vcpu);
		corbel_irq_stats stats = {.vcpu = vcpu, .vector = CORBEL_IRQ_ALL_VECTORS};
		if (vcpu != CORBEL_IRQ_ALL_VCPUS)
			CHECK_EQ(request(irq, CORBEL_IRQ_STATS, stats), -ENOENT, "vCPU {}", vcpu);
	}
	for (__u32 vector : {256u, 257u, 0x7fffffffu, ~0u - 1}) {
		corbel_irq_hist hist = {};
		hist.vector = vector;
		int result = request(irq, CORBEL_IRQ_HIST, hist);
		CHECK(result == -EINVAL || result == -ENOENT, "vector {} answers {}", vector,
		      error_name(result));
		corbel_irq_stats stats = {.vcpu = 0, .vector = vector};
		CHECK_EQ(request(irq, CORBEL_IRQ_STATS, stats), -EINVAL, "vector {}", vector);
	}
	for (__u32 count : {0u, 1u, 255u, 257u, ~0u}) {
		corbel_irq_vectors vectors = {};
		vectors.count = count;
		vectors.vectors = reinterpret_cast<__u64>(fds.vectors.data());
		CHECK_EQ(request(irq, CORBEL_IRQ_VECTORS_GET, vectors), -EINVAL, "room for {}",
			 count);
	}
	corbel_irq_check check = {};
	check.flags = CORBEL_IRQ_CHECK_ON | CORBEL_IRQ_CHECK_OFF;
	CHECK_EQ(request(irq, CORBEL_IRQ_CHECK, check), -EINVAL, "on and off");
	struct {
		__u32 order, events;
	} rings[] = {
		{0, 2},
		{CORBEL_RING_MIN_ORDER - 1, 2},
		{CORBEL_RING_MAX_ORDER + 1, 2},
		{32, 2},
		{64, 2},
		{~0u, 2},
		{8, 0},
		{8, 1},
		{8, 1u << (CORBEL_EVENT_MAX + 1)},
		{8, 1u << 31},
		{8, ~0u},
	};
	for (auto [order, events] : rings) {
		corbel_irq_ring ring = {};
		ring.order = order;
		ring.events = events;
		CHECK_EQ(request(irq, CORBEL_IRQ_RING, ring), -EINVAL,
			 "ring of order {}, events {:#x}", order, events);
	}
	CHECK(take_footprint(fds) == before, "a wrong value changed something");
}

/* EBUSY past CORBEL_IRQ_MAX_RINGS, and a closed ring makes room again. */
void limit_rings()
{
	ensure_corbel();
	fd_set_of_vm fds;
	unique_fd rings[CORBEL_IRQ_MAX_RINGS];
	corbel_irq_ring ring = {};

	ring.order = CORBEL_RING_MIN_ORDER;
	ring.events = 1u << CORBEL_EVENT_ACCEPT;
	for (unsigned i = 1; i < CORBEL_IRQ_MAX_RINGS; i++) {
		rings[i].reset(request(fds.irq.get(), CORBEL_IRQ_RING, ring));
		CHECK(rings[i], "ring {}", i);
	}
	CHECK_EQ(request(fds.irq.get(), CORBEL_IRQ_RING, ring), -EBUSY, "one ring too many");
	rings[1].reset();
	rings[1].reset(request(fds.irq.get(), CORBEL_IRQ_RING, ring));
	CHECK(rings[1], "a ring in the place of a closed one");
}

void refuse_distributor_values()
{
	ensure_corbel();
	fd_set_of_vm fds;
	footprint before = take_footprint(fds);
	const int dist = fds.dist.get();
	const struct {
		__u32 ids, vcpus;
	} devices[] = {{0, 1},	 {1, 0},  {CORBEL_DIST_MAX_IDS + 1, 1}, {1, CORBEL_MAX_VCPUS + 1},
		       {~0u, 1}, {1, ~0u}};

	for (auto [ids, vcpus] : devices) {
		corbel_irq_dist argument = {.ids = ids, .vcpus = vcpus};

		CHECK_EQ(request(fds.irq.get(), CORBEL_IRQ_DIST_NEW, argument), -EINVAL,
			 "{} ids, {} vCPUs", ids, vcpus);
	}
	for (__u32 id : {fds.dist_ids, 0x7fffffffu, 0x80000000u, ~0u}) {
		corbel_dist_raise raise = {.id = id};
		corbel_dist_bind bind = {.id = id, .fd = fds.eventfd.get()};
		corbel_dist_bind unbind = {.flags = CORBEL_DIST_UNBIND, .id = id, .fd = -1};

		CHECK_EQ(request(dist, CORBEL_DIST_RAISE, raise), -EINVAL, "id {}", id);
		CHECK_EQ(request(dist, CORBEL_DIST_BIND, bind), -EINVAL, "id {}", id);
		CHECK_EQ(request(dist, CORBEL_DIST_BIND, unbind), -EINVAL, "id {}", id);
	}
	const struct {
		__u32 first, count;
	} ranges[] = {{0, 0},
		      {0, fds.dist_ids + 1},
		      {fds.dist_ids, 1},
		      {fds.dist_ids - 1, 2},
		      {1, ~0u},
		      {~0u, 1},
		      {~0u, ~0u}};
	for (auto [first, count] : ranges) {
		corbel_dist_mask mask = {.first = first, .count = count};
		corbel_dist_read read = {.first = first,
					 .count = count,
					 .entries = reinterpret_cast<__u64>(fds.entries.data())};
		corbel_dist_ledger ledger = {.first = first,
					     .count = count,
					     .counts = reinterpret_cast<__u64>(fds.counts.data())};

		CHECK_EQ(request(dist, CORBEL_DIST_MASK, mask), -EINVAL, "{} from {}", count,
			 first);
		CHECK_EQ(request(dist, CORBEL_DIST_READ, read), -EINVAL, "{} from {}", count,
			 first);
		CHECK_EQ(request(dist, CORBEL_DIST_LEDGER, ledger), -EINVAL, "{} from {}", count,
			 first);
	}
	for (__u32 count : {0u, CORBEL_DIST_MAX_IDS + 1u, ~0u}) {
		corbel_dist_map map = {.count = count,
				       .entries = reinterpret_cast<__u64>(fds.entries.data())};
		corbel_dist_raise_many raise = {.count = count,
						.ids = reinterpret_cast<__u64>(fds.ids)};

		CHECK_EQ(request(dist, CORBEL_DIST_MAP, map), -EINVAL, "{} entries", count);
		CHECK_EQ(request(dist, CORBEL_DIST_RAISE_MANY, raise), -EINVAL, "{} ids", count);
	}
	for (__s32 fd : {-2, -1000, INT32_MIN}) {
		corbel_dist_doorbell bell = {.vcpu = 0, .fd = fd};

		CHECK_EQ(request(dist, CORBEL_DIST_DOORBELL, bell), -EINVAL, "descriptor {}", fd);
	}
	for (__u32 order : {0u, 5u, 17u, 32u, 64u, ~0u}) {
		corbel_dist_ring ring = {.order = order};

		CHECK_EQ(request(dist, CORBEL_DIST_RING, ring), -EINVAL, "order {}", order);
	}
	for (__u32 slot : {0u + CORBEL_DIST_MAX, 64u, 0x80000000u, ~0u}) {
		corbel_irq_dist_get get = {.slot = slot};

		CHECK_EQ(request(fds.irq.get(), CORBEL_IRQ_DIST_GET, get), -EINVAL, "slot {}",
			 slot);
	}
	corbel_irq_dist_get nobody = {.slot = CORBEL_DIST_MAX - 1};
	CHECK_EQ(request(fds.irq.get(), CORBEL_IRQ_DIST_GET, nobody), -ENOENT, "an empty slot");
	corbel_dist_kick kick = {};
	CHECK_EQ(request(dist, CORBEL_DIST_KICK, kick), -ENOENT, "without a ring");
	CHECK(take_footprint(fds) == before, "a wrong value changed something");
}

/* 0 and unmapped again, or a negative error number. */
int try_map(int fd, size_t length, int protection, int flags, off_t offset)
{
	void *place = mmap(nullptr, length, protection, flags, fd, offset);

	if (place == MAP_FAILED)
		return -errno;
	munmap(place, length);
	return 0;
}

void refuse_mappings()
{
	ensure_corbel();
	fd_set_of_vm fds;
	int irq = fds.irq.get(), ring = fds.ring.get(), dist = fds.dist.get();
	corbel_dist_ring submission = {.order = CORBEL_DIST_RING_MIN_ORDER};
	CHECK_EQ(request(dist, CORBEL_DIST_RING, submission), 0, "submission ring");
	size_t data = page + (sizeof(corbel_event) << CORBEL_RING_MIN_ORDER);
	constexpr int rw = PROT_READ | PROT_WRITE;
	struct {
		const char *what;
		int fd;
		size_t length;
		int protection, flags;
		off_t offset;
		bool allowed;
	} const tries[] = {
		{"status page", irq, page, PROT_READ, MAP_SHARED, 0, true},
		{"status page, writable", irq, page, rw, MAP_SHARED, 0, false},
		{"status page, private", irq, page, PROT_READ, MAP_PRIVATE, 0, false},
		{"status page, private and writable", irq, page, rw, MAP_PRIVATE, 0, false},
		{"status page, executable", irq, page, PROT_READ | PROT_EXEC, MAP_SHARED, 0, false},
		{"status page, two pages", irq, 2 * page, PROT_READ, MAP_SHARED, 0, false},
		{"behind the status page", irq, page, PROT_READ, MAP_SHARED, page, false},
		{"far behind the status page", irq, page, PROT_READ, MAP_SHARED, off_t{1} << 52,
		 false},
		{"ring control", ring, page, rw, MAP_SHARED, CORBEL_RING_CTL_OFFSET, true},
		{"ring control, private", ring, page, rw, MAP_PRIVATE, CORBEL_RING_CTL_OFFSET,
		 false},
		{"ring control, two pages", ring, 2 * page, rw, MAP_SHARED, CORBEL_RING_CTL_OFFSET,
		 false},
		{"ring data", ring, data, PROT_READ, MAP_SHARED, CORBEL_RING_DATA_OFFSET, true},
		{"ring data, writable", ring, data, rw, MAP_SHARED, CORBEL_RING_DATA_OFFSET, false},
		{"ring data, private", ring, data, PROT_READ, MAP_PRIVATE, CORBEL_RING_DATA_OFFSET,
		 false},
		{"ring data, executable", ring, data, PROT_READ | PROT_EXEC, MAP_SHARED,
		 CORBEL_RING_DATA_OFFSET, false},
		{"ring data, one page more", ring, data + page, PROT_READ, MAP_SHARED,
		 CORBEL_RING_DATA_OFFSET, false},
		{"ring data, far more", ring, data + (size_t{1} << 40), PROT_READ, MAP_SHARED,
		 CORBEL_RING_DATA_OFFSET, false},
		{"behind the ring's data", ring, page, PROT_READ, MAP_SHARED,
		 static_cast<off_t>(CORBEL_RING_DATA_OFFSET + data), false},
		{"between control and data", ring, page, PROT_READ, MAP_SHARED, page, false},
		{"distributor status", dist, page, PROT_READ, MAP_SHARED, 0, true},
		{"distributor status, writable", dist, page, rw, MAP_SHARED, 0, false},
		{"distributor status, private", dist, page, PROT_READ, MAP_PRIVATE, 0, false},
		{"distributor status, two pages", dist, 2 * page, PROT_READ, MAP_SHARED, 0, false},
		{"behind distributor status", dist, page, PROT_READ, MAP_SHARED, page, false},
		{"records", dist, page, PROT_READ, MAP_SHARED, CORBEL_DIST_RECORD_OFFSET, true},
		{"records, writable", dist, page, rw, MAP_SHARED, CORBEL_DIST_RECORD_OFFSET, false},
		{"records, executable", dist, page, PROT_READ | PROT_EXEC, MAP_SHARED,
		 CORBEL_DIST_RECORD_OFFSET, false},
		{"records, one page more", dist, 2 * page, PROT_READ, MAP_SHARED,
		 CORBEL_DIST_RECORD_OFFSET, false},
		{"submission ring", dist, 2 * page, rw, MAP_SHARED, CORBEL_DIST_RING_OFFSET, true},
		{"submission ring, private", dist, page, rw, MAP_PRIVATE, CORBEL_DIST_RING_OFFSET,
		 false},
		{"submission ring, one page more", dist, 3 * page, rw, MAP_SHARED,
		 CORBEL_DIST_RING_OFFSET, false},
		{"a submission ring that was not made", fds.spare.get(), page, rw, MAP_SHARED,
		 CORBEL_DIST_RING_OFFSET, false},
		{"device", fds.device.get(), page, PROT_READ, MAP_SHARED, 0, false},
		{"VM fd", fds.attachment.get(), page, PROT_READ, MAP_SHARED, 0, false},
		{"stats fd", fds.stats.get(), page, PROT_READ, MAP_SHARED, 0, false},
	};

	for (const auto &one : tries) {
		int result = try_map(one.fd, one.length, one.protection, one.flags, one.offset);

		CHECK_EQ(result == 0, one.allowed, "{}: answers {}", one.what, error_name(result));
	}
}

/* A mapping can neither be made writable nor grown past its end later on. */
void refuse_changed_mappings()
{
	ensure_corbel();
	fd_set_of_vm fds;
	struct {
		const char *what;
		int fd;
		off_t offset;
	} const read_only[] = {
		{"status page", fds.irq.get(), 0},
		{"ring data", fds.ring.get(), CORBEL_RING_DATA_OFFSET},
		{"distributor status", fds.dist.get(), CORBEL_DIST_STATUS_OFFSET},
		{"records", fds.dist.get(), CORBEL_DIST_RECORD_OFFSET},
	};

	for (const auto &one : read_only) {
		void *place = mmap(nullptr, page, PROT_READ, MAP_SHARED, one.fd, one.offset);

		CHECK(place != MAP_FAILED, "{}: {}", one.what, error_name(errno));
		for (int protection : {PROT_READ | PROT_WRITE, PROT_WRITE, PROT_READ | PROT_EXEC})
			CHECK(mprotect(place, page, protection) < 0, "{} got protection {}",
			      one.what, protection);
		void *grown = mremap(place, page, 64 * page, MREMAP_MAYMOVE);
		CHECK(grown == MAP_FAILED, "{} grew to 64 pages", one.what);
		munmap(place, page);
	}
}

void refuse_file_calls()
{
	ensure_corbel();
	fd_set_of_vm fds;
	char byte = 0;

	for (unsigned k = 0; k < nr_fd_kinds; k++) {
		auto kind = static_cast<fd_kind>(k);
		int fd = fds.get(kind);

		CHECK(write(fd, &byte, 1) < 0, "write to {}", kind_name(kind));
		if (kind != fd_kind::stats) {
			CHECK(read(fd, &byte, 1) < 0, "read of {}", kind_name(kind));
			CHECK(pread(fd, &byte, 1, 0) < 0, "pread of {}", kind_name(kind));
		}
		if (kind != fd_kind::memory)
			CHECK(lseek(fd, 1, SEEK_SET) <= 0, "lseek of {}", kind_name(kind));
		CHECK(ftruncate(fd, 0) < 0, "ftruncate of {}", kind_name(kind));
	}
}

/* What can be read, into memory that is not there or not writable, from anywhere. */
void refuse_reads()
{
	ensure_corbel();
	fd_set_of_vm fds;
	const int fd = fds.stats.get();
	guarded_page guarded;
	char bytes[64];

	guarded.make_read_only();
	for (uintptr_t bad : {uintptr_t{0}, uintptr_t{8}, uintptr_t{0xffff888000000000},
			      reinterpret_cast<uintptr_t>(guarded.end()),
			      reinterpret_cast<uintptr_t>(guarded.end() - 16)})
		for (off_t offset : {0, 20, 60, 80, 1024})
			CHECK(pread(fd, reinterpret_cast<void *>(bad), 64, offset) < 0 &&
				      errno == EFAULT,
			      "64 bytes from {} to {:#x}: {}", offset, bad, error_name(errno));
	CHECK(pread(fd, bytes, sizeof(bytes), -1) < 0 && errno == EINVAL, "before the start");
	for (off_t offset : {off_t{1} << 20, off_t{1} << 40, INT64_MAX - 4096, INT64_MAX - 64})
		CHECK_EQ(pread(fd, bytes, sizeof(bytes), offset), 0, "far past the end");
	CHECK_EQ(pread(fd, bytes, 0, 0), 0, "nothing");
	CHECK_EQ(read(fd, bytes, sizeof(bytes)), 64, "read goes on where the last one ended");
}

constexpr test_case cases[] = {
	{"well-formed requests are accepted", accept_well_formed},
	{"wrong sizes", refuse_sizes},
	{"unknown flags", refuse_flags},
	{"padding that is not zero", refuse_padding},
	{"bad pointers", refuse_pointers},
	{"an answer that cannot be written", undo_when_answer_fails},
	{"bad pointers in structs", refuse_inner_pointers},
	{"numbers that are unknown or another descriptor's", refuse_numbers},
	{"values out of range", refuse_values},
	{"a distributor's values out of range", refuse_distributor_values},
	{"too many rings", limit_rings},
	{"mappings that are not offered", refuse_mappings},
	{"mappings changed later", refuse_changed_mappings},
	{"read, write, seek, truncate", refuse_file_calls},
	{"reading to bad places", refuse_reads},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
