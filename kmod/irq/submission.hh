/* SPDX-License-Identifier: GPL-2.0 */
/*
 * submission.hh - the kernel's side of a submission ring, see <corbel/dist.h>.
 *
 * All of the ring is user memory and can be anything at any time. The kernel's place
 * in it is a private index; the head is read once a call and takes part in one
 * subtraction, whose result is cut to the capacity; an id is read once and handed to
 * the caller, who knows which there are. So a wild owner gets wrong counts and nothing
 * else, and a call ends after at most @limit ids whatever the head does.
 */
#pragma once

#include <corbel/dist.h>

#include <cstdint>

#include "../rt/atomic.hh"

namespace corbel::irq {

class SubmissionRing {
public:
	/* @capacity: a power of two, of ids at @ids. Once. */
	void init(corbel_dist_ring_ctl *ctl, const __u32 *ids, std::uint32_t capacity)
	{
		ctl_ = ctl;
		ids_ = ids;
		capacity_ = capacity;
	}
	[[nodiscard]] bool exists() const { return capacity_; }

	/*
	 * Hands up to @limit ids to @take, oldest first; returns how many. One caller at a
	 * time.
	 */
	template <typename Take>
	std::uint32_t consume(std::uint32_t limit, const Take &take)
	{
		const std::uint64_t head = rt::atomic_load(&ctl_->head, rt::Order::acquire);

		if (head - taken_ > capacity_) {
			lost_ += head - taken_ - capacity_;
			taken_ = head - capacity_;
			rt::atomic_store(&ctl_->lost, lost_, rt::Order::relaxed);
		}
		const std::uint64_t there = head - taken_;
		const auto count = there < limit ? static_cast<std::uint32_t>(there) : limit;

		for (std::uint32_t i = 0; i < count; i++)
			take(rt::atomic_load(&ids_[taken_++ & (capacity_ - 1)],
					     rt::Order::relaxed));
		submitted_ += count;
		/* The ids have been read: the owner may put others in their places. */
		rt::atomic_store(&ctl_->tail, taken_, rt::Order::release);
		return count;
	}

	[[nodiscard]] std::uint32_t capacity() const { return capacity_; }
	[[nodiscard]] std::uint64_t submitted() const { return submitted_; }
	[[nodiscard]] std::uint64_t lost() const { return lost_; }

private:
	corbel_dist_ring_ctl *ctl_{};
	const __u32 *ids_{};
	std::uint32_t capacity_{};
	std::uint64_t taken_{};
	std::uint64_t submitted_{};
	std::uint64_t lost_{};
};

} /* namespace corbel::irq */
