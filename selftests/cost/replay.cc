// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a recorded read of the counter costs, beside an exit to user space by a port; and what
 * others pay, whose vCPU has no recorder while another has. In instructions, where the time
 * stamp counter counts them (the count lane). Each figure is the least of many repetitions.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "instruction_clock.hh"
#include "module.hh"
#include "recorder.hh"
#include "tap.hh"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr unsigned batch = 500, repetitions = 30;

GUEST_CODE void loop_of_reads(guest_cpu *)
{
	for (;;) {
		for (unsigned i = 0; i < batch; i++)
			guest::read_tsc();
		guest::out(port_done, 0);
	}
}

/* Exits that KVM handles by itself. */
GUEST_CODE void loop_of_exits(guest_cpu *)
{
	for (;;) {
		for (unsigned i = 0; i < batch; i++)
			asm volatile("cpuid" : : "a"(0) : "rbx", "rcx", "rdx");
		guest::out(port_done, 0);
	}
}

GUEST_CODE void loop_of_ports(guest_cpu *)
{
	for (;;)
		guest::out(port_done, 0);
}

class meter {
public:
	double measure(unsigned operations, const std::function<void()> &prepare,
		       const std::function<void()> &body) const
	{
		double least = 1e18;

		for (unsigned i = 0; i < repetitions; i++) {
			prepare();
			const uint64_t begin = guest::read_tsc();
			body();
			least = std::min(least, static_cast<double>(guest::read_tsc() - begin) /
							ticks / operations);
		}
		return least;
	}

private:
	double ticks = ticks_of_an_instruction();
};

/* A VM without a recorder: its exits that stay in the kernel, its reads, its ports. */
struct plain_vm {
	explicit plain_vm(void (*entry)(guest_cpu *))
	{
		vm.at(0).set_entry(entry, vm.stack_top(0));
		run();
	}
	void run() { CHECK_EQ(vm.at(0).run_to_exit(), KVM_EXIT_IO, "exit"); }

	guest_vm vm{1, 0, irqchip::none};
};

double measure_plain(const meter &count, plain_vm &guest, unsigned operations)
{
	return count.measure(operations, [] {}, [&] { guest.run(); });
}

/* KVM turns its static keys off some time after a VM was made: until two agree. */
double settle(const meter &count, plain_vm &guest)
{
	double now = measure_plain(count, guest, batch);

	for (unsigned i = 0; i < 10; i++) {
		const double before = now;

		std::this_thread::sleep_for(std::chrono::seconds(3));
		now = measure_plain(count, guest, batch);
		if (i && std::abs(now - before) < 1)
			break;
	}
	return now;
}

double measure_reads(const meter &count, recorded_vm &guest, uint32_t mode)
{
	return count.measure(
		batch,
		[&] {
			guest.restart();
			guest.log.begin(mode);
		},
		[&] { guest.run_to_port(); });
}

void count_instructions()
{
	need_own_modules();
	ensure_kvm();
	CHECK(!module_loaded("corbel"),
	      "corbel is loaded already: there is nothing to compare with");
	const meter count;
	plain_vm other(loop_of_exits), others_reads(loop_of_reads), ports(loop_of_ports);
	const double base = settle(count, other);
	const double base_reads = measure_plain(count, others_reads, batch);
	const double base_port = measure_plain(count, ports, 1);

	ensure_corbel();
	const double loaded = measure_plain(count, other, batch);
	unique_fd device = connect_device();
	std::optional<recorded_vm> guest(std::in_place, device.get(), loop_of_reads);
	const double enrolled = measure_plain(count, other, batch);
	const double enrolled_reads = measure_plain(count, others_reads, batch);
	const double off = measure_reads(count, *guest, CORBEL_REPLAY_OFF);
	const double clock = measure_reads(count, *guest, CORBEL_REPLAY_CLOCK);
	const double recorded = measure_reads(count, *guest, CORBEL_REPLAY_RECORD);
	/* As it was recorded. */
	const double replayed = measure_reads(count, *guest, CORBEL_REPLAY_REPLAY);
	CHECK_EQ(guest->log.area().head, batch, "entries taken");
	const double port = measure_plain(count, ports, 1);
	guest.reset();
	const double closed = measure_plain(count, other, batch);
	device.reset();
	unload_corbel();
	const double again = measure_plain(count, other, batch);

	const struct {
		const char *name;
		double value;
	} rows[] = {
		{"RDTSC, vCPU not enrolled", base_reads},
		{"RDTSC, another one enrolled", enrolled_reads},
		{"RDTSC, enrolled, mode OFF", off},
		{"RDTSC from the clock", clock},
		{"RDTSC recorded", recorded},
		{"RDTSC replayed", replayed},
		{"port, to user space and back", base_port},
		{"port, another one enrolled", port},
		{"CPUID exit, no module", base},
		{"CPUID exit, modules loaded", loaded},
		{"CPUID exit, another one enrolled", enrolled},
		{"CPUID exit, recorder closed", closed},
		{"CPUID exit, no module, again", again},
	};
	for (const auto &row : rows)
		comment("{:<34} {:>9.1f}", row.name, row.value);
	comment("recorded / port {:.2f}, replayed / port {:.2f}", recorded / base_port,
		replayed / base_port);
	comment("added per exit and entry of others {:.1f} while one is enrolled, {:.1f} loaded, "
		"{:.1f} after",
		enrolled - base, loaded - base, closed - base);
	for (double value : {clock, recorded, replayed, base_port, base})
		CHECK(value > 500, "{:.1f} instructions are too few to be true", value);
	CHECK(base_reads < 100 && enrolled_reads < 100 && off < 100,
	      "reads that are left alone leave the guest: {:.1f}, {:.1f}, {:.1f}", base_reads,
	      enrolled_reads, off);
	CHECK(again > base * 0.98 && again < base * 1.02, "{:.1f} before and {:.1f} after it all",
	      base, again);
}

constexpr test_case cases[] = {
	{"instructions per read of the counter", count_instructions},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
