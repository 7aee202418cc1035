// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An unmodified QEMU with a stock Debian kernel in it, busy with virtio-blk and
 * virtio-net (qemu-tests/guest), observed from outside: the same ground truth as
 * for our own guest, and a guest that notices nothing, also with all in force that
 * has a say in its interrupts.
 */
#include "contended.hh"
#include "distributor.hh"
#include "process.hh"
#include "stock_guest.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

using namespace corbel::selftest;

namespace {

/* One boot does for all cases. */
std::optional<stock_guest> booted;

stock_guest &the_guest()
{
	if (!booted)
		booted.emplace();
	return *booted;
}

__u64 count_accepted(int irq)
{
	return sum_paths(irq_vcpu(irq, 0).accepted) + sum_paths(irq_vcpu(irq, 1).accepted);
}

/* The timer of a stopped guest may still expire, once. */
void check_ledger_at_rest(int irq)
{
	__u64 before;

	do {
		before = count_accepted(irq);
		try {
			check_ledger(irq, 2);
			return;
		} catch (const failure &) {
			if (count_accepted(irq) == before)
				throw;
		}
	} while (true);
}

/* With the whole process stopped, nothing but the APIC timer is underway. */
void check_while_stopped(stock_guest &guest, int irq)
{
	CHECK(::kill(guest.pid, SIGSTOP) == 0, "SIGSTOP: {}", error_name(errno));
	wait_until("both vCPUs are outside KVM", [&] {
		return irq_vcpu(irq, 0).residency == CORBEL_RES_USER &&
		       irq_vcpu(irq, 1).residency == CORBEL_RES_USER;
	});
	check_record_is_irr(irq, 2);
	check_ledger_at_rest(irq);
	CHECK(::kill(guest.pid, SIGCONT) == 0, "SIGCONT: {}", error_name(errno));
}

void check_tool(const stock_guest &guest)
{
	std::string tool = environment("CORBEL_BIN") + "/corbel";

	if (!file_exists(tool)) {
		comment("{} is not built, so it is not tried", tool);
		return;
	}
	auto shown = nlohmann::json::parse(
		run_command(fmt::format("{} irq show --json {}", tool, guest.pid)), nullptr, false);
	CHECK(!shown.is_discarded() && !shown.empty(), "corbel irq show --json prints no JSON");
}

void observe_stock_guest()
{
	ensure_corbel();
	stock_guest &guest = the_guest();
	unique_fd device = connect_device();
	unique_fd attachment = attach(device.get(), guest.take_vm_fd().get());
	unique_fd irq = open_irq(attachment.get());
	const __u64 wanted = amount(3000, 60000);
	unsigned rounds = 0;

	CHECK_EQ(vm_info(attachment.get()).nr_vcpus, 2u, "vCPUs");
	irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
	for (; count_accepted(irq.get()) < wanted || rounds < 3; rounds++) {
		guest.wait_round();
		check_while_stopped(guest, irq.get());
	}
	check_tool(guest);

	corbel_irq_check check = irq_check(irq.get());
	corbel_irq_vcpu sum = irq_vcpu(irq.get(), 0), other = irq_vcpu(irq.get(), 1);
	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++) {
		sum.accepted[path] += other.accepted[path];
		CHECK(sum.accepted[path] > 0, "no interrupt by path {}", path);
	}
	comment("{} accepted in {} rounds of traffic (device {}, IPI {}, local {}); {} VM entries compared, {} with a "
		"non-empty IRR; missing {}, extra {}, status wrong {}",
		count_accepted(irq.get()), rounds, sum.accepted[CORBEL_IRQ_PATH_DEVICE],
		sum.accepted[CORBEL_IRQ_PATH_IPI], sum.accepted[CORBEL_IRQ_PATH_LOCAL],
		check.entries, check.nonempty, check.missing, check.extra, check.status_wrong);
	CHECK_EQ(check.missing, 0u, "entries at which the IRR held more than the record");
	CHECK_EQ(check.status_wrong, 0u,
		 "entries at which the status bit was 0 and the IRR not empty");
	CHECK(check.nonempty > 100, "the comparison was vacuous: {} non-empty entries",
	      check.nonempty);

