// SPDX-License-Identifier: GPL-2.0-or-later
#include "contended.hh"
#include "tap.hh"
#include "wait.hh"

#include <ctime>
#include <sched.h>
#include <sys/resource.h>

namespace corbel::selftest {

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
	vm.start();
	thread = vm.at(0).thread_id();
	CHECK(setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice) == 0, "nice: {}",
	      error_name(errno));
	pin(thread, {allowed.front()});
	pin(0, {allowed.back()});
	hog.emplace(allowed.front());
}

contended::~contended()
{
	hog.reset();
	pin(0, allowed);
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
