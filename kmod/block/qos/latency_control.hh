/* SPDX-License-Identifier: GPL-2.0 */
/*
 * latency_control.hh - how much others may have at the device, so that targets are met.
 *
 * A target is met if 90 % of the I/Os that a budget completed within a window took no longer
 * at the device. If one is missed, the depth of all budgets without a target is halved. It
 * soon comes back to three quarters of what was too much; from there it is raised once in
 * sixteen windows, so that trying costs less than one I/O in ten its target, but each time
 * by twice as much, so that it is not long if the device has become faster.
 */
#pragma once

#include "sabotage.hh"
#include "types.hh"

namespace corbel::qos {

inline constexpr Time latency_window = 100'000'000;

/* Of one budget with a target. */
struct LatencyWindow {
	Time begin = 0;
	u32 all = 0, late = 0;

	/* False: the window that ended with this I/O was missed. */
	[[nodiscard]] bool add(bool is_late, Time now)
	{
		all++;
		late += is_late;
		if (now - begin < latency_window)
			return true;
		const bool is_met = u64{late} * 10 <= all;

		*this = {now, 0, 0};
		return is_met;
	}
};

class LatencyControl {
public:
	explicit LatencyControl(u32 whole) : whole_(whole), depth_(whole) {}

	/* What budgets without a target may have in flight; 0 if there is no depth at all. */
	[[nodiscard]] u32 depth() const { return depth_; }

	/* A target was missed. It takes a window to see what that changed. */
	void missed(Time now)
	{
		if (now - changed_ < latency_window || sabotaged(Sabotage::latency_ignored))
			return;
		changed_ = now;
		too_much_ = depth_;
		step_ = 1;
		if (depth_ > 1)
			depth_ /= 2;
	}
	void tick(Time now)
	{
		if (depth_ >= whole_)
			return;
		const bool is_known = depth_ < too_much_ / 4 * 3;
		if (now - changed_ < (is_known ? 1 : try_windows) * latency_window)
			return;
		changed_ = now;
		const u32 more = is_known ? 1 + whole_ / 16 : step_;
		depth_ = whole_ - depth_ > more ? depth_ + more : whole_;
		if (is_known && depth_ > too_much_ / 4 * 3)
			depth_ = too_much_ / 4 * 3;
		else if (!is_known && step_ < whole_)
			step_ *= 2;
	}

private:
	static constexpr u32 try_windows = 16;

	u32 whole_, depth_, too_much_ = 0, step_ = 1;
	Time changed_ = 0;
};

} /* namespace corbel::qos */
