// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a boost is worth, and what it costs others: raise to handler of a vCPU that
 * shares its CPU with a hog, and the hog's share of that CPU, without boosts and with.
 * In the count lane all runs on one CPU, and the times are the same in each run.
 */
#include "contended.hh"
#include "tap.hh"
#include "timing.hh"

#include <algorithm>
#include <unistd.h>

using namespace corbel::selftest;

namespace {

/* Between interrupts, microseconds: not a divisor of the scheduler's turns. */
constexpr unsigned gap_us = 19700;

struct outcome {
	std::vector<uint64_t> ticks; /* lowest first */
	double share; /* of its CPU that the hog got */

	[[nodiscard]] uint64_t at(unsigned percent) const { return percentile(ticks, percent); }
};

outcome measure(contended &it, double length)
{
	outcome out = {};
	double began = seconds_of(CLOCK_MONOTONIC);
	double hogged = it.hogged();

	while (seconds_of(CLOCK_MONOTONIC) - began < length) {
		uint64_t raised = guest::read_tsc();

		it.send();
		out.ticks.push_back(it.vm.memory(0).last_tsc - raised);
		usleep(gap_us);
	}
	out.share = (it.hogged() - hogged) / (seconds_of(CLOCK_MONOTONIC) - began);
	std::ranges::sort(out.ticks);
	return out;
}

void print(const char *name, const outcome &out, uint64_t khz)
{
	auto us = [&](unsigned percent) { return out.at(percent) * 1000 / khz; };

	comment("{}: {} interrupts, raise to handler us: median {}, p90 {}, p99 {}; the hog's share {:.3f}",
		name, out.ticks.size(), us(50), us(90), us(99), out.share);
}

void beside_a_hog()
{
	contended it;
	int irq = it.irq.get();
	const auto length = static_cast<double>(amount(2, 60));
	const uint64_t khz = irq_info(irq).tsc_khz;
	outcome kvm = measure(it, length);

	set_boost(irq, make_boost(boost_devices));
	outcome boosted = measure(it, length);
	await_no_boost(irq);
	corbel_irq_boost now = get_boost(irq);

	print("KVM", kvm, khz);
	print("boosted", boosted, khz);
	comment("asked {}, boosted {}, needless {}, over budget {}; {} us used, at most {} us in one",
		now.asked, now.boosted, now.needless, now.over_budget, now.used_ns / 1000,
		now.longest_ns / 1000);
	comment("goal: p99 <= 0.33 of KVM's: {:.3f}; the hog's share >= 0.9 of what it was: {:.3f}",
		static_cast<double>(boosted.at(99)) / static_cast<double>(kvm.at(99)),
		boosted.share / kvm.share);
	CHECK(boosted.at(90) < kvm.at(90), "p90 is not lower with boosts");
	CHECK(boosted.share >= 0.9 * kvm.share, "the hog has lost its share");
	it.check_normal("afterwards");
}

/* More interrupts than the budget has boosts for. */
void out_of_budget()
{
	contended it;
	int irq = it.irq.get();
	const auto length = static_cast<double>(amount(1, 30));
	double share[2];
	double passed = 0;

	for (double &of : share) {
		if (&of != share)
			set_boost(irq, make_boost(boost_devices));
		double began = seconds_of(CLOCK_MONOTONIC);
		double hogged = it.hogged();

		do {
			it.vm.send_msi(0, contended::vector);
			usleep(500);
			passed = seconds_of(CLOCK_MONOTONIC) - began;
		} while (passed < length);
		of = (it.hogged() - hogged) / passed;
	}
	await_no_boost(irq);
	corbel_irq_boost now = get_boost(irq);
	double allowed = now.budget_us * 1e3 * (passed * 1e3 / now.period_ms + 1) +
			 static_cast<double>(now.longest_ns);

	comment("the hog's share over {:.0f} s: {:.3f} without boosts, {:.3f} with: {:.3f} of it",
		length, share[0], share[1], share[1] / share[0]);
	comment("boosted {}, over budget {}; {} us used of {:.0f} us, at most {} us in one",
		now.boosted, now.over_budget, now.used_ns / 1000, allowed / 1000,
		now.longest_ns / 1000);
	CHECK(now.over_budget > 0, "the load does not use the budget up");
	CHECK(static_cast<double>(now.used_ns) <= allowed, "more than the budget");
	CHECK(share[1] >= 0.9 * share[0], "the hog has lost its share");
}

constexpr test_case cases[] = {
	{"beside a hog", beside_a_hog},
	{"out of budget", out_of_budget},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
