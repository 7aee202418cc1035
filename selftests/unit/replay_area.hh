/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An area and a log in memory of exactly their size, so that a sanitizer sees what is beside
 * them; and an RDTSC as the module does it.
 */
#pragma once

#include "replay/answer.hh"

#include <memory>

namespace corbel::unit {

using replay::Answers;
using replay::Decision;

struct ReplayArea {
	static constexpr std::uint64_t entries = 256;

	ReplayArea()
		: area(new corbel_replay_area{}),
		  log(new corbel_replay_entry[entries]{}),
		  answers(area.get(), log.get(), entries)
	{
		area->deadline = ~0ULL;
	}

	void begin(std::uint32_t mode, std::uint64_t end = entries) const
	{
		area->mode = mode;
		area->head = 0;
		area->end = end;
		area->last = 0;
	}

	/* What the guest gets, and why KVM_RUN ends; 0: it does not. */
	struct Outcome {
		Decision decision;
		std::uint32_t reason;
	};
	Outcome read_counter(std::uint64_t rip, std::uint64_t now)
	{
		const Decision made = answers.decide(rip, now);

		if (made.kind == Decision::Kind::leave)
			return {made, made.reason};
		return {made, made.kind == Decision::Kind::answer ? answers.commit(made) : 0};
	}

	std::unique_ptr<corbel_replay_area> area;
	std::unique_ptr<corbel_replay_entry[]> log;
	Answers answers;
};

} // namespace corbel::unit
