// SPDX-License-Identifier: GPL-2.0-or-later
/* Arguments of the fuzzer's ioctls that are right as far as one can know. */
#include "fuzz_worker.hh"

#include <corbel/qos.h>

#include <cstring>
#include <sys/sysmacros.h>

namespace corbel::selftest {

namespace {

constexpr unsigned most_infos = 32;

} // namespace

/* What the machine could give is not taken from it, only what it could not. */
void fuzz_worker::limit_memory(char *argument)
{
	constexpr __u64 most = 16 << 20, beyond = __u64{64} << 30;
	__u64 bytes;

	std::memcpy(&bytes, argument + offsetof(corbel_memory_create, bytes), sizeof(bytes));
	if (bytes < beyond)
		bytes %= most;
	std::memcpy(argument + offsetof(corbel_memory_create, bytes), &bytes, sizeof(bytes));
}

/* Ends of connections with another pager at the other end, with nobody, or used up. */
void fuzz_worker::set_pager(char *argument)
{
	corbel_pager_new pager = {};
	auto draw_socket = [&] {
		const tcp_pair &pair = sockets[draw(sockets.size())];

		return chance(50) ? pair.first.get() : pair.second.get();
	};

	if (sockets.size() < 4)
		sockets.emplace_back();
	else if (chance(30))
		sockets.erase(sockets.begin());
	pager.size = sizeof(pager);
	pager.flags = chance(90) ? CORBEL_PAGER_PLAIN : 0;
	pager.role = chance(50) ? CORBEL_PAGER_FETCH : CORBEL_PAGER_SERVE;
	pager.window = pager.role == CORBEL_PAGER_FETCH ? draw(3) : 0;
	pager.demand = draw_socket();
	pager.push = draw_socket();
	std::memcpy(argument, &pager, sizeof(pager));
}

/* Right as far as one can know; every member that is read is set. */
void fuzz_worker::fill_valid(const abi_entry &entry, char *argument)
{
	auto set = [&]<typename Type>(size_t offset, Type value) {
		std::memcpy(argument + offset, &value, sizeof(value));
	};

	std::memset(argument, 0, entry.size());
	set(0, static_cast<__u32>(entry.size()));
	switch (entry.command) {
	case CORBEL_HELLO:
		set(offsetof(corbel_hello, abi_major), __u32{CORBEL_ABI_MAJOR});
		set(offsetof(corbel_hello, abi_minor), __u32{CORBEL_ABI_MINOR});
		std::strcpy(argument + offsetof(corbel_hello, version), "fuzz");
		break;
	case CORBEL_HOOK_INFO:
		set(offsetof(corbel_hook_info, index), static_cast<__u32>(draw(24)));
		break;
	case CORBEL_VM_LIST:
		set(offsetof(corbel_vm_list, count), static_cast<__u32>(draw(most_infos + 1)));
		set(offsetof(corbel_vm_list, vms),
		    reinterpret_cast<__u64>(answers + answers_size / 2));
		break;
	case CORBEL_VM_ATTACH:
		set(offsetof(corbel_vm_attach, vm_fd), pick_vm_fd());
		break;
	case CORBEL_VM_OPEN:
		set(offsetof(corbel_vm_open, vm_id), known_id - std::min<__u64>(known_id, draw(6)));
		break;
	case CORBEL_VM_PIN:
		set(offsetof(corbel_vm_pin, flags), static_cast<__u32>(draw(2)));
		break;
	case CORBEL_IRQ_VCPU:
		set(offsetof(corbel_irq_vcpu, flags), static_cast<__u32>(draw(2)));
		set(offsetof(corbel_irq_vcpu, vcpu), static_cast<__u32>(draw(3)));
		break;
	case CORBEL_IRQ_VECTORS_GET:
		set(offsetof(corbel_irq_vectors, vcpu), static_cast<__u32>(draw(3)));
		set(offsetof(corbel_irq_vectors, count), __u32{CORBEL_IRQ_VECTORS});
		set(offsetof(corbel_irq_vectors, vectors),
		    reinterpret_cast<__u64>(answers + answers_size / 2));
		break;
	case CORBEL_IRQ_HIST:
		set(offsetof(corbel_irq_hist, vcpu), static_cast<__u32>(draw(3)));
		set(offsetof(corbel_irq_hist, vector),
		    chance(50) ? CORBEL_IRQ_ALL_VECTORS : static_cast<__u32>(draw(256)));
		break;
	case CORBEL_IRQ_STATS:
		set(offsetof(corbel_irq_stats, vcpu),
		    chance(50) ? CORBEL_IRQ_ALL_VCPUS : static_cast<__u32>(draw(3)));
		set(offsetof(corbel_irq_stats, vector),
		    chance(50) ? CORBEL_IRQ_ALL_VECTORS : static_cast<__u32>(draw(256)));
		break;
	case CORBEL_QOS_STATS:
		set(offsetof(corbel_qos_stats, major),
		    static_cast<__u32>(major(qos_device_number())));
		set(offsetof(corbel_qos_stats, minor),
		    static_cast<__u32>(minor(qos_device_number())));
		set(offsetof(corbel_qos_stats, sector), draw(130));
		set(offsetof(corbel_qos_stats, object), static_cast<__u32>(draw(2)));
		break;
	case CORBEL_PAGER_NEW:
		set_pager(argument);
		break;
	case CORBEL_REPLAY_ENROL:
		set(offsetof(corbel_replay_enrol, vcpu_fd), pick_vcpu_fd());
		set(offsetof(corbel_replay_enrol, entries),
		    static_cast<__u32>(CORBEL_REPLAY_MIN_ENTRIES + draw(1024)));
		break;
	case CORBEL_IRQ_DIST_GET:
		set(offsetof(corbel_irq_dist_get, slot), static_cast<__u32>(draw(CORBEL_DIST_MAX)));
		break;
	case CORBEL_IRQ_CHECK:
		set(offsetof(corbel_irq_check, flags), static_cast<__u32>(draw(3)));
		break;
	case CORBEL_IRQ_POLICY:
		set(offsetof(corbel_irq_policy, flags), static_cast<__u32>(draw(2)));
		set(offsetof(corbel_irq_policy, policy),
		    static_cast<__u32>(1 + draw(CORBEL_IRQ_POLICY_MAX)));
		set(offsetof(corbel_irq_policy, vectors) + draw(CORBEL_IRQ_VECTORS),
		    static_cast<__u8>(draw(CORBEL_IRQ_POLICY_MAX + 1)));
		break;
	case CORBEL_IRQ_BOOST:
		set(offsetof(corbel_irq_boost, flags), static_cast<__u32>(draw(2)));
		set(offsetof(corbel_irq_boost, sources),
		    static_cast<__u32>(draw(CORBEL_IRQ_BOOST_SOURCES + 1)));
		set(offsetof(corbel_irq_boost, priority),
		    static_cast<__u32>(1 + draw(CORBEL_IRQ_BOOST_MAX_PRIORITY)));
		set(offsetof(corbel_irq_boost, slice_us),
		    static_cast<__u32>(CORBEL_IRQ_BOOST_MIN_SLICE_US + draw(2000)));
		set(offsetof(corbel_irq_boost, budget_us), static_cast<__u32>(2000 + draw(9000)));
		set(offsetof(corbel_irq_boost, period_ms), static_cast<__u32>(10 + draw(100)));
		set(offsetof(corbel_irq_boost, vectors) + 8 * draw(CORBEL_IRQ_WORDS), ~__u64{0});
		break;
	case CORBEL_IRQ_RING:
		set(offsetof(corbel_irq_ring, order),
		    static_cast<__u32>(CORBEL_RING_MIN_ORDER + draw(chance(2) ? 15 : 6)));
		set(offsetof(corbel_irq_ring, events),
		    static_cast<__u32>(draw(1u << (CORBEL_EVENT_MAX + 1)) & ~1u));
		break;
	case CORBEL_MEMORY_CREATE:
		set(offsetof(corbel_memory_create, flags), static_cast<__u32>(draw(4)));
		set(offsetof(corbel_memory_create, bytes), (1 + draw(1024)) * page_bytes);
		break;
	case CORBEL_MEMORY_INSTALL: {
		const bool zero = chance(30);

		set(offsetof(corbel_memory_install, flags), __u32{zero});
		set(offsetof(corbel_memory_install, offset), draw(1024) * page_bytes);
		set(offsetof(corbel_memory_install, bytes), (1 + draw(16)) * page_bytes);
		set(offsetof(corbel_memory_install, source),
		    zero ? 0 : reinterpret_cast<__u64>(answers));
		break;
	}
	case CORBEL_MEMORY_TRACK:
	case CORBEL_MEMORY_SEAL:
		set(offsetof(corbel_memory_track, flags), static_cast<__u32>(draw(2)));
		break;
	case CORBEL_MEMORY_DIRTY:
		set(offsetof(corbel_memory_dirty, flags), static_cast<__u32>(draw(2)));
		set(offsetof(corbel_memory_dirty, bitmap),
		    chance(80) ? reinterpret_cast<__u64>(answers) : 0);
		break;
	case CORBEL_MEMORY_ABSENT:
		set(offsetof(corbel_memory_absent, bitmap),
		    chance(80) ? reinterpret_cast<__u64>(answers) : 0);
		break;
	default:
		fill_distributor(entry, argument);
	}
}

/* Few ids, so that sequences meet; lists are the worker's own memory, as it is. */
void fuzz_worker::fill_distributor(const abi_entry &entry, char *argument)
{
	const auto id = static_cast<__u32>(draw(most_dist_ids));
	const auto count = static_cast<__u32>(1 + draw(most_dist_ids - id));
	const auto list = reinterpret_cast<__u64>(answers + answers_size / 2);
	auto put = [&](auto &&value) { std::memcpy(argument, &value, sizeof(value)); };

	switch (entry.command) {
	case CORBEL_IRQ_DIST_NEW:
		put(corbel_irq_dist{.size = sizeof(corbel_irq_dist),
				    .ids = chance(2) ? CORBEL_DIST_MAX_IDS : most_dist_ids,
				    .vcpus = static_cast<__u32>(1 + draw(3))});
		break;
	case CORBEL_DIST_MAP:
		/* Mostly well-formed; what follows them may be anything. */
		for (__u32 i = 0; i < count; i++) {
			corbel_dist_entry one =
				make_entry(id + i, draw(3), 0x20 + draw(0xe0), draw(256), draw(8));

			if (chance(20))
				one = {.id = id + i};
			std::memcpy(answers + answers_size / 2 + i * sizeof(one), &one,
				    sizeof(one));
		}
		put(corbel_dist_map{.size = sizeof(corbel_dist_map),
				    .flags = static_cast<__u32>(draw(2)),
				    .count = count,
				    .entries = list});
		break;
	case CORBEL_DIST_READ:
		put(corbel_dist_read{.size = sizeof(corbel_dist_read),
				     .first = id,
				     .count = count,
				     .entries = list});
		break;
	case CORBEL_DIST_RAISE:
		put(corbel_dist_raise{.size = sizeof(corbel_dist_raise), .id = id});
		break;
	case CORBEL_DIST_RAISE_MANY:
		for (__u32 i = 0; i < count; i++) {
			const auto one = static_cast<__u32>(draw(most_dist_ids));

			std::memcpy(answers + answers_size / 2 + i * sizeof(one), &one,
				    sizeof(one));
		}
		put(corbel_dist_raise_many{
			.size = sizeof(corbel_dist_raise_many), .count = count, .ids = list});
		break;
	case CORBEL_DIST_MASK:
		put(corbel_dist_mask{.size = sizeof(corbel_dist_mask),
				     .flags = static_cast<__u32>(draw(2)),
				     .first = id,
				     .count = count});
		break;
	case CORBEL_DIST_BIND:
		if (chance(30))
			put(corbel_dist_bind{.size = sizeof(corbel_dist_bind),
					     .flags = CORBEL_DIST_UNBIND,
					     .id = id,
					     .fd = -1});
		else
			put(corbel_dist_bind{
				.size = sizeof(corbel_dist_bind), .id = id, .fd = pick_eventfd()});
		break;
	case CORBEL_DIST_DOORBELL:
		put(corbel_dist_doorbell{.size = sizeof(corbel_dist_doorbell),
					 .vcpu = chance(50) ? CORBEL_DIST_ALL_VCPUS
							    : static_cast<__u32>(draw(3)),
					 .fd = chance(20) ? -1 : pick_eventfd()});
		break;
	case CORBEL_DIST_LEDGER:
		put(corbel_dist_ledger{.size = sizeof(corbel_dist_ledger),
				       .first = id,
				       .count = count,
				       .counts = list});
		break;
	case CORBEL_DIST_RING:
		put(corbel_dist_ring{.size = sizeof(corbel_dist_ring),
				     .order = static_cast<__u32>(CORBEL_DIST_RING_MIN_ORDER +
								 draw(chance(5) ? 11 : 3))});
		break;
	default:
		break;
	}
}

/* One of a few; now and then it is a new one, and the old one hangs up. */
int fuzz_worker::pick_eventfd()
{
	unique_fd &one = eventfds[draw(std::size(eventfds))];

	if (!one || chance(15))
		one = make_eventfd();
	return one.get();
}

} // namespace corbel::selftest
