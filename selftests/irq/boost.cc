// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A vCPU that shares its CPU with a hog gets the CPU for its interrupts; it does so
 * within the budget, and its thread is always set back to what it was.
 */
#include "contended.hh"
#include "distributor.hh"
#include "tap.hh"
#include "wait.hh"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace corbel::selftest;

namespace {

void boost_and_set_back()
{
	contended it;
	int irq = it.irq.get();

	CHECK_EQ(get_boost(irq).sources, 0u, "at first");
	for (unsigned i = 0; i < 20; i++)
		it.send();
	CHECK_EQ(get_boost(irq).asked, 0u, "asked while off");
	set_boost(irq, make_boost(boost_devices));
	wait_until("20 boosts", [&] {
		it.send();
		return get_boost(irq).boosted >= 20;
	});
	await_no_boost(irq);
	it.check_normal("afterwards");
	corbel_irq_boost now = get_boost(irq);
	comment("asked {}, boosted {}, needless {}, over budget {}; {} us used, at most {} us",
		now.asked, now.boosted, now.needless, now.over_budget, now.used_ns / 1000,
		now.longest_ns / 1000);
	CHECK_EQ(now.refused + now.foreign, 0u, "refused or foreign");
	CHECK_EQ(now.restored, now.boosted, "restored");
	CHECK(now.boosted + now.needless + now.over_budget <= now.asked,
	      "more answers than questions");
	wait_idle(it.vm);
	check_ledger(irq, 1);
}

void count_what_the_policy_counts()
{
	contended it;
	int irq = it.irq.get();

	set_boost(irq, make_boost(1U << CORBEL_IRQ_PATH_IPI));
	for (unsigned i = 0; i < 20; i++)
		it.send();
	CHECK_EQ(get_boost(irq).asked, 0u, "another path");
	corbel_irq_boost boost = make_boost(boost_devices);
	boost.vectors[contended::vector / 64] &= ~(1ULL << contended::vector % 64);
	set_boost(irq, boost);
	for (unsigned i = 0; i < 20; i++)
		it.send();
	CHECK_EQ(get_boost(irq).asked, 0u, "another vector");
	/* Without a hog there is nothing to ask for. */
	set_boost(irq, make_boost(boost_devices));
	it.stop_hog();
	wait_until("the vCPU has the CPU for itself", [&] {
		uint64_t before = get_boost(irq).asked;

		for (unsigned i = 0; i < 20; i++)
			it.send();
		return get_boost(irq).asked == before;
	});
}

corbel_irq_boost long_boosts()
{
	corbel_irq_boost boost = make_boost(boost_devices);

	boost.slice_us = CORBEL_IRQ_BOOST_MAX_SLICE_US;
	boost.budget_us = 1000000;
	boost.period_ms = 1000;
	return boost;
}

void end_with_the_policy()
{
	contended it;
	int irq = it.irq.get();

	for (unsigned i = 0; i < amount(10, 200); i++) {
		set_boost(irq, long_boosts());
		it.await_boost();
		set_boost_off(irq);
		it.check_normal("set off");
	}
	corbel_irq_boost now = get_boost(irq);
	CHECK_EQ(now.restored, now.boosted, "restored");
}

void end_with_the_attachment()
{
	contended it;

	for (unsigned i = 0; i < amount(3, 30); i++) {
		set_boost(it.irq.get(), long_boosts());
		it.await_boost();
		it.irq.reset();
		it.attachment.reset();
		it.check_normal("detached");
		it.attachment = attach(it.device.get(), it.vm.fd());
		it.irq = open_irq(it.attachment.get());
	}
}

/* Whoever set it dies; the boosts of an attachment that others hold go on and end. */
void outlive_the_tool()
{
	contended it;
	int irq = it.irq.get();
	int ready[2];

	CHECK(pipe(ready) == 0, "pipe: {}", error_name(errno));
	pid_t child = fork();
	if (!child) {
		corbel_irq_boost boost = long_boosts();

		boost.size = sizeof(boost);
		char result = static_cast<char>(ioctl(irq, CORBEL_IRQ_BOOST, &boost) ? errno : 0);

		(void)!write(ready[1], &result, 1);
		pause();
		_exit(0);
	}
	char result = 0;
	CHECK_EQ(read(ready[0], &result, 1), 1, "what the child says: {}", error_name(errno));
	CHECK(!result, "setting the boost answers {}", error_name(result));
	it.await_boost();
	kill(child, SIGKILL);
	waitpid(child, nullptr, 0);
	close(ready[0]);
	close(ready[1]);
	wait_until("it is set back", [&] { return it.scheduler() == SCHED_OTHER; });
	set_boost_off(irq);
	it.check_normal("after the tool's death");
}

void leave_what_others_set()
{
	contended it;
	int irq = it.irq.get();
	sched_param priority = {};

	priority.sched_priority = 2;
	set_boost(irq, long_boosts());
	it.await_boost();
	CHECK(sched_setscheduler(it.thread, SCHED_RR, &priority) == 0, "SCHED_RR: {}",
	      error_name(errno));
	set_boost_off(irq);
	CHECK_EQ(it.scheduler(), SCHED_RR, "what somebody else has set");
	corbel_irq_boost now = get_boost(irq);
	CHECK_EQ(now.foreign, 1u, "foreign");
	CHECK_EQ(now.restored, now.boosted - 1, "restored");
	priority.sched_priority = 0;
	CHECK(sched_setscheduler(it.thread, SCHED_OTHER, &priority) == 0, "SCHED_OTHER: {}",
	      error_name(errno));
}

void refuse_idle_threads()
{
	contended it;
	int irq = it.irq.get();
	sched_param priority = {};

	CHECK(sched_setscheduler(it.thread, SCHED_IDLE, &priority) == 0, "SCHED_IDLE: {}",
	      error_name(errno));
	set_boost(irq, long_boosts());
	wait_until("a boost is refused", [&] {
		it.vm.send_msi(0, contended::vector);
		return get_boost(irq).refused > 0;
	});
	CHECK_EQ(get_boost(irq).boosted, 0u, "boosted");
	CHECK_EQ(it.scheduler(), SCHED_IDLE, "as the owner set it");
	set_boost_off(irq);
	CHECK(sched_setscheduler(it.thread, SCHED_OTHER, &priority) == 0, "SCHED_OTHER: {}",
	      error_name(errno));
}

/* Its threads end while boosts are under way, again and again. */
void end_with_the_vcpu()
{
	for (unsigned i = 0; i < amount(3, 50); i++) {
		contended it;

		set_boost(it.irq.get(), long_boosts());
		it.await_boost();
		it.vm.stop();
		await_no_boost(it.irq.get());
		CHECK_EQ(get_boost(it.irq.get()).foreign, 0u, "foreign");
	}
}

void boost_for_a_distributor()
{
	contended it;
	int irq = it.irq.get();
	distributor dist(irq, 4, 1);

	dist.map(1, 0, contended::vector);
	set_boost(irq, make_boost(CORBEL_IRQ_BOOST_DIST));
	wait_until("a boost for what is recorded", [&] {
		dist.raise(1);
		return get_boost(irq).boosted > 0;
	});
	wait_until("it is delivered", [&] { return it.vm.handled(0, contended::vector) > 0; });
	await_no_boost(irq);
	it.check_normal("afterwards");
}

void refuse_what_is_wrong()
{
	observed_vm one(1);
	int irq = one.irq.get();
	auto refused = [&](const char *what, auto change) {
		corbel_irq_boost boost = make_boost(boost_devices);

		change(boost);
		CHECK_EQ(request(irq, CORBEL_IRQ_BOOST, boost), -EINVAL, "{}", what);
	};

	refused("a source there is not", [](auto &it) { it.sources = 1U << 6; });
	refused("priority 0", [](auto &it) { it.priority = 0; });
	refused("the worker's priority", [](auto &it) { it.priority = 50; });
	refused("a short slice", [](auto &it) { it.slice_us = CORBEL_IRQ_BOOST_MIN_SLICE_US - 1; });
	refused("a long slice", [](auto &it) {
		it.slice_us = CORBEL_IRQ_BOOST_MAX_SLICE_US + 1;
		it.budget_us = it.slice_us;
	});
	refused("less than a slice", [](auto &it) { it.budget_us = it.slice_us - 1; });
	refused("more than all", [](auto &it) { it.budget_us = it.period_ms * 1000 + 1; });
	refused("a short period",
		[](auto &it) { it.period_ms = CORBEL_IRQ_BOOST_MIN_PERIOD_MS - 1; });
	refused("a long period",
		[](auto &it) { it.period_ms = CORBEL_IRQ_BOOST_MAX_PERIOD_MS + 1; });
	refused("padding", [](auto &it) { it.pad = 1; });
	refused("off, and yet something", [](auto &it) { it.sources = 0; });
	CHECK_EQ(get_boost(irq).sources, 0u, "nothing was put in force");
}

constexpr test_case cases[] = {
	{"a preempted vCPU is boosted and set back", boost_and_set_back},
	{"only what the policy counts", count_what_the_policy_counts},
	{"set off while boosted", end_with_the_policy},
	{"detached while boosted", end_with_the_attachment},
	{"the tool is killed while boosted", outlive_the_tool},
	{"somebody else's change is left alone", leave_what_others_set},
	{"SCHED_IDLE is never boosted", refuse_idle_threads},
	{"the vCPU ends while boosted", end_with_the_vcpu},
	{"boosted for a distributor", boost_for_a_distributor},
	{"wrong policies", refuse_what_is_wrong},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
