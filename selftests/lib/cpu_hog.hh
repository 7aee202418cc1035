/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPU a thread is on, and a thread that wants one for itself.
 */
#pragma once

#include <atomic>
#include <ctime>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace corbel::selftest {

/* Of this thread, lowest first. */
std::vector<int> allowed_cpus();
/* @thread 0 is this one. */
void pin(pid_t thread, const std::vector<int> &cpus);

/* Spins on @cpu from the constructor's return until stop(). */
class cpu_hog {
public:
	explicit cpu_hog(int cpu);
	~cpu_hog() { stop(); }
	cpu_hog(const cpu_hog &) = delete;

	void stop();
	/* CLOCK_THREAD_CPUTIME_ID of it, until stop(). */
	[[nodiscard]] clockid_t clock() const { return cpu_clock; }

private:
	std::atomic<bool> runs = false;
	std::atomic<bool> ended = false;
	clockid_t cpu_clock = 0;
	std::thread thread;
};

} // namespace corbel::selftest