	irq.reset();
	attachment.reset();
	CHECK_EQ(query(device.get()).nr_vms, 0u, "detached");
	guest.wait_round();
}

/* Linux's vector for "look whether to reschedule": one more of it does no harm. */
constexpr unsigned reschedule_vector = 0xfd;
constexpr unsigned ids = 64;

/* All that has a say in where an interrupt goes or when it is delivered. */
void switch_all_on(int irq, unsigned policy)
{
	set_irq_policy(irq, policy);
	set_boost(irq, make_boost(CORBEL_IRQ_BOOST_SOURCES));
}

/* Traffic goes on and is checked by the guest, while a distributor adds to it. */
void bear_all_policies()
{
	ensure_corbel();
	stock_guest &guest = the_guest();
	unique_fd device = connect_device();
	unique_fd attachment = attach(device.get(), guest.take_vm_fd().get());
	unique_fd irq = open_irq(attachment.get());
	distributor dist(irq.get(), ids, 2);
	const unsigned rounds = amount(3, 60);
	std::atomic<bool> stop = false;
	__u64 raised = 0;

	irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
	for (unsigned id = 0; id < ids; id++)
		dist.map(id, id % 2, reschedule_vector, id);
	for (unsigned round = 0; round < rounds; round++) {
		switch_all_on(irq.get(), round % 3 == 2 ? CORBEL_IRQ_POLICY_LEAST_PENDING
							: CORBEL_IRQ_POLICY_RESIDENT_FIRST);
		stop = false;
		std::thread raiser([&] {
			for (; !stop; raised++) {
				dist.raise(raised % ids);
				std::this_thread::sleep_for(std::chrono::milliseconds(1));
			}
		});
		try {
			guest.wait_round();
		} catch (...) {
			stop = true;
			raiser.join();
			throw;
		}
		stop = true;
		raiser.join();
		for (unsigned i = 0; i < 2; i++)
			wait_until("the distributor gives out what is pending",
				   [&] { return !dist.status(i); });
		check_while_stopped(guest, irq.get());
		corbel_dist_counts total = dist.total();
		CHECK_EQ(total.raised, raised, "raised");
		CHECK_EQ(total.refused + total.withdrawn + total.pending, 0u, "dropped or pending");
		guest.check_console();
	}

	corbel_irq_check check = irq_check(irq.get());
	corbel_irq_policy policy = irq_policy(irq.get());
	/* The guest's own interrupts go on, and would ask for more. */
	set_boost_off(irq.get());
	await_no_boost(irq.get());
	corbel_irq_boost boost = get_boost(irq.get());
	corbel_dist_counts total = dist.total();
	comment("{} accepted in {} rounds of traffic, {} of them the distributor's ({} raised, {} "
		"coalesced); {} choices; missing {}, status wrong {}",
		count_accepted(irq.get()), rounds, total.delivered, total.raised, total.coalesced,
		policy.offered, check.missing, check.status_wrong);
	comment("boosts: {} asked for, {} made, {} needless, {} over budget", boost.asked,
		boost.boosted, boost.needless, boost.over_budget);
	CHECK_EQ(boost.restored, boost.boosted, "threads set back");
	CHECK(total.delivered > rounds, "the distributor was hardly used: {}", total.delivered);
	CHECK_EQ(check.missing, 0u, "entries at which the IRR held more than the record");
	CHECK_EQ(check.status_wrong, 0u,
		 "entries at which the status bit was 0 and the IRR not empty");
}

constexpr test_case cases[] = {
	{"a stock guest is observed and notices nothing", observe_stock_guest},
	{"under traffic with every policy on", bear_all_policies},
};

} // namespace

int main(int argc, char **argv)
{
	int result = run_cases(argc, argv, cases);

	booted.reset();
	return result;
}
