// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event rings: no record is lost without being counted, whatever the consumer
 * does, and a consumer that waits is woken.
 */
#include "observed_vm.hh"
#include "ring_reader.hh"
#include "tap.hh"
#include "wait.hh"

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <poll.h>
#include <random>

using namespace corbel::selftest;

namespace {

__u64 count_accepted(const observed_vm &observed)
{
	__u64 sum = 0;

	for (unsigned i = 0; i < observed.vm.nr_vcpus(); i++)
		sum += sum_paths(observed.read(i).accepted);
	return sum;
}

/* A large ring: every single event, in order, and the counts follow from it. */
void carry_every_event()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	ring_reader ring(observed.irq.get(), 17,
			 event_bit(CORBEL_EVENT_ACCEPT) | event_bit(CORBEL_EVENT_INJECT));
	struct counts {
		__u64 accepted[CORBEL_IRQ_PATHS], coalesced, injected;
	};
	std::map<std::pair<unsigned, unsigned>, counts> seen;
	std::array<std::array<int, CORBEL_IRQ_VECTORS>, 2> pending{};
	__u64 expected_seq = 1;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	interrupt_load load(vm);
	load.start(10000);
	vm.start_job(
		0, {.kind = job_kind::ipi, .target = 1, .first = 0x30, .last = 0x37, .count = 500});
	load.finish();
	vm.finish_job(0);
	wait_idle(vm);

	while (auto event = ring.next()) {
		CHECK_EQ(event->seq, expected_seq++, "sequence");
		CHECK(event->vcpu < 2 && event->path < CORBEL_IRQ_PATHS,
		      "event {} names vCPU {}, path {}", event->seq, event->vcpu, event->path);
		CHECK_EQ(event->flags, 0, "nothing was lost");
		counts &count = seen[{event->vcpu, event->vector}];
		int &waiting = pending[event->vcpu][event->vector];
		if (event->type == CORBEL_EVENT_ACCEPT) {
			count.accepted[event->path]++;
			count.coalesced += event->arg & 1;
			waiting += !(event->arg & 1);
		} else {
			CHECK_EQ(event->type, CORBEL_EVENT_INJECT, "type");
			count.injected++;
			waiting--;
		}
	}
	CHECK_EQ(ring.lost(), 0u, "the ring was large enough");
	CHECK_EQ(ring.unread(), 0u, "all is read");
	unsigned corrections = 0;
	for (unsigned i = 0; i < 2; i++) {
		auto vectors = irq_vectors(observed.irq.get(), i);

		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
			counts &count = seen[{i, v}];

			for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
				CHECK_EQ(count.accepted[path], vectors[v].accepted[path],
					 "vCPU {} vector {:#x} path {}: ring and counts", i, v,
					 path);
			CHECK_EQ(count.injected, vectors[v].injected,
				 "vCPU {} vector {:#x}: injected", i, v);
			/*
			 * Whether a delivery is coalesced is judged at its moment in the
			 * ring, and known afterwards in the counts.
			 */
			auto misjudged = static_cast<int>(count.coalesced - vectors[v].coalesced);
			CHECK_EQ(pending[i][v], -misjudged,
				 "vCPU {} vector {:#x}: accepted and not injected", i, v);
			corrections += std::abs(misjudged);
		}
	}
	comment("{} events, {} misjudged", ring.consumed, corrections);
	CHECK(corrections * 100 <= ring.consumed, "{} of {} events misjudged", corrections,
	      ring.consumed);
}

