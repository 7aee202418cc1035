// SPDX-License-Identifier: GPL-2.0-or-later
#include "observed_vm.hh"
#include "wait.hh"

#include <cstring>

namespace corbel::selftest {

namespace {

void check_status(int irq, unsigned index, const corbel_irq_vcpu &now)
{
	status_page page(irq);
	bool bit =
		page.line(index / CORBEL_IRQ_LINE_VCPUS)->pending >> index % CORBEL_IRQ_LINE_VCPUS &
		1;

	CHECK_EQ(now.exactness, CORBEL_IRQ_EXACT, "vCPU {}", index);
	CHECK_EQ(now.pending != 0, count_vectors(now.irr) != 0, "status of vCPU {}, IRR {}", index,
		 print_words(now.irr));
	CHECK_EQ(bit, now.pending != 0, "status page of vCPU {}, IRR {}", index,
		 print_words(now.irr));
}

} // namespace

void check_record_is_irr(int irq, unsigned vcpus)
{
	for (unsigned i = 0; i < vcpus; i++) {
		corbel_irq_vcpu now = {};

		wait_for(
			[&] {
				now = irq_vcpu(irq, i);
				return now.quiet && same_words(now.record, now.irr);
			},
			std::chrono::seconds(20));
		CHECK(now.quiet, "deliveries to vCPU {} do not end", i);
		CHECK(same_words(now.record, now.irr), "vCPU {}: record {}, IRR {}", i,
		      print_words(now.record), print_words(now.irr));
		check_status(irq, i, now);
	}
}

void check_record_is_lapic(observed_vm &observed, unsigned index)
{
	parked guard(observed.vm.at(index));
	kvm_lapic_state state = observed.vm.at(index).lapic();
	corbel_irq_vcpu now = observed.read(index);
	__u64 truth[CORBEL_IRQ_WORDS] = {};

	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++)
		if (lapic_bit(state, lapic_irr, vector))
			truth[vector / 64] |= 1ull << vector % 64;
	CHECK(same_words(now.irr, truth), "vCPU {}: IRR {}, LAPIC {}", index, print_words(now.irr),
	      print_words(truth));
	CHECK(same_words(now.record, truth), "vCPU {}: record {}, LAPIC {}", index,
	      print_words(now.record), print_words(truth));
	check_status(observed.irq.get(), index, now);
}

void check_ledger(int irq, unsigned vcpus)
{
	for (unsigned i = 0; i < vcpus; i++) {
		corbel_irq_vcpu now = irq_vcpu(irq, i);
		auto vectors = irq_vectors(irq, i);
		corbel_irq_vector sum = {};
		__u64 extint = 0;

		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
			const corbel_irq_vector &vector = vectors[v];
			__u64 accepted = sum_paths(vector.accepted);

			CHECK_EQ(accepted + vector.restored,
				 vector.injected - vector.extint + vector.coalesced +
					 vector.dropped + test_vector(now.record, v),
				 "vCPU {} vector {:#x}: accepted {} + restored {} = injected {} - "
				 "extint {} + coalesced {} + dropped {} + pending {}",
				 i, v, accepted, vector.restored, vector.injected, vector.extint,
				 vector.coalesced, vector.dropped, test_vector(now.record, v));
			extint += vector.extint;
			for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
				sum.accepted[path] += vector.accepted[path];
			sum.injected += vector.injected;
			sum.coalesced += vector.coalesced;
			sum.dropped += vector.dropped;
			sum.restored += vector.restored;
		}
		for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
			CHECK_EQ(now.accepted[path], sum.accepted[path],
				 "vCPU {} path {}: total and vectors", i, path);
		CHECK_EQ(now.injected, sum.injected, "vCPU {}: total and vectors", i);
		CHECK_EQ(now.extint, extint, "vCPU {}: total and vectors", i);
		CHECK_EQ(now.restored, sum.restored, "vCPU {}: total and vectors", i);
		CHECK_EQ(sum_paths(now.accepted) + now.restored,
			 now.injected - now.extint + now.coalesced + now.dropped +
				 count_vectors(now.record),
			 "vCPU {}: the balance of all vectors", i);
		CHECK_EQ(now.coalesced, sum.coalesced, "vCPU {}: total and vectors", i);
		CHECK_EQ(now.dropped, sum.dropped, "vCPU {}: total and vectors", i);
	}
}

} // namespace corbel::selftest
