// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What observing costs, in instructions, beside the unhooked kernel in the same
 * boot.
 *
 * Runs where the time stamp counter counts instructions (the count lane). One
 * thread does all: it sends interrupts to a vCPU that is not running, then runs
 * the vCPU until it has taken them all, so nothing depends on a scheduler. Each
 * figure is the least of many repetitions: what is above it is the timer tick.
 *
 * Goals are printed beside the figures and do not decide; a test fails when a
 * figure makes no sense, so that it cannot measure something else unnoticed.
 */
#include "instruction_clock.hh"
#include "observed_vm.hh"
#include "ring_reader.hh"
#include "tap.hh"

#include <cmath>
#include <functional>
#include <optional>

using namespace corbel::selftest;

namespace {

constexpr unsigned first = interrupt_load::first_irqfd, last = interrupt_load::last_irqfd;
constexpr unsigned batch = last - first + 1;
constexpr unsigned exits = 500;
constexpr unsigned repetitions = 30;

GUEST_CODE void loop_of_exits(guest_cpu *)
{
	for (;;) {
		for (unsigned i = 0; i < exits; i++)
			guest::read_msr(msr::x2apic_esr);
		guest::out(port_done, 0);
	}
}

/* Instructions for one operation of each kind. */
struct figures {
	double irqfd, msi, coalesced, take, exit;
};

class subject {
public:
	explicit subject(double ticks) : ticks(ticks)
	{
		vm.add_irqfd(0, first, last);
		vm.memory(0).mode = guest_mode::leave;
		vm.at(0).run_here(); /* until it has its interrupts on */
		vm.at(1).set_entry(loop_of_exits, vm.stack_top(1));
	}

	figures measure()
	{
		figures least = {1e18, 1e18, 1e18, 1e18, 1e18};

		for (unsigned i = 0; i < repetitions; i++) {
			keep(least.irqfd, batch, [&] {
				for (unsigned vector = first; vector <= last; vector++)
					vm.send_irqfd(0, vector);
			});
			keep(least.take, batch, [&] { vm.at(0).run_here(); });
			keep(least.msi, batch, [&] {
				for (unsigned vector = first; vector <= last; vector++)
					vm.send_msi(0, vector);
			});
			vm.at(0).run_here();
			vm.send_msi(0, first);
			keep(least.coalesced, batch, [&] {
				for (unsigned n = 0; n < batch; n++)
					vm.send_msi(0, first);
			});
			vm.at(0).run_here();
			keep(least.exit, exits, [&] { vm.at(1).run_here(); });
			after_each();
		}
		return least;
	}

	guest_vm vm{2};
	std::function<void()> after_each = [] {};

private:
	void keep(double &least, unsigned operations, const std::function<void()> &body)
	{
		uint64_t begin = guest::read_tsc();

		body();
		least = std::min(least, static_cast<double>(guest::read_tsc() - begin) / ticks /
						operations);
	}

