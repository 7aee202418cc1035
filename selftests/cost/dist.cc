// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From raising to the first instruction of the guest's handler, in instructions: by a
 * distributor beside KVM's irqfd. The vCPU is halted, so on one CPU it is the raise
 * that wakes it. Runs where the time stamp counter counts instructions.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "distributor.hh"
#include "module.hh"
#include "wait.hh"

#include <algorithm>
#include <functional>

using namespace corbel::selftest;

namespace {

constexpr unsigned vector = 0xc0, repetitions = 300;

struct figure {
	uint64_t least, median;
};

bool is_halted(vcpu &cpu)
{
	std::string stat = read_file(fmt::format("/proc/self/task/{}/syscall", cpu.thread_id()));

	/* In KVM_RUN and blocked: the file names the system call only of a blocked task. */
	return stat.starts_with(fmt::format("{} ", 16));
}

figure measure(guest_vm &vm, const std::function<void()> &raise)
{
	std::vector<uint64_t> ticks;

	for (unsigned i = 0; i < repetitions; i++) {
		uint64_t handled = vm.handled(0, vector);

		vm.wait("the vCPU halts", [&] { return is_halted(vm.at(0)); });
		uint64_t begin = guest::read_tsc();
		raise();
		vm.wait("it is handled", [&] { return vm.handled(0, vector) == handled + 1; });
		ticks.push_back(vm.memory(0).last_tsc - begin);
	}
	std::ranges::sort(ticks);
	return {ticks.front(), ticks[repetitions / 2]};
}

void print(const char *name, const figure &of, const figure &base)
{
	comment("{:<28} least {:>7}, median {:>7}; beside irqfd without us {:.3f}, {:.3f}", name,
		of.least, of.median, static_cast<double>(of.least) / base.least,
		static_cast<double>(of.median) / base.median);
}

void compare_with_irqfd()
{
	need_own_modules();
	ensure_kvm();
	if (module_loaded("corbel"))
		unload_corbel();
	guest_vm vm(1);
	unique_fd source = make_eventfd();

	vm.add_irqfd(0, vector, vector);
	vm.start(guest_mode::halt);
	auto irqfd = [&] { vm.send_irqfd(0, vector); };
	/* KVM learns how long to poll before it blocks; that is over by then. */
	measure(vm, irqfd);
	figure stock = measure(vm, irqfd);
	ensure_corbel();
	figure observed, beside, by_eventfd, by_ioctl;
	{
		unique_fd device = connect_device();
		unique_fd attachment = attach(device.get(), vm.fd());
		unique_fd irq = open_irq(attachment.get());
		observed = measure(vm, irqfd);
		distributor dist(irq.get(), 64, 1);

		dist.map(1, 0, vector);
		CHECK_EQ(dist.bind(1, source.get()), 0, "bind");
		beside = measure(vm, irqfd);
		by_eventfd = measure(vm, [&] { signal_eventfd(source.get()); });
		by_ioctl = measure(vm, [&] { dist.raise(1); });
		CHECK_EQ(dist.counts(1).delivered, 2u * repetitions, "delivered at once");
	}
	unload_corbel();
	figure again = measure(vm, irqfd);
	/* The first figures of a boot have things in them that are done once. */
	print("irqfd, no module, at first", stock, again);
	print("irqfd, no module", again, again);
	print("irqfd, observed", observed, again);
	print("irqfd, with a distributor", beside, again);
	print("distributor by eventfd", by_eventfd, again);
	print("distributor by ioctl", by_ioctl, again);
	comment("goal: distributor beside irqfd <= 1.0; beside irqfd with a distributor {:.3f} by "
		"eventfd, {:.3f} by ioctl",
		static_cast<double>(by_eventfd.least) / beside.least,
		static_cast<double>(by_ioctl.least) / beside.least);
	for (const figure &of : {stock, again, observed, beside, by_eventfd, by_ioctl})
		CHECK(of.least > 100 && of.least < 1000000, "{} instructions", of.least);
}

constexpr test_case cases[] = {
	{"raise to handler, beside irqfd", compare_with_irqfd},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
