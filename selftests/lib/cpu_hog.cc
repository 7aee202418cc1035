// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpu_hog.hh"
#include "file.hh"
#include "tap.hh"
#include "wait.hh"

#include <cerrno>
#include <pthread.h>
#include <sched.h>

namespace corbel::selftest {

namespace {

/* 0 or an error number. */
int set_affinity(pid_t thread, const std::vector<int> &cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu : cpus)
		CPU_SET(cpu, &set);
	return sched_setaffinity(thread, sizeof(set), &set) ? errno : 0;
}

} // namespace

std::vector<int> allowed_cpus()
{
	cpu_set_t set;
	std::vector<int> cpus;

	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus.push_back(cpu);
	return cpus;
}

void pin(pid_t thread, const std::vector<int> &cpus)
{
	int error = set_affinity(thread, cpus);

	CHECK(error == 0, "sched_setaffinity: {}", error_name(error));
}

cpu_hog::cpu_hog(int cpu)
{
	thread = std::thread([this, cpu] {
		if (set_affinity(0, {cpu}) || pthread_getcpuclockid(pthread_self(), &cpu_clock))
			return;
		runs = true;
		while (!ended.load(std::memory_order_relaxed))
			;
	});
	try {
		wait_until("the hog runs", [&] { return runs.load(); });
	} catch (...) {
		stop();
		throw;
	}
}

void cpu_hog::stop()
{
	ended = true;
	if (thread.joinable())
		thread.join();
}

} // namespace corbel::selftest
