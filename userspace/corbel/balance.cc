// SPDX-License-Identifier: GPL-2.0-or-later
#include "balance.hh"

#include <algorithm>
#include <optional>

namespace corbel::cli {

namespace {

constexpr auto budget_period = std::chrono::minutes(1);
constexpr unsigned failures_allowed = 3;

struct Candidate {
	std::uint32_t irq;
	std::uint16_t from;
	std::uint64_t traffic;
};

} /* namespace */

/* A CPU between the two thresholds keeps what it is, and both counts begin again. */
std::vector<CpuChange> Balance::judge(std::span<const CpuLoad> loads)
{
	std::vector<CpuChange> changes;

	std::erase_if(cpus_, [&](const auto &known) {
		return std::ranges::find(loads, known.first, &CpuLoad::cpu) == loads.end();
	});
	for (const auto &load : loads) {
		auto &state = cpus_[load.cpu];

		state.above = load.waiting > rules_.threshold ? state.above + 1 : 0;
		state.below = load.waiting < rules_.threshold / 2 ? state.below + 1 : 0;
		state.load = load.running + load.waiting;
		if (state.above >= rules_.starved_after && !state.starved) {
			state.starved = true;
			changes.push_back({load.cpu, true, load.waiting});
		} else if (state.below >= rules_.well_after && state.starved) {
			state.starved = false;
			changes.push_back({load.cpu, false, load.waiting});
		}
	}
	return changes;
}

/* Since the step before; nothing the first time, nor if the counts went back. */
std::uint64_t Balance::take_traffic(const agent::GuestIrq &irq)
{
	auto &state = irqs_[irq.number];
	std::uint64_t total = 0;

	for (const auto &[cpu, count] : irq.counts)
		total += count;
	const auto traffic = state.known && total > state.total ? total - state.total : 0;
	state.total = total;
	state.known = true;
	return traffic;
}

std::optional<std::uint16_t> Balance::target() const
{
	std::optional<std::uint16_t> best;

	for (const auto &[cpu, state] : cpus_)
		if (!state.starved && state.above == 0 &&
		    (!best || state.load < cpus_.at(*best).load))
			best = cpu;
	return best;
}

bool Balance::within_budget(Clock::time_point now)
{
	while (!spent_.empty() && now - spent_.front() >= budget_period)
		spent_.pop_front();
	return spent_.size() < rules_.budget;
}

BalanceStep Balance::step(Clock::time_point now, std::span<const CpuLoad> loads,
			  std::span<const agent::GuestIrq> irqs)
{
	BalanceStep step;
	std::vector<Candidate> candidates;
	std::uint64_t all_traffic = 0;

	steps_++;
	step.changes = judge(loads);
	std::erase_if(irqs_, [&](const auto &known) {
		return std::ranges::find(irqs, known.first, &agent::GuestIrq::number) == irqs.end();
	});
	for (const auto &irq : irqs) {
		const auto traffic = take_traffic(irq);
		const auto &state = irqs_[irq.number];
		const auto where = irq.effective.lowest();

		all_traffic += traffic;
		if (!irq.movable || !where || traffic < rules_.least_traffic || state.given_up ||
		    steps_ < state.not_before)
			continue;
		const auto cpu = cpus_.find(static_cast<std::uint16_t>(*where));
		if (cpu != cpus_.end() && cpu->second.starved)
			candidates.push_back({irq.number, cpu->first, traffic});
	}
	std::ranges::sort(candidates, std::greater(), &Candidate::traffic);

	(void)within_budget(now);
	const auto spent = spent_.size();
	for (const auto &[irq, from, traffic] : candidates) {
		const auto to = target();

		if (!to)
			break;
		if (spent + step.moves.size() >= rules_.budget) {
			step.over_budget++;
			continue;
		}
		step.moves.push_back({irq, from, *to});
		/* So that not all go to the one that is idle now. */
		cpus_.at(*to).load += static_cast<double>(traffic) /
				      static_cast<double>(std::max<std::uint64_t>(all_traffic, 1));
	}
	return step;
}

void Balance::moved(std::uint32_t irq, Clock::time_point now)
{
	spent_.push_back(now);
	irqs_[irq].failures = 0;
	irqs_[irq].not_before = steps_ + rules_.well_after;
}

void Balance::failed(std::uint32_t irq, Clock::time_point now, bool for_good)
{
	auto &state = irqs_[irq];

	spent_.push_back(now);
	state.failures++;
	state.given_up = for_good || state.failures >= failures_allowed;
	state.not_before = steps_ + (std::uint64_t{rules_.well_after} << state.failures);
}

} /* namespace corbel::cli */
