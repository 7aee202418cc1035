// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What raises a distributor's ids besides the ioctl, and whom it tells: eventfds, the
 * submission ring, doorbells.
 */
#include "distributor.hh"
#include "wait.hh"

#include <optional>
#include <poll.h>
#include <random>

using namespace corbel::selftest;

namespace {

void raise_by_eventfd()
{
	dist_vm it;
	unique_fd source = make_eventfd(), other = make_eventfd();

	it.vm.start();
	it.vm.set_mode(1, guest_mode::halt);
	it.dist.map(3, 0, 0x50);
	it.dist.map(4, 1, 0x51);
	signal_eventfd(other.get());
	signal_eventfd(other.get());
	CHECK_EQ(it.dist.bind(3, source.get()), 0, "bind");
	CHECK_EQ(it.dist.bind(4, other.get()), 0, "bind one with a count");
	CHECK_EQ(it.dist.info().bound, 2u, "bound");
	it.wait_handled(1, 0x51, 1);
	for (unsigned i = 1; i <= 100; i++) {
		signal_eventfd(source.get());
		signal_eventfd(other.get());
		it.wait_handled(0, 0x50, i);
		it.wait_handled(1, 0x51, i + 1);
	}
	CHECK_EQ(read_eventfd(source.get()), 0u, "its count is consumed");
	{
		parked guard(it.vm.at(0));

		signal_eventfd(source.get());
		signal_eventfd(source.get());
		CHECK(it.dist.status(0), "in user space");
	}
	it.wait_handled(0, 0x50, 101);
	corbel_dist_counts counts = it.dist.counts(3);
	CHECK_EQ(counts.raised, 102u, "each write is a raise");
	CHECK_EQ(counts.coalesced, 1u, "the second was pending already");
	it.check_quiet();
}

void refuse_and_unbind()
{
	dist_vm it(1);
	unique_fd source = make_eventfd(), other = make_eventfd();

	it.vm.start();
	it.dist.map(3, 0, 0x50);
	CHECK_EQ(it.dist.unbind(3), -ENOENT, "nothing is bound");
	CHECK_EQ(it.dist.bind(3, -1), -EBADF, "no descriptor");
	CHECK_EQ(it.dist.bind(3, it.dist.fd()), -EINVAL, "not an eventfd");
	CHECK_EQ(it.dist.bind(256, source.get()), -EINVAL, "no such id");
	CHECK_EQ(it.dist.bind(3, source.get()), 0, "bind");
	CHECK_EQ(it.dist.bind(3, other.get()), -EBUSY, "the id has one");
	CHECK_EQ(it.dist.bind(4, source.get()), -EBUSY, "the eventfd is bound");
	CHECK_EQ(it.dist.unbind(3), 0, "unbind");
	signal_eventfd(source.get());
	CHECK_EQ(it.dist.counts(3).raised, 0u, "unbound");
	CHECK_EQ(read_eventfd(source.get()), 1u, "the eventfd is its owner's again");
	CHECK_EQ(it.dist.bind(4, source.get()), 0, "bind it to another");

	/* The last descriptor goes: the binding ends by itself. */
	source.reset();
	wait_until("the binding ends", [&] { return it.dist.info().bound == 0; });
	CHECK_EQ(it.dist.bind(4, other.get()), 0, "bind again");
	unique_fd copy(dup(other.get()));
	other.reset();
	signal_eventfd(copy.get());
	CHECK_EQ(it.dist.counts(4).raised, 1u, "by a copy of the descriptor");
}

/* Sources, a descriptor that closes and the device itself, in any order. */
void close_in_any_order()
{
	observed_vm observed(1);
	std::mt19937 random(1);

	observed.vm.start();
	for (unsigned round = 0; round < 40; round++) {
		std::optional<distributor> dist(std::in_place, observed.irq.get(), 64, 1);
		std::vector<unique_fd> sources;
		std::atomic<bool> stop = false;

		for (unsigned id = 0; id < 16; id++) {
			dist->map(id, 0, 0x40 + id);
			sources.push_back(make_eventfd());
			CHECK_EQ(dist->bind(id, sources[id].get()), 0, "bind {}", id);
		}
		std::vector<unique_fd> copies;
		for (unsigned id = 0; id < 16; id += 2)
			copies.emplace_back(dup(sources[id].get()));
		std::thread writer([&] {
			for (unsigned i = 0; !stop; i++) {
				__u64 one = 1;
				[[maybe_unused]] ssize_t done =
					write(copies[i % copies.size()].get(), &one, sizeof(one));
			}
		});
		for (unsigned step = 0; step < 12; step++) {
			unsigned id = random() % 16;

			if (random() % 2)
				sources[id].reset();
			else
				dist->unbind(id);
			if (step == round % 12)
				dist->close();
			if (step >= round % 12)
				continue;
			dist->total();
		}
		dist.reset();
		stop = true;
		writer.join();
	}
	wait_idle(observed.vm);
	check_ledger(observed.irq.get(), 1);
}

short poll_once(int fd)
{
	pollfd entry = {fd, POLLIN, 0};

	return poll(&entry, 1, 60000) == 1 ? entry.revents : 0;
}

void ring_doorbells()
{
	dist_vm it(3);
	unique_fd common = make_eventfd(), own = make_eventfd();

	it.vm.start();
	for (unsigned i = 0; i < 3; i++) {
		it.dist.map(2 * i, i, 0x50);
		it.dist.map(2 * i + 1, i, 0x51);
	}
	CHECK_EQ(it.dist.set_doorbell(CORBEL_DIST_ALL_VCPUS, common.get()), 0, "the VM's");
	CHECK_EQ(it.dist.set_doorbell(1, own.get()), 0, "vCPU 1's");
	CHECK_EQ(it.dist.set_doorbell(3, own.get()), -EINVAL, "no such vCPU");
	CHECK_EQ(it.dist.set_doorbell(1, it.dist.fd()), -EINVAL, "not an eventfd");
	CHECK_EQ(it.dist.set_doorbell(1, 9999), -EBADF, "not open");
	for (unsigned round = 0; round < 20; round++) {
		std::optional<parked> zero(std::in_place, it.vm.at(0));
		std::optional<parked> one(std::in_place, it.vm.at(1));

		CHECK_EQ(it.dist.raise(0), CORBEL_DIST_WAS_RECORDED, "vCPU 0");
		CHECK(poll_once(common.get()) & POLLIN, "the VM's doorbell");
		CHECK_EQ(read_eventfd(common.get()), 1u, "the VM's doorbell");
		CHECK_EQ(it.dist.raise(1), CORBEL_DIST_WAS_RECORDED, "vCPU 0, again");
		CHECK_EQ(it.dist.raise(2), CORBEL_DIST_WAS_RECORDED, "vCPU 1");
		CHECK(poll_once(own.get()) & POLLIN, "vCPU 1's doorbell");
		CHECK_EQ(read_eventfd(own.get()), 1u, "vCPU 1's doorbell");
		CHECK_EQ(it.dist.raise(3), CORBEL_DIST_WAS_RECORDED, "vCPU 1, again");
		CHECK_EQ(it.dist.info().doorbells, 2 * round + 2, "only the first of each rings");
		CHECK_EQ(read_eventfd(common.get()) + read_eventfd(own.get()), 0u,
			 "only the first of each rings");
		zero.reset();
		one.reset();
		it.wait_given_out();
	}
	CHECK_EQ(it.dist.set_doorbell(1, -1), 0, "none for vCPU 1");
	CHECK_EQ(it.dist.set_doorbell(CORBEL_DIST_ALL_VCPUS, -1), 0, "none for the VM");
	{
		parked guard(it.vm.at(1));

		CHECK_EQ(it.dist.raise(2), CORBEL_DIST_WAS_RECORDED, "vCPU 1");
		CHECK_EQ(it.dist.info().doorbells, 40u, "nothing rings");
	}
	it.wait_given_out();
	it.check_quiet();
}

/* A doorbell that is a source as well: it raises what tells of the first. */
void chain_doorbell()
{
	dist_vm it;
	unique_fd chain = make_eventfd();

	it.vm.start();
	it.dist.map(1, 0, 0x50);
	it.dist.map(2, 1, 0x51);
	CHECK_EQ(it.dist.bind(2, chain.get()), 0, "bind");
	CHECK_EQ(it.dist.set_doorbell(0, chain.get()), 0, "doorbell");
	for (unsigned i = 1; i <= 20; i++) {
		std::optional<parked> guard(std::in_place, it.vm.at(0));

		CHECK_EQ(it.dist.raise(1), CORBEL_DIST_WAS_RECORDED, "vCPU 0");
		it.wait_handled(1, 0x51, i);
		guard.reset();
		it.wait_handled(0, 0x50, i);
	}
	/* Its own vCPU's: one more thing is pending there, which rings no more. */
	it.dist.map(2, 0, 0x52);
	{
		parked guard(it.vm.at(0));

		CHECK_EQ(it.dist.raise(1), CORBEL_DIST_WAS_RECORDED, "vCPU 0");
		wait_until("the doorbell has raised", [&] { return it.dist.record(0, 2); });
	}
	it.wait_handled(0, 0x52, 1);
	it.check_quiet();
}

void submit_in_batches()
{
	dist_vm it(2, 1024);
	unsigned sent = 0;

	CHECK_EQ(it.dist.kick(), -ENOENT, "no ring yet");
	CHECK_EQ(it.dist.make_ring(5), -EINVAL, "too small");
	CHECK_EQ(it.dist.make_ring(17), -EINVAL, "too large");
	CHECK_EQ(it.dist.make_ring(8), 0, "make it");
	CHECK_EQ(it.dist.make_ring(8), -EBUSY, "a second one");
	CHECK_EQ(it.dist.kick(), 0, "an empty ring");
	for (unsigned id = 0; id < 1024; id++)
		it.dist.map(id, id % 2, 0x30 + id % 0xc0);
	it.vm.start();
	it.vm.set_mode(1, guest_mode::halt);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 200; i++, sent++)
			it.dist.submit(sent % 1024);
		CHECK_EQ(it.dist.kick(), 200, "round {}", round);
		CHECK_EQ(it.dist.ring_control()->tail, sent, "the tail");
	}
	it.wait_given_out();
	CHECK_EQ(it.dist.total().raised, sent, "raised");
	/* What does not exist is refused, the rest goes through. */
	it.dist.submit(1024);
	it.dist.submit(5);
	it.dist.submit(~0u);
	CHECK_EQ(it.dist.kick(), 3, "two that there are not");
	CHECK_EQ(it.dist.info().refused, 2u, "refused");
	CHECK_EQ(it.dist.total().raised, sent + 1, "raised");
	/* More than it holds: the oldest are gone. */
	for (unsigned i = 0; i < 300; i++)
		it.dist.submit(i);
	CHECK_EQ(it.dist.kick(), 256, "as many as it holds");
	CHECK_EQ(it.dist.info().lost, 44u, "lost");
	CHECK_EQ(it.dist.ring_control()->lost, 44u, "lost");
	CHECK_EQ(it.dist.info().submitted, sent + 3 + 256, "submitted");
	it.wait_given_out();
	it.check_quiet();
}

