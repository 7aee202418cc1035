/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balance.hh - which interrupts of a guest should go to another of its CPUs, and when.
 *
 * A CPU of the guest is starved when its vCPU has been runnable and without a physical
 * CPU for a large share of several intervals one after the other; it is used again only
 * after it has been well for longer. Interrupts are taken away from starved CPUs and
 * never brought back before the end, so nothing swings: an interrupt moves again only if
 * where it went is starved too, after a pause, and within the budget for all.
 */
#pragma once

#include <agent/protocol.hh>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace corbel::cli {

struct BalanceRules {
	double threshold = 0.3; /* starved above this share; well below half of it */
	unsigned budget = 6; /* moves a minute */
	unsigned starved_after = 3; /* intervals */
	unsigned well_after = 10;
	std::uint64_t least_traffic = 1; /* interrupts in the interval */
};

/* Of a vCPU, in the last interval; its guest CPU. */
struct CpuLoad {
	std::uint16_t cpu;
	double running; /* share of the interval */
	double waiting; /* runnable, without a CPU */
};

struct Move {
	std::uint32_t irq;
	std::uint16_t from;
	std::uint16_t to;
};

/* What became of the CPUs, since the step before. */
struct CpuChange {
	std::uint16_t cpu;
	bool starved; /* or well again */
	double waiting;
};

struct BalanceStep {
	std::vector<CpuChange> changes;
	std::vector<Move> moves; /* that should be made now, in this order */
	unsigned over_budget = 0; /* should be made, and may not */
};

class Balance {
public:
	using Clock = std::chrono::steady_clock;

	explicit Balance(const BalanceRules &rules) : rules_(rules) {}

	/* @irqs as the guest lists them; what came since the call before is their traffic. */
	[[nodiscard]] BalanceStep step(Clock::time_point now, std::span<const CpuLoad> loads,
				       std::span<const agent::GuestIrq> irqs);

	/* It was made, as the step said. Counts against the budget. */
	void moved(std::uint32_t irq, Clock::time_point now);
	/* It was not; @for_good: never try it again. Counts against the budget too. */
	void failed(std::uint32_t irq, Clock::time_point now, bool for_good);

private:
	struct CpuState {
		unsigned above = 0, below = 0; /* intervals one after the other */
		bool starved = false;
		double load = 0;
	};
	struct IrqState {
		std::uint64_t total = 0;
		bool known = false;
		unsigned failures = 0;
		bool given_up = false;
		std::uint64_t not_before = 0; /* step */
	};

	[[nodiscard]] std::vector<CpuChange> judge(std::span<const CpuLoad> loads);
	[[nodiscard]] std::uint64_t take_traffic(const agent::GuestIrq &irq);
	/* The CPU it should go to, or nothing. */
	[[nodiscard]] std::optional<std::uint16_t> target() const;
	[[nodiscard]] bool within_budget(Clock::time_point now);

	BalanceRules rules_;
	std::uint64_t steps_ = 0;
	std::map<std::uint16_t, CpuState> cpus_;
	std::map<std::uint32_t, IrqState> irqs_;
	std::deque<Clock::time_point> spent_;
};

} /* namespace corbel::cli */
