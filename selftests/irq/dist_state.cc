// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state of a distributor as a whole: ids that are mapped to another vCPU, saved
 * and restored, reset; and what is left of it when the VM ends.
 */
#include "distributor.hh"
#include "kvm_state.hh"
#include "wait.hh"

#include <cstring>
#include <optional>
#include <random>

using namespace corbel::selftest;

namespace {

void move_what_is_pending()
{
	dist_vm it(3);

	it.vm.start();
	it.dist.map(9, 0, 0x50, 1);
	{
		parked zero(it.vm.at(0)), one(it.vm.at(1));

		CHECK_EQ(it.dist.raise(9), CORBEL_DIST_WAS_RECORDED, "vCPU 0");
		it.dist.map(9, 1, 0x51, 2);
		CHECK(!it.dist.status(0) && !it.dist.record(0, 9), "vCPU 0 has it still");
		CHECK(it.dist.status(1) && it.dist.record(1, 9), "vCPU 1 has it not");
		CHECK_EQ(it.dist.raise(9), CORBEL_DIST_WAS_COALESCED, "it is pending");
		it.dist.check_pages();
		/* To one that is resident: it is given out at once. */
		it.dist.map(9, 2, 0x52, 3);
		CHECK(!it.dist.status(1) && !it.dist.record(1, 9), "vCPU 1 has it still");
		it.wait_handled(2, 0x52, 1);
		/* A masked one moves without the status. */
		it.dist.map(9, 0, 0x50, 1, CORBEL_DIST_MASKED);
		CHECK_EQ(it.dist.raise(9), CORBEL_DIST_WAS_RECORDED, "masked");
		it.dist.map(9, 1, 0x51, 1, CORBEL_DIST_MASKED);
		CHECK(!it.dist.status(1) && it.dist.record(1, 9), "masked");
		it.dist.check_pages();
		it.dist.map(9, 1, 0x51, 1);
		CHECK(it.dist.status(1), "not masked any more");
	}
	it.wait_handled(1, 0x51, 1);
	CHECK_EQ(it.vm.handled(0, 0x50), 0u, "vCPU 0");
	it.check_quiet();
}

void refuse_wrong_entries()
{
	dist_vm it(1, 64);
	const corbel_dist_entry good = make_entry(1, 0, 0x50, 7);
	auto refused = [&](auto &&change, int error, const char *what, unsigned flags = 0) {
		std::vector<corbel_dist_entry> entries(3, good);

		entries[0].vector = 0x77;
		change(entries[2]);
		CHECK_EQ(it.dist.map(entries, flags), error, "{}", what);
		CHECK_EQ(it.dist.read(1, 1)[0].vector, 0x50, "{}: changed something", what);
	};

	it.dist.map(1, 0, 0x50, 7);
	refused([](auto &e) { e.id = 64; }, -EINVAL, "id");
	refused([](auto &e) { e.vector = 15; }, -EINVAL, "vector");
	refused([](auto &e) { e.vcpu = 1; }, -EINVAL, "vCPU past the device's");
	refused([](auto &e) { e.vcpu = ~0u; }, -EINVAL, "vCPU");
	refused([](auto &e) { e.state |= 8; }, -EINVAL, "state");
	refused([](auto &e) { e.state |= CORBEL_DIST_PENDING; }, -EINVAL, "pending");
	refused([](auto &e) { e.state = CORBEL_DIST_MASKED; }, -EINVAL, "masked, not mapped");
	refused([](auto &e) { e.state = CORBEL_DIST_PENDING; }, -EINVAL, "pending, not mapped",
		CORBEL_DIST_RESTORE);
	refused([](auto &e) { e.state = 0; }, -EINVAL, "a vector, not mapped");
	for (unsigned i = 0; i < sizeof(good.pad); i++)
		refused([i](auto &e) { e.pad[i] = 1; }, -EINVAL, "padding");

	/* The device could serve it, but it is not there yet. */
	observed_vm more(1, 2);
	distributor dist(more.irq.get(), 8, 4);
	corbel_dist_entry second = make_entry(1, 1, 0x50);
	CHECK_EQ(dist.map(std::span(&second, 1)), -ENOENT, "vCPU 1 before it is made");
	more.vm.add_vcpu();
	wait_until("the vCPU is seen", [&] { return irq_info(more.irq.get()).nr_vcpus == 2; });
	CHECK_EQ(dist.map(std::span(&second, 1)), 0, "vCPU 1");
	more.vm.start();
	dist.raise(1);
	more.vm.wait("it is handled", [&] { return more.vm.handled(1, 0x50) == 1; });
}

bool same(const std::vector<corbel_dist_entry> &a, const std::vector<corbel_dist_entry> &b)
{
	return a.size() == b.size() &&
	       std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
}

/* Half of the ids mapped at random, a part of those masked, a part pending. */
void fill(distributor &dist, unsigned vcpus)
{
	std::mt19937 random(3);

	for (unsigned id = 0; id < dist.ids; id++) {
		if (random() % 2)
			continue;
		dist.map(id, random() % vcpus, 0x20 + random() % 0xe0, random() % 256,
			 random() % 4 ? 0 : CORBEL_DIST_MASKED);
		if (random() % 2)
			CHECK_EQ(dist.raise(id), CORBEL_DIST_WAS_RECORDED, "id {}", id);
	}
}

void save_and_restore()
{
	constexpr unsigned ids = 2000, vcpus = 3;
	dist_vm from(vcpus, ids), to(vcpus, ids);

	fill(from.dist, vcpus);
	auto saved = from.dist.read();
	corbel_dist_counts before = from.dist.total();
	CHECK(before.pending > 100, "only {} are pending", before.pending);
	CHECK_EQ(to.dist.map(saved, CORBEL_DIST_RESTORE), 0, "restore");
	CHECK(same(to.dist.read(), saved), "read back, it is not what was saved");
	CHECK_EQ(to.dist.total().restored, before.pending, "restored");
	to.dist.check_pages();
	/* On top of itself it changes nothing; without what is pending, that is dropped. */
	CHECK_EQ(to.dist.map(saved, CORBEL_DIST_RESTORE), 0, "restore again");
	CHECK_EQ(to.dist.total().restored, before.pending, "restored again");
	auto calm = saved;
	for (corbel_dist_entry &entry : calm)
		entry.state &= ~CORBEL_DIST_PENDING;
	CHECK_EQ(to.dist.map(calm, CORBEL_DIST_RESTORE), 0, "restore what is not pending");
	CHECK_EQ(to.dist.total().withdrawn, before.pending, "withdrawn");
	to.dist.check_pages();
	CHECK_EQ(to.dist.map(saved, CORBEL_DIST_RESTORE), 0, "restore once more");
	to.vm.start();
	to.wait_given_out();
	to.dist.set_masked(0, ids, false);
	to.wait_given_out();
	CHECK_EQ(to.dist.total().delivered, before.pending, "delivered on the other side");
	CHECK_EQ(to.dist.total().pending, 0u, "all is given out");
	to.check_quiet();

	/* A reset drops all, and the counts stay. */
	CHECK_EQ(from.dist.reset(), 0, "reset");
	corbel_dist_counts after = from.dist.total();
	CHECK_EQ(after.raised, before.raised, "raised");
	CHECK_EQ(after.withdrawn, before.withdrawn + before.pending, "withdrawn");
	CHECK_EQ(after.pending, 0u, "pending");
	for (const corbel_dist_entry &entry : from.dist.read())
		CHECK_EQ(entry.state, 0, "id {}", entry.id);
	from.dist.check_pages();
	CHECK_EQ(from.dist.raise(1), CORBEL_DIST_WAS_REFUSED, "after a reset");
}

/* Several devices of a VM have nothing in common but the vCPUs. */
void share_a_vm()
{
	observed_vm observed(1);
	std::vector<std::unique_ptr<distributor>> dists;

	for (unsigned i = 0; i < CORBEL_DIST_MAX; i++) {
		dists.push_back(std::make_unique<distributor>(observed.irq.get(), 64, 1));
		dists[i]->map(3, 0, 0x50 + i);
	}
	corbel_irq_dist more = {.ids = 64, .vcpus = 1};
	CHECK_EQ(request(observed.irq.get(), CORBEL_IRQ_DIST_NEW, more), -EBUSY, "one too many");
	dists[1].reset();
	dists[1] = std::make_unique<distributor>(observed.irq.get(), 64, 1);
	dists[1]->map(3, 0, 0x51);
	for (auto &dist : dists)
		CHECK_EQ(dist->raise(3), CORBEL_DIST_WAS_RECORDED, "not started");
	observed.vm.start();
	for (unsigned i = 0; i < CORBEL_DIST_MAX; i++)
		observed.vm.wait("it is handled",
				 [&] { return observed.vm.handled(0, 0x50 + i) == 1; });
}

/* The VM goes while sources signal and something is pending. */
void outlive_the_vm()
{
	ensure_corbel();
	kvm_state before = read_kvm_state();
	unique_fd device = connect_device();

	for (unsigned round = 0; round < 6; round++) {
		std::optional<guest_vm> vm(std::in_place, 2);
		unique_fd attachment = attach(device.get(), vm->fd());
		unique_fd irq = open_irq(attachment.get());
		std::optional<distributor> dist(std::in_place, irq.get(), 64, 2);
		unique_fd source = make_eventfd(), bell = make_eventfd();
		std::atomic<bool> stop = false;

		vm->start();
		CHECK_EQ(dist->make_ring(6), 0, "ring");
		for (unsigned id = 0; id < 64; id++)
			dist->map(id, id % 2, 0x40 + id);
		CHECK_EQ(dist->bind(7, source.get()), 0, "bind");
		CHECK_EQ(dist->set_doorbell(CORBEL_DIST_ALL_VCPUS, bell.get()), 0, "doorbell");
		std::thread writer([&] {
			while (!stop)
				signal_eventfd(source.get());
		});
		std::thread raiser([&] {
			for (unsigned i = 0; !stop; i++)
				dist->raise(i % 64);
		});
		wait_until("interrupts come", [&] { return vm->handled_total() > 100; });
		vm.reset();
		wait_until("its end is seen", [&] { return dist->info().ended; });
		wait_kvm_state(before);
		stop = true;
		writer.join();
		raiser.join();
		dist->total();
		dist->read();
		dist->check_pages();
		CHECK_EQ(dist->raise(1), -ESTALE, "raise");
		CHECK_EQ(dist->reset(), -ESTALE, "reset");
		CHECK_EQ(dist->kick(), -ESTALE, "kick");
		CHECK_EQ(dist->bind(8, bell.get()), -ESTALE, "bind");
		CHECK_EQ(dist->set_masked(0, 1, true), -ESTALE, "mask");
		__u64 refused = dist->total().refused;
		signal_eventfd(source.get());
		corbel_dist_counts seven = dist->counts(7);
		CHECK(dist->total().refused == refused + 1 || seven.pending,
		      "a signal after the end was not refused");
		corbel_irq_dist more = {.ids = 64, .vcpus = 1};
		CHECK_EQ(request(irq.get(), CORBEL_IRQ_DIST_NEW, more), -ESTALE, "a new one");
		/* In any order. */
		if (round % 2)
			dist.reset();
		if (round % 3 == 1)
			irq.reset();
		if (round % 3 == 2)
			source.reset();
		attachment.reset();
	}
	wait_kvm_state(before);
}

constexpr test_case cases[] = {
	{"mapping moves what is pending", move_what_is_pending},
	{"entries that are refused", refuse_wrong_entries},
	{"saved, restored, reset", save_and_restore},
	{"several of one VM", share_a_vm},
	{"the VM ends first", outlive_the_vm},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