/* The ring is its owner's memory: whatever is written there harms nobody else. */
void survive_wild_ring()
{
	dist_vm it(1);
	std::mt19937_64 random(7);
	std::atomic<bool> stop = false;
	uint64_t taken = 0;

	CHECK_EQ(it.dist.make_ring(6), 0, "make it");
	auto *words = reinterpret_cast<volatile __u64 *>(it.dist.ring_control());
	it.vm.start();
	for (unsigned id = 0; id < 256; id++)
		it.dist.map(id, 0, 0x30 + id % 0xc0);
	std::thread scribbler([&] {
		std::mt19937_64 more(8);

		while (!stop)
			words[more() % 1024] = more() % 2 ? more() : more() % 512;
	});
	for (unsigned i = 0; i < 3000; i++) {
		words[0] = random() % 2 ? random() : words[0] + random() % 100;
		int result = it.dist.kick();

		CHECK(result >= 0 && result <= 64, "kick answers {}", result);
		taken += result;
	}
	stop = true;
	scribbler.join();
	corbel_dist_info info = it.dist.info();
	CHECK_EQ(info.submitted, taken, "submitted");
	CHECK_EQ(it.dist.total().raised + info.refused, taken, "raised and refused");
	it.wait_given_out();
	it.check_quiet();
}

constexpr test_case cases[] = {
	{"raised by eventfds", raise_by_eventfd},
	{"bound, unbound, hung up", refuse_and_unbind},
	{"closed in any order", close_in_any_order},
	{"doorbells", ring_doorbells},
	{"a doorbell that is a source", chain_doorbell},
	{"submitted in batches", submit_in_batches},
	{"a wild submission ring", survive_wild_ring},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
