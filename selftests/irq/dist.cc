// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The distributor device, one promise of <corbel/dist.h> after the other: where a
 * raise goes, in which order, what is pending meanwhile, and what is counted.
 */
#include "cpu_hog.hh"
#include "distributor.hh"
#include "ring_reader.hh"
#include "wait.hh"

#include <algorithm>
#include <list>
#include <numeric>

using namespace corbel::selftest;

namespace {

constexpr unsigned first_test_vector = 0x40;

void deliver_to_resident()
{
	dist_vm it;

	it.vm.start();
	it.dist.map(7, 0, 0x50);
	it.dist.map(8, 1, 0x51);
	for (unsigned i = 1; i <= 50; i++) {
		int result = it.dist.raise(i % 2 ? 7 : 8);

		CHECK(result == CORBEL_DIST_WAS_DELIVERED || result == CORBEL_DIST_WAS_RECORDED,
		      "raise answers {}", result);
		it.wait_handled(i % 2 ? 0 : 1, i % 2 ? 0x50 : 0x51, (i + 1) / 2);
	}
	CHECK_EQ(it.dist.counts(7).raised, 25u, "id 7");
	CHECK_EQ(it.dist.counts(7).delivered, 25u, "id 7");
	it.check_quiet();
}

void wake_halted()
{
	dist_vm it(1);

	it.vm.start(guest_mode::halt);
	it.dist.map(1, 0, 0x60);
	for (unsigned i = 1; i <= 50; i++) {
		it.vm.wait("the vCPU halts",
			   [&] { return it.observed.read(0).residency == CORBEL_RES_HALTED; });
		CHECK_EQ(it.dist.raise(1), CORBEL_DIST_WAS_DELIVERED, "to a halted vCPU");
		it.wait_handled(0, 0x60, i);
	}
	it.check_quiet();
}

/* Not touched while its thread is outside KVM_RUN; delivered when it comes back. */
void hold_for_user_space()
{
	dist_vm it;

	it.vm.start();
	it.dist.map(200, 1, 0x61);
	for (unsigned i = 1; i <= 50; i++) {
		{
			parked guard(it.vm.at(1));

			CHECK_EQ(it.dist.raise(200), CORBEL_DIST_WAS_RECORDED, "round {}", i);
			CHECK_EQ(it.dist.raise(200), CORBEL_DIST_WAS_COALESCED, "round {}", i);
			CHECK(it.dist.status(1) && it.dist.record(1, 200), "nothing is recorded");
			CHECK(!it.dist.status(0), "the other vCPU's status");
			CHECK(!lapic_bit(it.vm.at(1).lapic(), lapic_irr, 0x61),
			      "the local APIC was touched");
			/* Other ioctls of the vCPU load it, and are no entry. */
			it.vm.at(1).set_lapic(it.vm.at(1).lapic());
			CHECK(it.dist.status(1), "KVM_SET_LAPIC took it");
			it.dist.check_pages();
		}
		it.wait_handled(1, 0x61, i);
		CHECK(!it.dist.status(1) && !it.dist.record(1, 200), "it is still recorded");
	}
	corbel_dist_counts counts = it.dist.counts(200);
	CHECK_EQ(counts.delivered, 50u, "delivered");
	CHECK_EQ(counts.coalesced, 50u, "coalesced");
	it.check_quiet();
}

/* A vCPU of which others take the CPU away, from time to time. */
void hold_for_preempted()
{
	dist_vm it(1);
	const int cpu = allowed_cpus().front();
	std::list<cpu_hog> hogs;
	unsigned recorded = 0;

	it.vm.start();
	pin(it.vm.at(0).thread_id(), {cpu});
	for (unsigned i = 0; i < 3; i++)
		hogs.emplace_back(cpu);
	it.dist.map(3, 0, 0x62);
	for (unsigned i = 1; i <= 60; i++) {
		/* Where it is is a hint: by the time of the raise it can have changed. */
		wait_until("the vCPU is preempted",
			   [&] { return it.observed.read(0).residency == CORBEL_RES_PREEMPTED; });
		recorded += it.dist.raise(3) == CORBEL_DIST_WAS_RECORDED;
		it.wait_handled(0, 0x62, i);
	}
	hogs.clear();
	comment("{} of 60 were recorded first", recorded);
	CHECK(recorded > 0, "none was recorded although the vCPU was preempted");
	it.check_quiet();
}

/* The order in which the local APIC gets them. */
void order_by_priority()
{
	dist_vm it(1);
	std::vector<unsigned> ids(64);
	ring_reader events(it.observed.irq.get(), 12, event_bit(CORBEL_EVENT_ACCEPT));
	std::mt19937 random(1);

	it.vm.start();
	for (unsigned round = 0; round < 10; round++) {
		std::vector<unsigned> priority(64), expected(64);

		std::iota(ids.begin(), ids.end(), 0);
		std::ranges::shuffle(ids, random);
		for (unsigned id : ids) {
			priority[id] = random() % 2 ? random() % 256 : 64 * (random() % 4);
			it.dist.map(id, 0, first_test_vector + id, priority[id]);
		}
		std::ranges::shuffle(ids, random);
		{
			parked guard(it.vm.at(0));

			for (unsigned id : ids)
				CHECK_EQ(it.dist.raise(id), CORBEL_DIST_WAS_RECORDED, "id {}", id);
			CHECK_EQ(it.dist.count_record(0), 64u, "the record");
		}
		/* Of equal priority, first come first served. */
		std::ranges::copy(ids, expected.begin());
		std::ranges::stable_sort(expected, [&](unsigned a, unsigned b) {
			return priority[a] > priority[b];
		});
		it.wait_given_out();
		for (unsigned i = 0; i < 64; i++) {
			auto event = events.next();

			CHECK(event, "{} of 64 were accepted", i);
			CHECK_EQ(event->vector, first_test_vector + expected[i],
				 "round {}, place {}", round, i);
		}
		CHECK(!events.next(), "more than 64 were accepted");
		wait_idle(it.vm);
	}
	it.check_quiet();
}

void keep_masked()
{
	dist_vm it;

	it.vm.start();
	it.dist.map(5, 0, 0x63, 9, CORBEL_DIST_MASKED);
	CHECK_EQ(it.dist.raise(5), CORBEL_DIST_WAS_RECORDED, "masked");
	CHECK_EQ(it.dist.raise(5), CORBEL_DIST_WAS_COALESCED, "masked");
	CHECK(it.dist.record(0, 5) && !it.dist.status(0), "masked: recorded, without status");
	it.dist.check_pages();
	CHECK_EQ(it.dist.set_masked(0, 256, true), 0, "masked already, or not mapped");
	CHECK_EQ(it.dist.set_masked(5, 1, false), 1, "unmask");
	it.wait_handled(0, 0x63, 1);
	CHECK_EQ(it.dist.set_masked(5, 1, true), 1, "mask again");
	{
		parked guard(it.vm.at(0));

		CHECK_EQ(it.dist.set_masked(5, 1, false), 1, "unmask");
		CHECK_EQ(it.dist.raise(5), CORBEL_DIST_WAS_RECORDED, "in user space");
		CHECK(it.dist.status(0), "in user space");
		CHECK_EQ(it.dist.set_masked(5, 1, true), 1, "masked while it waits");
		CHECK(it.dist.record(0, 5) && !it.dist.status(0), "masked while it waits");
	}
	it.dist.check_pages();
	CHECK_EQ(it.vm.handled(0, 0x63), 1u, "it is masked");
	it.dist.set_masked(5, 1, false);
	it.wait_handled(0, 0x63, 2);
	it.check_quiet();
}

void count_what_is_dropped()
{
	dist_vm it(1);

	CHECK_EQ(it.dist.raise(9), CORBEL_DIST_WAS_REFUSED, "not mapped");
	CHECK_EQ(it.dist.counts(9).refused, 1u, "not mapped");
	it.vm.start();
	it.dist.map(9, 0, 0x64);
	it.dist.map(10, 0, 0x65, 0, CORBEL_DIST_MASKED);
	CHECK_EQ(it.dist.raise(10), CORBEL_DIST_WAS_RECORDED, "masked");
	it.dist.unmap(10);
	CHECK_EQ(it.dist.counts(10).withdrawn, 1u, "unmapped while pending");
	{
		parked guard(it.vm.at(0));

		it.vm.at(0).set_msr(msr::x2apic_svr, 0xff);
		CHECK_EQ(it.dist.raise(9), CORBEL_DIST_WAS_RECORDED, "in user space");
	}
	it.vm.wait("the disabled APIC is found out",
		   [&] { return it.dist.counts(9).refused == 2; });
	CHECK(!it.dist.status(0), "the status");
	{
		parked guard(it.vm.at(0));

		it.vm.at(0).set_msr(msr::x2apic_svr, 0x1ff);
	}
	it.dist.raise(9);
	it.wait_handled(0, 0x64, 1);
	it.check_quiet();

	std::vector<__u32> list = {9, 11, 9, 10};
	int taken = it.dist.raise(list);
	CHECK_EQ(taken, 2, "two of them are mapped");
	list.push_back(256);
	CHECK_EQ(it.dist.raise(list), -EINVAL, "an id that there is not");
	CHECK_EQ(it.dist.counts(11).raised, 1u, "one that does not exist: none is raised");
	it.check_quiet();
}

/* 65,536 ids and 66 vCPUs that do not run: one word tells of 64 of them. */
void fill_the_record()
{
	constexpr unsigned ids = CORBEL_DIST_MAX_IDS, vcpus = 66;
	dist_vm it(vcpus, ids);
	std::vector<corbel_dist_entry> entries;
	std::vector<__u32> list(ids);

	CHECK_EQ(it.dist.info().record_bytes, ids / 8, "bytes of a record");
	for (unsigned id = 0; id < ids; id++)
		entries.push_back(make_entry(id, id % vcpus, 0x20 + id % 0xe0, id % 256));
	CHECK_EQ(it.dist.map(entries), 0, "mapping all");
	CHECK(it.dist.status_word(0) == 0 && it.dist.status_word(1) == 0, "nothing is pending");
	CHECK_EQ(it.dist.raise(64u * vcpus + 65), CORBEL_DIST_WAS_RECORDED, "to the last vCPU");
	CHECK_EQ(it.dist.raise(63), CORBEL_DIST_WAS_RECORDED, "to vCPU 63");
	CHECK(it.dist.status_word(0) == 1ull << 63 && it.dist.status_word(1) == 2,
	      "status words {:#x}, {:#x}", it.dist.status_word(0), it.dist.status_word(1));
	std::iota(list.begin(), list.end(), 0);
	CHECK_EQ(it.dist.raise(list), static_cast<int>(ids), "raising all");
	CHECK(it.dist.status_word(0) == ~0ull && it.dist.status_word(1) == 3,
	      "status words {:#x}, {:#x}", it.dist.status_word(0), it.dist.status_word(1));
	it.dist.check_pages();
	corbel_dist_counts total = it.dist.total();
	CHECK_EQ(total.pending, ids, "pending");
	CHECK_EQ(total.coalesced, 2u, "coalesced");
	for (unsigned i : {0u, 65u}) {
		it.vm.memory(i).mode = guest_mode::leave;
		CHECK_EQ(it.vm.at(i).run_here(), port_leave, "vCPU {}", i);
		CHECK(!it.dist.status(i) && it.dist.count_record(i) == 0, "vCPU {} has run", i);
	}
	CHECK_EQ(it.dist.status_word(0), ~1ull, "without vCPU 0");
	CHECK_EQ(it.dist.status_word(1), 1ull, "without vCPU 65");
	it.dist.check_pages();
	check_ledger(it.observed.irq.get(), vcpus);
}

constexpr test_case cases[] = {
	{"a resident vCPU gets it at once", deliver_to_resident},
	{"a halted vCPU is woken", wake_halted},
	{"held for a vCPU in user space", hold_for_user_space},
	{"held for a preempted vCPU", hold_for_preempted},
	{"by priority, then by age", order_by_priority},
	{"masked ids", keep_masked},
	{"what is dropped is counted", count_what_is_dropped},
	{"65,536 ids, 66 vCPUs", fill_the_record},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