/* produced = consumed + unread + lost, with a ring that is far too small. */
void count_losses()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	ring_reader ring(observed.irq.get(), CORBEL_RING_MIN_ORDER, event_bit(CORBEL_EVENT_ACCEPT));
	interrupt_load load(vm);
	unsigned flagged = 0;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	for (unsigned round = 0; round < 5; round++) {
		load.start(3000);
		/* A consumer that comes round from time to time and takes some. */
		for (unsigned i = 0; i < 20; i++) {
			std::this_thread::sleep_for(std::chrono::milliseconds(3));
			for (unsigned n = 0; n < 40; n++) {
				auto event = ring.next();

				if (!event)
					break;
				flagged += event->flags & CORBEL_EVENT_F_LOSS;
			}
		}
		load.finish();
		wait_idle(vm);
		CHECK_EQ(count_accepted(observed), ring.consumed + ring.unread() + ring.lost(),
			 "round {}: consumed {}, unread {}, lost {}", round, ring.consumed,
			 ring.unread(), ring.lost());
		CHECK(ring.unread() <= ring.capacity(), "{} unread in a ring of {}", ring.unread(),
		      ring.capacity());
	}
	CHECK(ring.lost() > 0, "nothing was lost, so nothing was tested");
	while (auto event = ring.next())
		flagged += event->flags & CORBEL_EVENT_F_LOSS;
	CHECK_EQ(vm.send_msi(0, 0x99), 1, "one more");
	auto last = ring.next();
	CHECK(last, "a ring with room again takes no record");
	flagged += last->flags & CORBEL_EVENT_F_LOSS;
	CHECK(flagged > 0, "{} were lost and no record says so", ring.lost());
	CHECK_EQ(count_accepted(observed), ring.consumed + ring.unread() + ring.lost(),
		 "at the end");
	comment("consumed {}, lost {}, {} records flagged", ring.consumed, ring.lost(), flagged);
}

/* A tail that makes no sense costs its owner records and nobody anything else. */
void survive_wild_tail()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	ring_reader wild(observed.irq.get(), 7, event_bit(CORBEL_EVENT_ACCEPT));
	ring_reader tame(observed.irq.get(), 16, event_bit(CORBEL_EVENT_ACCEPT));
	interrupt_load load(vm);
	std::mt19937_64 random(3);
	__u64 accepted = 0;

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	load.start(10000);
	while (count_accepted(observed) < 10000) {
		__u64 value = random();

		/* Small, huge, just before and just behind the head. */
		switch (value & 3) {
		case 0:
			wild.write_tail(value);
			break;
		case 1:
			wild.write_tail(value % 4096);
			break;
		case 2:
			wild.write_tail(wild.produced_index() + (value >> 8) % 256);
			break;
		case 3:
			wild.write_tail(wild.produced_index() - (value >> 8) % 256);
			break;
		}
		while (tame.next())
			;
		wild.wait(0);
	}
	load.finish();
	wait_idle(vm);
	while (tame.next())
		;
	accepted = count_accepted(observed);
	CHECK_EQ(tame.consumed, accepted, "the other ring has it all");
	CHECK_EQ(tame.lost(), 0u, "the other ring has it all");
	CHECK_EQ(wild.produced_index() + wild.lost(), accepted,
		 "recorded and lost of the wild ring");

	/* Set right again, it works again. */
	__u64 head = wild.produced_index();
	wild.write_tail(head);
	CHECK_EQ(vm.send_msi(0, 0x99), 1, "MSI");
	vm.wait("the ring goes on", [&] { return wild.produced_index() == head + 1; });
}

void wake_poller()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;
	ring_reader ring(observed.irq.get(), 8, event_bit(CORBEL_EVENT_ACCEPT));

	vm.start();
	CHECK_EQ(ring.wait(0), 0, "an empty ring");
	for (unsigned round = 0; round < 20; round++) {
		std::atomic<bool> polling = false;
		std::thread sender([&] {
			while (!polling)
				std::this_thread::yield();
			vm.send_msi(0, 0x40 + round);
		});
		polling = true;
		short events = ring.wait(60000);
		sender.join();
		CHECK(events & POLLIN, "round {}: poll answers {:#x}", round, events);
		wait_until("the record is complete", [&] { return ring.next().has_value(); });
		CHECK_EQ(ring.wait(0), 0, "round {}: all is read", round);
	}
}

