// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The status page: one 8-byte load tells which of 64 vCPUs have anything
 * pending. 70 vCPUs that do not run, so two lines of the page are in use and
 * nothing takes an interrupt away behind the test's back.
 */
#include "observed_vm.hh"
#include "process.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <optional>
#include <random>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

constexpr unsigned vcpus = 70;

/* What the page should show, by line. */
struct expected {
	__u64 lines[2] = {};

	void set(unsigned vcpu, bool pending)
	{
		__u64 bit = 1ull << vcpu % 64;

		lines[vcpu / 64] = (lines[vcpu / 64] & ~bit) | (pending ? bit : 0);
	}
};

void check_lines(const status_page &page, const expected &want)
{
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(__u64{page.line(i)->pending}, want.lines[i],
			 "line {}: pending vCPUs, by one load", i);
		CHECK_EQ(__u64{page.line(i)->sampled}, 0u, "line {}: sampled vCPUs", i);
	}
}

void find_pending()
{
	observed_vm observed(vcpus);
	guest_vm &vm = observed.vm;
	status_page page(observed.irq.get());
	std::mt19937_64 random(1);
	expected want;

	CHECK_EQ(irq_info(observed.irq.get()).nr_lines, 2u, "lines for {} vCPUs", vcpus);
	CHECK_EQ(__u64{page.line(0)->present}, ~0ull, "line 0: vCPUs there are");
	CHECK_EQ(__u64{page.line(1)->present}, (1ull << (vcpus - 64)) - 1,
		 "line 1: vCPUs there are");
	check_lines(page, want);

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < vcpus; i++) {
			if (random() % 4)
				continue;
			CHECK_EQ(vm.send_msi(i, 0x20 + random() % 0xe0), 1, "MSI to vCPU {}", i);
			want.set(i, true);
			check_lines(page, want);
		}
		for (unsigned i = 0; i < vcpus; i++) {
			if (random() % 3 || !(want.lines[i / 64] >> i % 64 & 1))
				continue;
			vm.memory(i).mode = guest_mode::leave;
			CHECK_EQ(vm.at(i).run_here(), port_leave,
				 "vCPU {} runs until it has handled all", i);
			want.set(i, false);
			check_lines(page, want);
		}
	}
	check_record_is_irr(observed.irq.get(), vcpus);
}

/* A line is a cache line and only that; the page has no byte besides the lines. */
void check_layout()
{
	static_assert(sizeof(corbel_irq_line) == 64);
	observed_vm observed(1);
	status_page page(observed.irq.get());
	auto *bytes = static_cast<const unsigned char *>(page.address());

	CHECK_EQ(reinterpret_cast<uintptr_t>(page.address()) % 64, 0u, "alignment");
	CHECK_EQ(__u64{page.line(0)->present}, 1u, "one vCPU");
	for (unsigned i = 24; i < 4096; i++)
		CHECK_EQ(bytes[i], 0, "byte {} of the page", i);
}

void refuse_writing()
{
	observed_vm observed(1);
	status_page page(observed.irq.get());

	child_process writer(
		[&](child_process &) { *static_cast<volatile __u64 *>(page.address()) = ~0ull; });
	int status = writer.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	      "a write to the page ended with status {:#x}", status);
	CHECK_EQ(__u64{page.line(0)->pending}, 0u, "after the write");
}

/* The mapping outlives the descriptors and the VM, and so does what it says. */
void outlive_vm()
{
	ensure_corbel();
	unique_fd device = connect_device();
	std::optional<guest_vm> vm(std::in_place, 3);
	unique_fd attachment = attach(device.get(), vm->fd());
	unique_fd irq = open_irq(attachment.get());
	std::optional<status_page> page(std::in_place, irq.get());

	CHECK_EQ(vm->send_msi(1, 0x44), 1, "MSI");
	CHECK_EQ(__u64{page->line(0)->pending}, 2u, "before the end");
	vm.reset();
	wait_until("the observer sees the end", [&] { return irq_info(irq.get()).ended; });
	CHECK_EQ(__u64{page->line(0)->reserved[0]}, 0u, "after the end");
	irq.reset();
	attachment.reset();
	CHECK_EQ(__u64{page->line(0)->reserved[0]}, 0u, "after all descriptors were closed");
	comment("pending after the VM's end: {:#x}", __u64{page->line(0)->pending});
	page.reset();
	wait_until("the attachment is gone", [&] { return query(device.get()).nr_vms == 0; });
}

/* Running vCPUs: the status is right again each time all is quiet. */
void follow_running()
{
	observed_vm observed(4);
	guest_vm &vm = observed.vm;
	status_page page(observed.irq.get());

	vm.start();
	for (unsigned i = 1; i < 4; i++)
		vm.set_mode(i, guest_mode::halt);
	interrupt_load load(vm);
	for (unsigned round = 0; round < 5; round++) {
		load.start(1000);
		load.finish();
		wait_idle(vm);
		check_record_is_irr(observed.irq.get(), 4);
		CHECK_EQ(__u64{page.line(0)->pending}, 0u, "idle");
	}
	vm.set_mode(2, guest_mode::masked);
	CHECK_EQ(vm.send_msi(2, 0x30), 1, "MSI");
	CHECK_EQ(__u64{page.line(0)->pending}, 4u, "one of four has its interrupts off");
}

constexpr test_case cases[] = {
	{"the pending ones of 70 vCPUs", find_pending},
	{"layout", check_layout},
	{"writing is refused", refuse_writing},
	{"the page outlives the VM", outlive_vm},
	{"running vCPUs", follow_running},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
