// SPDX-License-Identifier: GPL-2.0-or-later
#include "contended.hh"
#include "tap.hh"
#include "wait.hh"

#include <ctime>
#include <sched.h>
#include <sys/resource.h>

namespace corbel::selftest {

namespace {

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

int pin(pid_t thread, std::initializer_list<int> cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu : cpus)
		CPU_SET(cpu, &set);
	return sched_setaffinity(thread, sizeof(set), &set) ? errno : 0;
}

} // namespace

corbel_irq_boost make_boost(uint32_t sources)
{
	corbel_irq_boost boost = {};

	boost.flags = CORBEL_IRQ_F_SET;
	boost.sources = sources;
	boost.priority = 1;
	boost.slice_us = 500;
	boost.budget_us = 5000;
	boost.period_ms = 100;
	for (auto &word : boost.vectors)
		word = ~0ULL;
	return boost;
}

corbel_irq_boost get_boost(int irq)
{
	corbel_irq_boost boost = {};

	int result = request(irq, CORBEL_IRQ_BOOST, boost);
	CHECK(result == 0, "CORBEL_IRQ_BOOST answers {}", error_name(result));
	return boost;
}

void set_boost(int irq, corbel_irq_boost boost)
{
	int result = request(irq, CORBEL_IRQ_BOOST, boost);
	CHECK(result == 0, "setting the boost answers {}", error_name(result));
}

void set_boost_off(int irq)
{
	corbel_irq_boost off = {};

	off.flags = CORBEL_IRQ_F_SET;
	set_boost(irq, off);
}

void await_no_boost(int irq)
{
	wait_until("no boost is under way", [&] {
		corbel_irq_boost now = get_boost(irq);

		return now.boosted == now.restored + now.foreign;
	});
}

double seconds_of(clockid_t clock)
{
	timespec now = {};

	clock_gettime(clock, &now);
	return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

contended::contended() : observed_vm(1), allowed(allowed_cpus())
{
	int shared = allowed.front();

	vm.start();
	thread = vm.at(0).thread_id();
	CHECK(setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice) == 0, "nice: {}",
	      error_name(errno));
	CHECK_EQ(pin(thread, {shared}), 0, "pinning the vCPU");
	CHECK_EQ(pin(0, {allowed.back()}), 0, "pinning the test");
	std::atomic<bool> runs = false;
	hog = std::thread([&, shared] {
		if (pin(0, {shared}) || pthread_getcpuclockid(pthread_self(), &hog_clock))
			return;
		runs = true;
		while (!stop.load(std::memory_order_relaxed))
			;
	});
	wait_until("the hog runs", [&] { return runs.load(); });
}

contended::~contended()
{
	stop_hog();
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int cpu : allowed)
		CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void contended::stop_hog()
{
	stop = true;
	if (hog.joinable())
		hog.join();
}

void contended::send()
{
	uint64_t before = vm.handled(0, vector);

	CHECK_EQ(vm.send_msi(0, vector), 1, "MSI");
	vm.wait("it is handled", [&] { return vm.handled(0, vector) > before; });
}

void contended::await_boost()
{
	wait_until("it is boosted", [&] {
		vm.send_msi(0, vector);
		return scheduler() == SCHED_FIFO;
	});
}

int contended::scheduler() const
{
	return sched_getscheduler(thread) & ~SCHED_RESET_ON_FORK;
}

void contended::check_normal(const char *when) const
{
	CHECK_EQ(sched_getscheduler(thread), SCHED_OTHER, "{}", when);
	CHECK_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(thread)), nice, "{}: nice", when);
}

} // namespace corbel::selftest
