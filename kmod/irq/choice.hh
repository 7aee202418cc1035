/* SPDX-License-Identifier: GPL-2.0 */
/*
 * choice.hh - which of several vCPUs shall take an interrupt.
 *
 * Pure: what is known of each candidate goes in, one after the other, and the best is
 * kept. What is known is a hint that may be stale at once, so the worst that a choice
 * can do is what would have happened without one.
 */
#pragma once

#include <cstdint>

#include <corbel/irq.h>

namespace corbel::irq {

struct Candidate {
	std::uint32_t index; /* of the vCPU */
	std::uint32_t residency; /* CORBEL_RES_* */
	bool contended; /* it has lost its CPU to another task lately */
	std::uint32_t pending; /* vectors in its record */
};

class Best {
public:
	/* @policy: CORBEL_IRQ_POLICY_RESIDENT_FIRST or CORBEL_IRQ_POLICY_LEAST_PENDING */
	constexpr explicit Best(std::uint32_t policy) : policy_(policy) {}

	/* Of equals the first stays. */
	constexpr void consider(const Candidate &one)
	{
		if (!count_++ || is_better(one))
			best_ = one;
	}
	[[nodiscard]] constexpr std::uint32_t count() const { return count_; }
	/* count() is not 0. */
	[[nodiscard]] constexpr const Candidate &get() const { return best_; }

	/*
	 * How soon a vCPU can take an interrupt: it runs, and nobody disputes its CPU; it
	 * sleeps, and a wake-up makes it run; it runs, but may be put off any moment;
	 * another task has its CPU; its thread is outside KVM, and nobody knows how long.
	 */
	static constexpr unsigned distance(const Candidate &one)
	{
		switch (one.residency) {
		case CORBEL_RES_RESIDENT:
			return one.contended ? 2 : 0;
		case CORBEL_RES_HALTED:
			return 1;
		case CORBEL_RES_PREEMPTED:
			return preempted;
		default:
			return preempted + 1;
		}
	}
	static constexpr unsigned preempted = 3;

private:
	[[nodiscard]] constexpr bool is_better(const Candidate &one) const
	{
		const unsigned near = distance(one);
		const unsigned far = distance(best_);

		if (policy_ == CORBEL_IRQ_POLICY_LEAST_PENDING && one.pending != best_.pending)
			return one.pending < best_.pending;
		return near != far ? near < far : one.pending < best_.pending;
	}

	std::uint32_t policy_;
	std::uint32_t count_{};
	Candidate best_{};
};

} /* namespace corbel::irq */
