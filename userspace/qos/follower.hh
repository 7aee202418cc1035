/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * follower.hh - what keeps objects where their disks lie, in the background.
 *
 * Where the kernel tells of a change, the disk is looked at then; for what it does not tell of
 * (the writing out of delayed allocation, reflinks), and for what could not be looked at, once in
 * a period. So what is enforced is behind by no more than a period and a look.
 */
#pragma once

#include "objects.hh"

#include "../extents/watch.hh"

#include <chrono>
#include <thread>

namespace corbel::workloads {

inline constexpr std::chrono::seconds follower_period{5};

class Follower {
public:
	/* Both outlive it. @warn is called from threads of its own. */
	Follower(Luns &luns, Objects &objects, Warn warn,
		 std::chrono::milliseconds period = follower_period);
	Follower(const Follower &) = delete;

private:
	void tend();

	Luns &luns_;
	Objects &objects_;
	Warn warn_;
	std::set<std::string> watched_;
	extents::Watch watch_;
	/* The first to go: it uses all else. */
	std::jthread tender_;
};

} /* namespace corbel::workloads */