	double ticks;
};

struct row {
	const char *name;
	figures value;
};

void print_table(const std::vector<row> &rows)
{
	const figures &base = rows.front().value;
	std::string json;

	comment("{:<34} {:>9} {:>9} {:>9} {:>9} {:>9}", "instructions", "irqfd", "MSI ioctl",
		"coalesced", "take one", "VM exit");
	for (const row &one : rows) {
		const figures &v = one.value;

		comment("{:<34} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}", one.name, v.irqfd,
			v.msi, v.coalesced, v.take, v.exit);
		if (&one != &rows.front())
			comment("{:<34} {:>+9.1f} {:>+9.1f} {:>+9.1f} {:>+9.1f} {:>+9.1f}",
				"  added", v.irqfd - base.irqfd, v.msi - base.msi,
				v.coalesced - base.coalesced, v.take - base.take,
				v.exit - base.exit);
		json += fmt::format(
			"{}\"{}\":{{\"irqfd\":{:.1f},\"msi\":{:.1f},\"coalesced\":{:.1f},\"take\":{:.1f},"
			"\"exit\":{:.1f}}}",
			json.empty() ? "" : ",", one.name, v.irqfd, v.msi, v.coalesced, v.take,
			v.exit);
	}
	comment("JSON {{{}}}", json);
}

void print_goal(const char *what, double value, double goal)
{
	comment("{}: {:.1f} instructions, goal <= {:.0f}: {}", what, value, goal,
		value <= goal + 0.5 ? "met" : "MISSED");
}

void check_sense(const std::vector<row> &rows)
{
	const figures &base = rows.front().value, &again = rows.back().value;
	struct {
		const char *name;
		double first, last;
	} const pairs[] = {
		{"irqfd", base.irqfd, again.irqfd},
		{"MSI", base.msi, again.msi},
		{"take", base.take, again.take},
		{"exit", base.exit, again.exit},
	};

	for (const row &one : rows)
		CHECK(one.value.irqfd > 100 && one.value.msi > 100 && one.value.take > 500 &&
			      one.value.exit > 500,
		      "{}: too few instructions to be true", one.name);
	for (const auto &pair : pairs)
		CHECK(pair.last > pair.first * 0.98 && pair.last < pair.first * 1.02,
		      "{}: {:.1f} before and {:.1f} after everything", pair.name, pair.first,
		      pair.last);
}

/*
 * KVM patches itself some time after a VM was made (its static keys are turned
 * off late), so the base is what two measurements agree on.
 */
figures settle_and_measure(subject &subject)
{
	figures now = subject.measure();

	for (unsigned i = 0; i < 10; i++) {
		figures before = now;

		std::this_thread::sleep_for(std::chrono::seconds(3));
		now = subject.measure();
		if (i && std::abs(now.take - before.take) < 1 &&
		    std::abs(now.exit - before.exit) < 1)
			break;
	}
	return now;
}

void count_instructions()
{
	need_own_modules();
	ensure_kvm();
	CHECK(!module_loaded("corbel"),
	      "corbel is loaded already: there is nothing to compare with");
	double ticks = ticks_of_an_instruction();
	subject subject(ticks);
	guest_vm other(1);
	std::vector<row> rows;
	double entries_per_interrupt;

	comment("{:.3f} ticks an instruction, {} vectors in a batch", ticks, batch);
	rows.push_back({"no module", settle_and_measure(subject)});
	ensure_corbel();
	unique_fd device = connect_device();
	for (const corbel_hook_info &hook : list_hooks(device.get()))
		CHECK(hook.state != CORBEL_HOOK_MISSING && hook.state != CORBEL_HOOK_FAILED,
		      "hook {}: {}", hook.name, hook.detail);
	rows.push_back({"loaded, nothing attached", subject.measure()});
	{
		unique_fd attachment = attach(device.get(), other.fd());
		unique_fd irq = open_irq(attachment.get());
		rows.push_back({"another VM observed", subject.measure()});
	}
	unique_fd attachment = attach(device.get(), subject.vm.fd());
	rows.push_back({"attached, not observed", subject.measure()});
	unique_fd irq = open_irq(attachment.get());
	__u64 accepted = sum_paths(irq_vcpu(irq.get(), 0).accepted);
	rows.push_back({"observed", subject.measure()});
	accepted = sum_paths(irq_vcpu(irq.get(), 0).accepted) - accepted;
	CHECK_EQ(accepted, repetitions * (3ull * batch + 1),
		 "the observer saw another number of interrupts");
	{
		ring_reader ring(irq.get(), 12,
				 event_bit(CORBEL_EVENT_ACCEPT) | event_bit(CORBEL_EVENT_INJECT));
		subject.after_each = [&] {
			while (ring.next())
				;
		};
		rows.push_back({"observed, with a ring", subject.measure()});
		CHECK_EQ(ring.lost(), 0u, "the ring was too small");
		subject.after_each = [] {};
	}
	irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
	rows.push_back({"observed and checked", subject.measure()});
	for (unsigned vector = first; vector <= last; vector++)
		subject.vm.send_irqfd(0, vector);
	__u64 entries = irq_check(irq.get()).entries;
	subject.vm.at(0).run_here();
	entries_per_interrupt = static_cast<double>(irq_check(irq.get()).entries - entries) / batch;
	CHECK_EQ(irq_check(irq.get()).missing, 0u, "checked");
	irq.reset();
	attachment.reset();
	device.reset();
	rows.push_back({"loaded, detached", subject.measure()});
	unload_corbel();
	rows.push_back({"no module, again", subject.measure()});

	print_table(rows);
	const figures &base = rows[0].value, &other_vm = rows[2].value, &observed = rows[4].value;
	comment("VM entries for one interrupt: {:.2f}", entries_per_interrupt);
	print_goal("added per accepted interrupt in all (irqfd + take)",
		   observed.irqfd - base.irqfd + observed.take - base.take, 150);
	print_goal("added per VM entry and exit", observed.exit - base.exit, 25);
	print_goal("added per interrupt of a VM that is not attached",
		   other_vm.irqfd - base.irqfd + other_vm.take - base.take, 0);
	print_goal("added per VM entry of a VM that is not attached", other_vm.exit - base.exit, 0);
	check_sense(rows);
}

/* Who of 64 has anything pending: the status page against the IRR of each. */
void search_both_ways(double ticks)
{
	observed_vm observed(64);
	status_page page(observed.irq.get());
	constexpr unsigned chosen[] = {3, 17, 40, 63};
	uint64_t by_irr = 0, by_status = 0;

	for (unsigned index : chosen)
		CHECK_EQ(observed.vm.send_msi(index, 0x55), 1, "MSI");
	uint64_t begin = guest::read_tsc();
	for (unsigned i = 0; i < 1000; i++)
		by_status = page.line(0)->pending;
	double status_cost = static_cast<double>(guest::read_tsc() - begin) / ticks / 1000;

	begin = guest::read_tsc();
	for (unsigned i = 0; i < 64; i++) {
		kvm_lapic_state state = observed.vm.at(i).lapic();

		for (unsigned word = 0; word < 8; word++) {
			uint32_t value;
			__builtin_memcpy(&value, state.regs + lapic_irr + 16 * word, sizeof(value));
			by_irr |= static_cast<uint64_t>(value != 0) << i;
		}
	}
	double irr_cost = static_cast<double>(guest::read_tsc() - begin) / ticks;
	CHECK_EQ(by_status, by_irr, "status page and IRRs");
	comment("pending of 64 vCPUs: {} bytes of the status page against {} bytes of 64 IRRs; from user space {:.1f} "
		"instructions against {:.0f} with KVM_GET_LAPIC",
		sizeof(by_status), 64 * 8 * sizeof(uint32_t), status_cost, irr_cost);
}

void compare_search()
{
	need_own_modules();
	search_both_ways(ticks_of_an_instruction());
	unload_corbel();
}

constexpr test_case cases[] = {
	{"instructions per interrupt and VM entry", count_instructions},
	{"bytes to find the pending of 64 vCPUs", compare_search},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