void hang_up_at_end()
{
	ensure_corbel();
	unique_fd device = connect_device();
	std::optional<guest_vm> vm(std::in_place, 1);
	unique_fd attachment = attach(device.get(), vm->fd());
	unique_fd irq = open_irq(attachment.get());
	ring_reader ring(irq.get(), 8, event_bit(CORBEL_EVENT_ACCEPT));
	std::atomic<short> events = 0;

	CHECK_EQ(vm->send_msi(0, 0x55), 1, "MSI");
	CHECK(ring.next(), "no record");
	std::thread waiter([&] { events = ring.wait(120000); });
	vm.reset();
	waiter.join();
	CHECK(events & POLLHUP, "poll answers {:#x}", events.load());
	CHECK(ring.ended(), "the header does not tell of the end");
}

/* Each ring gets what it asked for and only that. */
void select_events()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	ring_reader accepts(irq, 12, event_bit(CORBEL_EVENT_ACCEPT));
	ring_reader injects(irq, 12, event_bit(CORBEL_EVENT_INJECT));
	ring_reader others(irq, 12, event_bit(CORBEL_EVENT_RESYNC) | event_bit(CORBEL_EVENT_DROP));

	vm.start();
	for (unsigned i = 1; i <= 50; i++) {
		CHECK_EQ(vm.send_msi(1, 0x70), 1, "MSI");
		vm.wait("it is handled", [&] { return vm.handled(1, 0x70) == i; });
	}
	wait_idle(vm);
	for (ring_reader *ring : {&accepts, &injects}) {
		unsigned type = ring == &accepts ? CORBEL_EVENT_ACCEPT : CORBEL_EVENT_INJECT;

		while (auto event = ring->next())
			CHECK(event->type == type && event->vcpu == 1 && event->vector == 0x70,
			      "type {} vCPU {} vector {:#x}", event->type, event->vcpu,
			      event->vector);
		CHECK_EQ(ring->consumed, 50u, "events of type {}", type);
	}

	while (others.next())
		;
	observed.read(0, CORBEL_IRQ_F_RESYNC);
	auto event = others.next();
	CHECK(event && event->type == CORBEL_EVENT_RESYNC && event->vcpu == 0,
	      "no event tells of the resync");
	parked guard(vm.at(1));
	vm.at(1).set_msr(msr::x2apic_svr, 0xff);
	vm.send_msi(1, 0x71);
	while ((event = others.next()) && event->type == CORBEL_EVENT_RESYNC)
		;
	CHECK(event && event->type == CORBEL_EVENT_DROP && event->vcpu == 1 &&
		      event->vector == 0x71,
	      "no event tells of the refused interrupt");
	/* It reached the APIC, so it counts as accepted first, as in the counts. */
	event = accepts.next();
	CHECK(event && event->vector == 0x71 && !accepts.next(),
	      "a refused interrupt is one ACCEPT and one DROP");
}

/* A ring that is closed in the middle of a load takes nothing with it. */
void close_under_load()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	interrupt_load load(vm);

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	load.start();
	for (unsigned round = 0; round < 100; round++) {
		ring_reader ring(observed.irq.get(), CORBEL_RING_MIN_ORDER + round % 6,
				 event_bit(CORBEL_EVENT_ACCEPT) | event_bit(CORBEL_EVENT_INJECT));
		vm.wait("a record is there", [&] { return ring.next().has_value(); });
	}
	load.stop();
	wait_idle(vm);
	check_ledger(observed.irq.get(), 2);
}

constexpr test_case cases[] = {
	{"every event of a load", carry_every_event},
	{"produced = consumed + unread + lost", count_losses},
	{"a wild tail", survive_wild_tail},
	{"poll is woken", wake_poller},
	{"the VM's end hangs up", hang_up_at_end},
	{"rings choose their events", select_events},
	{"closed under load", close_under_load},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
