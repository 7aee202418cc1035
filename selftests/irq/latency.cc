// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accept-to-inject latency, against two other witnesses: the event ring, which
 * carries the latency of each single interrupt, and the guest, whose handler
 * notes the time on the same clock.
 */
#include "observed_vm.hh"
#include "ring_reader.hh"
#include "tap.hh"

#include <array>
#include <bit>

using namespace corbel::selftest;

namespace {

/* As <corbel/irq.h> defines it, written a second time on purpose. */
unsigned bucket_of(__u64 ticks)
{
	if (ticks < 1u << CORBEL_IRQ_HIST_SHIFT)
		return 0;
	unsigned exponent = 63 - std::countl_zero(ticks);
	unsigned mantissa = ticks >> (exponent - 2) & 3;
	return std::min<unsigned>(1 + 4 * (exponent - CORBEL_IRQ_HIST_SHIFT) + mantissa,
				  CORBEL_IRQ_HIST_BUCKETS - 1);
}

__u64 count_hist(const corbel_irq_hist &hist)
{
	__u64 sum = 0;

	for (__u64 count : hist.buckets)
		sum += count;
	return sum;
}

struct own_hist {
	__u64 sum = 0, max = 0;
	std::array<__u64, CORBEL_IRQ_HIST_BUCKETS> buckets{};

	void add(__u64 ticks)
	{
		sum += ticks;
		max = std::max(max, ticks);
		buckets[bucket_of(ticks)]++;
	}
};

/* Sums of the parts are the wholes: vectors, their histograms, the vCPU's. */
void check_sums(int irq, unsigned vcpu)
{
	corbel_irq_hist whole = irq_hist(irq, vcpu);
	auto vectors = irq_vectors(irq, vcpu);
	own_hist parts;
	__u64 injected = 0;

	for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
		corbel_irq_hist one = irq_hist(irq, vcpu, v);

		CHECK_EQ(count_hist(one), vectors[v].injected,
			 "vCPU {} vector {:#x}: histogram and count", vcpu, v);
		CHECK_EQ(one.sum, vectors[v].latency_sum, "vCPU {} vector {:#x}: sum", vcpu, v);
		CHECK_EQ(one.max, vectors[v].latency_max, "vCPU {} vector {:#x}: max", vcpu, v);
		injected += vectors[v].injected;
		parts.sum += one.sum;
		parts.max = std::max(parts.max, one.max);
		for (unsigned b = 0; b < CORBEL_IRQ_HIST_BUCKETS; b++)
			parts.buckets[b] += one.buckets[b];
	}
	CHECK_EQ(count_hist(whole), injected, "vCPU {}: histogram and count", vcpu);
	CHECK_EQ(whole.sum, parts.sum, "vCPU {}: sum", vcpu);
	CHECK_EQ(whole.max, parts.max, "vCPU {}: max", vcpu);
	for (unsigned b = 0; b < CORBEL_IRQ_HIST_BUCKETS; b++)
		CHECK_EQ(whole.buckets[b], parts.buckets[b], "vCPU {} bucket {}", vcpu, b);
}

void agree_with_ring()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	ring_reader ring(irq, 16, event_bit(CORBEL_EVENT_INJECT));
	std::array<std::array<own_hist, CORBEL_IRQ_VECTORS>, 2> seen{};
	std::array<own_hist, 2> total{};

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	interrupt_load load(vm);
	load.start(amount(8000, 30000));
	load.finish();
	wait_idle(vm);
	while (auto event = ring.next()) {
		CHECK_EQ(event->type, CORBEL_EVENT_INJECT, "event {}", event->seq);
		seen.at(event->vcpu)[event->vector].add(event->arg);
		total[event->vcpu].add(event->arg);
	}
	CHECK_EQ(ring.lost(), 0u, "the ring was large enough");

	for (unsigned i = 0; i < 2; i++) {
		check_sums(irq, i);
		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
			corbel_irq_hist hist = irq_hist(irq, i, v);

			CHECK_EQ(hist.sum, seen[i][v].sum,
				 "vCPU {} vector {:#x}: histogram and ring", i, v);
			CHECK_EQ(hist.max, seen[i][v].max,
				 "vCPU {} vector {:#x}: histogram and ring", i, v);
			for (unsigned b = 0; b < CORBEL_IRQ_HIST_BUCKETS; b++)
				CHECK_EQ(hist.buckets[b], seen[i][v].buckets[b],
					 "vCPU {} vector {:#x} bucket {}: histogram and ring", i, v,
					 b);
		}
		CHECK(total[i].sum > 0, "all latencies of vCPU {} are 0", i);
		comment("vCPU {}: {} injected, mean {} ticks, max {} ticks", i, ring.consumed,
			total[i].sum / std::max<__u64>(1, count_hist(irq_hist(irq, i))),
			total[i].max);
	}
}

/* Kept outside KVM for a known time, the vCPU's interrupt waits that long. */
void agree_with_guest()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;

	vm.start();
	for (unsigned round = 0; round < 10; round++) {
		const unsigned vector = 0x40 + round;
		uint64_t before_send, after_send, before_run;
		{
			parked guard(vm.at(0));

			before_send = guest::read_tsc();
			CHECK_EQ(vm.send_msi(0, vector), 1, "MSI");
			after_send = guest::read_tsc();
			while (guest::read_tsc() - after_send < (round + 1) * 1000000ull)
				;
			before_run = guest::read_tsc();
		}
		vm.wait("it is handled", [&] { return vm.handled(0, vector) == 1; });
		uint64_t in_handler = vm.memory(0).last_tsc;
		uint64_t latency = irq_vectors(observed.irq.get(), 0)[vector].latency_sum;
		CHECK(latency >= before_run - after_send, "held {} ticks at least, latency {}",
		      before_run - after_send, latency);
		CHECK(latency <= in_handler - before_send,
		      "{} ticks from send to handler, latency {}", in_handler - before_send,
		      latency);
	}
	check_sums(observed.irq.get(), 0);
}

/* A coalesced interrupt waits since the first one, and once. */
void count_from_first()
{
	observed_vm observed(1);
	guest_vm &vm = observed.vm;

	vm.start(guest_mode::masked);
	CHECK_EQ(vm.send_msi(0, 0x77), 1, "first");
	uint64_t after_first = guest::read_tsc();
	while (guest::read_tsc() - after_first < 5000000)
		;
	uint64_t before_second = guest::read_tsc();
	CHECK_EQ(vm.send_msi(0, 0x77), 1, "second");
	vm.set_mode(0, guest_mode::spin);
	wait_idle(vm);
	corbel_irq_vector vector = irq_vectors(observed.irq.get(), 0)[0x77];
	CHECK_EQ(vector.injected, 1u, "injected");
	CHECK(vector.latency_sum >= before_second - after_first,
	      "waited {} ticks at least, latency {}", before_second - after_first,
	      vector.latency_sum);
	check_sums(observed.irq.get(), 0);
}

constexpr test_case cases[] = {
	{"histograms and ring agree", agree_with_ring},
	{"the guest's own measurement agrees", agree_with_guest},
	{"coalesced: since the first", count_from_first},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
