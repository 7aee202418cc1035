// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Without this hook or that one: what depends on it says so and does less, and
 * nothing breaks. The hooks are switched off by the module's own parameter.
 */
#include "kvm_state.hh"
#include "distributor.hh"
#include "recorder.hh"
#include "process.hh"
#include "tap.hh"
#include "wait.hh"

using namespace corbel::selftest;

namespace {

void load_without(const std::string &hooks)
{
	need_own_modules();
	ensure_kvm();
	if (module_loaded("corbel"))
		unload_corbel();
	CHECK_EQ(load_module("corbel", "without=" + hooks), 0, "corbel.ko without {}", hooks);
	CHECK_EQ(load_module("corbel_irq"), 0, "corbel_irq.ko");

	unique_fd device = connect_device();
	for (const corbel_hook_info &hook : list_hooks(device.get())) {
		if (hooks.find(hook.name) != std::string::npos)
			CHECK_EQ(hook.state, CORBEL_HOOK_MISSING, "{}: {}", hook.name, hook.detail);
	}
}

/* Pending for a vCPU that does not run: what is read must be the IRR all the same. */
void sample(const std::string &hook)
{
	load_without(hook);
	observed_vm observed(2);
	status_page page(observed.irq.get());

	CHECK_EQ(observed.read(0).exactness, CORBEL_IRQ_SAMPLED, "exactness");
	CHECK_EQ(page.line(0)->sampled, 3u, "sampled bits");
	observed.vm.send_msi(1, 0x55);
	const corbel_irq_vcpu vcpu = observed.read(1);
	CHECK(test_vector(vcpu.irr, 0x55), "the IRR lacks the vector");
	CHECK(same_words(vcpu.record, vcpu.irr), "record {} is not the IRR {}",
	      print_words(vcpu.record), print_words(vcpu.irr));
	CHECK_EQ(vcpu.pending, 1u, "pending");
	corbel_irq_check check = {};
	check.flags = CORBEL_IRQ_CHECK_ON;
	CHECK_EQ(request(observed.irq.get(), CORBEL_IRQ_CHECK, check), -EOPNOTSUPP, "checking");
}

void sample_without_accept()
{
	sample("__apic_accept_irq");
}

void sample_without_inject()
{
	sample("kvm_inj_virq");
}

void refuse_without_offset()
{
	load_without("kvm_lapic.regs");
	guest_vm vm(1);
	unique_fd device = connect_device();
	unique_fd attachment = attach(device.get(), vm.fd());
	corbel_vm_irq irq = {};
	CHECK_EQ(request(attachment.get(), CORBEL_VM_IRQ, irq), -EOPNOTSUPP, "observing");
}

/* A living process closes its VM: kept until its owner exits, and then let go. */
void keep_without_close()
{
	load_without("kvm_vm_release,kvm_entry");
	const kvm_state before = read_kvm_state();
	unique_fd device = connect_device();
	vm_process process(1);
	unique_fd attachment = attach(device.get(), process.vm_fd().get());
	unique_fd irq = open_irq(attachment.get());
	corbel_irq_check check = {};

	CHECK_EQ(irq_vcpu(irq.get(), 0).exactness, CORBEL_IRQ_EXACT, "exactness");
	check.flags = CORBEL_IRQ_CHECK_ON;
	CHECK_EQ(request(irq.get(), CORBEL_IRQ_CHECK, check), -EOPNOTSUPP, "checking");
	process.close_vm();
	CHECK_EQ(vm_info(attachment.get()).state, CORBEL_VM_LIVE, "the VM is held");
	process.kill();
	wait_until("the owner's exit is noticed",
		   [&] { return vm_info(attachment.get()).state == CORBEL_VM_ENDED; });
	wait_kvm_state(before);
}

/* Without the hook a late vCPU is found when somebody asks about the VM. */
void find_vcpus_without_hook()
{
	load_without("kvm_arch_vcpu_postcreate");
	observed_vm observed(1, 2);
	observed.vm.add_vcpu();
	CHECK_EQ(vm_info(observed.attachment.get()).nr_vcpus, 2u, "vCPUs of the VM");
	wait_until("the vCPU is observed",
		   [&] { return irq_info(observed.irq.get()).nr_vcpus == 2; });
}

/* Without the hook there are no distributors; all else is as before. */
void refuse_distributors_without_hook()
{
	load_without("kvm_arch_vcpu_load");
	observed_vm observed(1);
	corbel_irq_dist argument = {.ids = 16, .vcpus = 1};

	CHECK_EQ(request(observed.irq.get(), CORBEL_IRQ_DIST_NEW, argument), -EOPNOTSUPP,
		 "a distributor");
	CHECK_EQ(observed.vm.send_msi(0, 0x50), 1, "MSI");
	check_record_is_irr(observed.irq.get(), 1);
}

/* Without any of what it takes there are no recorders, and interrupts are observed as before. */
void refuse_recorders_without_hook()
{
	const bool svm = kvm_vendor_module() == "kvm_amd";

	for (const char *hook : {svm ? "svm_handle_exit" : "vmx_handle_exit",
				 svm ? "vcpu_svm.vmcb01" : "vcpu_vmx.exit_reason", "kvm_entry"}) {
		load_without(hook);
		CHECK_EQ(load_module("corbel_replay"), 0, "corbel_replay.ko");
		observed_vm observed(1);
		const unique_fd device = connect_device();

		CHECK_EQ(try_enrol(device.get(), observed.vm.at(0).fd(), 256), -EOPNOTSUPP,
			 "enrolling without {}", hook);
		CHECK_EQ(irq_vcpu(observed.irq.get(), 0).exactness, CORBEL_IRQ_EXACT, "exactness");
	}
}

void refuse_unknown_name()
{
	need_own_modules();
	ensure_kvm();
	if (module_loaded("corbel"))
		unload_corbel();
	CHECK_EQ(load_module("corbel", "without=kvm_entry,no_such_hook"), -EINVAL, "unknown hook");
	CHECK(!module_loaded("corbel"), "it was loaded all the same");
}

/*
 * VMs that end while we keep their descriptors, and new ones that may get the
 * same address from the kernel: each is attached to as a VM of its own.
 */
void attach_after_ends()
{
	need_own_modules();
	ensure_kvm();
	if (module_loaded("corbel"))
		unload_corbel();
	ensure_corbel();
	unique_fd device = connect_device();
	std::vector<unique_fd> kept;

	for (unsigned i = 0; i < 8; i++) {
		vm_process process(1, false);
		kept.push_back(attach(device.get(), process.vm_fd().get()));
		unique_fd irq = open_irq(kept.back().get());
		CHECK_EQ(vm_info(kept.back().get()).state, CORBEL_VM_LIVE, "VM {}", i);
		process.kill();
		wait_until("its end is seen",
			   [&] { return vm_info(kept.back().get()).state == CORBEL_VM_ENDED; });
	}
}

constexpr test_case cases[] = {
	{"sampled without __apic_accept_irq", sample_without_accept},
	{"sampled without kvm_inj_virq", sample_without_inject},
	{"refused without an offset", refuse_without_offset},
	{"a closed VM without kvm_vm_release", keep_without_close},
	{"late vCPUs without kvm_arch_vcpu_postcreate", find_vcpus_without_hook},
	{"no distributors without kvm_arch_vcpu_load", refuse_distributors_without_hook},
	{"no recorders without what they take", refuse_recorders_without_hook},
	{"an unknown hook is refused", refuse_unknown_name},
	{"new VMs while ended ones are kept", attach_after_ends},
};

} /* namespace */

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
