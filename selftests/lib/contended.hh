/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU that has to share its CPU with a hog, and boosts for it.
 */
#pragma once

#include "cpu_hog.hh"
#include "observed_vm.hh"

#include <optional>

namespace corbel::selftest {

inline constexpr uint32_t boost_devices = 1U << CORBEL_IRQ_PATH_DEVICE;

/* Until none is under way. */
void await_no_boost(int irq);

double seconds_of(clockid_t clock);

/*
 * A vCPU that spins, at nice 3, and a hog on one CPU; the test on another one, if it
 * may use two.
 */
struct contended : observed_vm {
	static constexpr unsigned vector = 0x50;
	static constexpr int nice = 3;

	contended();
	~contended();

	/* One interrupt, and until it is handled. */
	void send();
	/* Interrupts until the vCPU's thread is seen boosted. */
	void await_boost();
	/* SCHED_* of the vCPU's thread. */
	[[nodiscard]] int scheduler() const;
	/* It is scheduled as it was at first. */
	void check_normal(const char *when) const;
	/* CPU time of the hog, seconds. */
	[[nodiscard]] double hogged() const { return seconds_of(hog->clock()); }
	void stop_hog() { hog->stop(); }

	pid_t thread = 0;

private:
	std::vector<int> allowed;
	std::optional<cpu_hog> hog;
};

} // namespace corbel::selftest
