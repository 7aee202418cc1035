// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unloading: refused while descriptors are open, possible under a live VM in the
 * middle of its interrupts, and complete: nothing of ours is left in the kernel.
 */
#include "kvm_state.hh"
#include "observed_vm.hh"
#include "process.hh"
#include "tap.hh"
#include "wait.hh"

#include <optional>

using namespace corbel::selftest;

namespace {

void refuse_while_open()
{
	need_own_modules();
	ensure_corbel();
	std::optional<guest_vm> vm(std::in_place, 1);
	unique_fd device = connect_device();

	CHECK_EQ(unload_module("corbel"), -EWOULDBLOCK, "corbel_irq needs it");
	unique_fd attachment = attach(device.get(), vm->fd());
	unique_fd irq = open_irq(attachment.get());
	CHECK_EQ(unload_module("corbel_irq"), -EWOULDBLOCK, "an IRQ fd is open");
	CHECK_EQ(irq_info(irq.get()).ended, 0u, "the observer after a refused unload");
	irq.reset();
	attachment.reset();
	CHECK_EQ(unload_module("corbel_irq"), 0, "only the device is open");
	CHECK_EQ(unload_module("corbel_postcopy"), 0, "only the device is open");
	CHECK_EQ(unload_module("corbel_replay"), 0, "only the device is open");
	CHECK_EQ(unload_module("corbel"), -EWOULDBLOCK, "the device is open");
	device.reset();
	CHECK_EQ(unload_module("corbel"), 0, "nothing is open");
}

/* Hooks, addresses, device node, slab caches. */
void check_nothing_left()
{
	CHECK(read_file("/proc/modules").find("corbel") == std::string::npos,
	      "a module is still there");
	CHECK(!file_exists("/dev/corbel"), "/dev/corbel is still there");
	CHECK(read_file("/proc/kallsyms").find("[corbel") == std::string::npos,
	      "symbols are still there");
	CHECK(read_file("/proc/slabinfo").find("\ncorbel") == std::string::npos,
	      "a slab cache is still there");

	std::string tracing = "/sys/kernel/tracing/";
	if (!file_exists(tracing + "enabled_functions"))
		tracing = "/sys/kernel/debug/tracing/";
	std::string hooked = read_file(tracing + "enabled_functions");
	CHECK(hooked.find("corbel") == std::string::npos, "functions are still hooked: {}", hooked);
}

void check_hooks_idle(int device)
{
	for (const corbel_hook_info &hook : list_hooks(device)) {
		bool only_known =
			hook.kind == CORBEL_HOOK_OFFSET || hook.kind == CORBEL_HOOK_SYMBOL;

		CHECK(hook.state != CORBEL_HOOK_FAILED, "hook {}: {}", hook.name, hook.detail);
		CHECK(only_known || hook.state != CORBEL_HOOK_ACTIVE, "hook {} is installed",
		      hook.name);
		CHECK_EQ(hook.users, 0u, "hook {}", hook.name);
	}
}

void release_hooks()
{
	ensure_corbel();
	unique_fd device = connect_device();
	unsigned active = 0;

	check_hooks_idle(device.get());
	{
		observed_vm observed(1);

		for (const corbel_hook_info &hook : list_hooks(device.get())) {
			active += hook.state == CORBEL_HOOK_ACTIVE;
			comment("hook {}: kind {} state {} users {} value {} ({})", hook.name,
				hook.kind, hook.state, hook.users, hook.value, hook.detail);
		}
		CHECK(active >= 2, "an observed VM needs hooks, {} are active", active);
	}
	wait_until("all hooks are released", [&] {
		try {
			check_hooks_idle(device.get());
			return true;
		} catch (const failure &) {
			return false;
		}
	});
	check_hooks_idle(device.get());
}

/* corbel_irq goes and comes while corbel stays and a VM is attached. */
void reload_observer()
{
	need_own_modules();
	ensure_corbel();
	vm_process process(2);
	unique_fd device = connect_device();
	unique_fd attachment = attach(device.get(), process.vm_fd().get());
	corbel_vm_irq argument = {};

	open_irq(attachment.get());
	CHECK(query(device.get()).features & CORBEL_FEATURE_IRQ, "features with corbel_irq");
	CHECK_EQ(unload_module("corbel_irq"), 0, "the observer is enabled, but nobody has it open");
	CHECK(!(query(device.get()).features & CORBEL_FEATURE_IRQ), "features without corbel_irq");
	CHECK_EQ(vm_info(attachment.get()).features, 0u, "the VM's features without corbel_irq");
	CHECK_EQ(request(attachment.get(), CORBEL_VM_IRQ, argument), -EOPNOTSUPP,
		 "without corbel_irq");
	CHECK_EQ(load_module("corbel_irq"), 0, "loading it again");
	unique_fd irq = open_irq(attachment.get());
	wait_until("interrupts are observed",
		   [&] { return sum_paths(irq_vcpu(irq.get(), 0).accepted) > 100; });
}

/* The hard one: hooks are removed while every vCPU runs through them. */
void unload_under_load()
{
	need_own_modules();
	ensure_kvm();
	kvm_state before = read_kvm_state();
	std::optional<guest_vm> vm(std::in_place, 2);
	vm->start();
	vm->set_mode(1, guest_mode::halt);
	std::optional<interrupt_load> load(std::in_place, *vm);
	load->start();

	for (unsigned round = 0; round < 3; round++) {
		ensure_corbel();
		{
			unique_fd device = connect_device();
			unique_fd attachment = attach(device.get(), vm->fd());
			unique_fd irq = open_irq(attachment.get());
			irq_check(irq.get(), CORBEL_IRQ_CHECK_ON);
			wait_until("interrupts are observed", [&] {
				return sum_paths(irq_vcpu(irq.get(), 1).accepted) > 200;
			});
			CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
		}
		unload_corbel();
		check_nothing_left();
		uint64_t handled = vm->handled_total();
		vm->wait("the guest goes on", [&] { return vm->handled_total() > handled + 100; });
	}
	load->stop();
	wait_idle(*vm);
	load.reset();
	vm.reset();
	wait_kvm_state(before);
}

void unload_with_pinned_idle_vm()
{
	need_own_modules();
	kvm_state before;
	{
		ensure_corbel();
		before = read_kvm_state();
		guest_vm vm(1);
		{
			unique_fd device = connect_device();
			unique_fd attachment = attach(device.get(), vm.fd());
			CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
		}
		unload_corbel();
		check_nothing_left();
	}
	wait_kvm_state(before);
}

constexpr test_case cases[] = {
	{"refused while descriptors are open", refuse_while_open},
	{"hooks are released with the last user", release_hooks},
	{"the observer goes and comes alone", reload_observer},
	{"under interrupt load, three times", unload_under_load},
	{"with a pinned VM that does nothing", unload_with_pinned_idle_vm},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
