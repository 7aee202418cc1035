// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A vCPU that runs a guest of its own: nothing is intercepted there, and KVM_RUN says so, or the
 * counter is the CPU's. The guest's own reads are ours before and after. SVM only.
 */
#include "kvm_state.hh"
#include "module.hh"
#include "recorder.hh"
#include "tap.hh"

#include <cstring>
#include <optional>

using namespace corbel::selftest;

namespace {

constexpr uint64_t efer_svme = 1 << 12;
constexpr uint32_t msr_hsave = 0xc0010117;

/* Two pages that the guest has: its VMCB, and where the CPU keeps what is the guest's. */
struct alignas(page_bytes) nested_pages {
	char vmcb[page_bytes];
	char hsave[page_bytes];

	template <typename Value>
	void put(size_t offset, Value value)
	{
		std::memcpy(vmcb + offset, &value, sizeof(value));
	}
	void put_segment(size_t offset, uint16_t selector, uint16_t attributes)
	{
		put(offset, selector);
		put(offset + 2, attributes);
		put(offset + 4, ~uint32_t{0});
	}
};

/* APM volume 2, appendix B. */
namespace vmcb {
constexpr size_t intercepts = 0x10, asid = 0x58, exit_code = 0x70;
constexpr size_t es = 0x400, cs = 0x410, ss = 0x420, ds = 0x430, efer = 0x4d0, cr4 = 0x548,
		 cr3 = 0x550, cr0 = 0x558, dr7 = 0x560, dr6 = 0x568, rflags = 0x570, rip = 0x578,
		 rsp = 0x5d8, rax = 0x5f8;
} // namespace vmcb

constexpr uint32_t intercept_vmrun = 1 << 0, intercept_vmmcall = 1 << 1;
constexpr uint64_t exit_vmmcall = 0x81;

extern "C" const char nested_guest[];
asm(".globl nested_guest\nnested_guest: rdtsc; vmmcall; hlt");

/* Reads, runs its guest, which reads, and reads again; the pages are where job.memory says. */
GUEST_CODE void run_nested(guest_cpu *cpu)
{
	cpu->handled[0] = guest::read_tsc();
	guest::out(port_leave, 0);
	uint64_t rdx, rax = reinterpret_cast<uint64_t>(cpu->job.memory);
	asm volatile("vmrun %%rax; stgi"
		     : "=d"(rdx), "+a"(rax)
		     :
		     : "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		       "r15", "memory", "cc");
	cpu->handled[1] = rdx << 32;
	cpu->handled[2] = guest::read_tsc();
	guest::out(port_done, 0);
}

class nested_vm {
public:
	explicit nested_vm(int device) : guest(device, run_nested)
	{
		void *place = mmap(nullptr, sizeof(nested_pages), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

		CHECK(place != MAP_FAILED, "mmap: {}", error_name(errno));
		pages = static_cast<nested_pages *>(place);
		guest.vm.add_memory(pages, sizeof(nested_pages));
		KVM_CALL(guest.cpu().fd(), KVM_GET_SREGS, &system);
		system.efer |= efer_svme;
		KVM_CALL(guest.cpu().fd(), KVM_SET_SREGS, &system);
		guest.cpu().set_msr(msr_hsave, reinterpret_cast<uint64_t>(pages->hsave));
		describe();
		guest.memory().job.memory = reinterpret_cast<volatile uint64_t *>(pages);
	}

	recorded_vm guest;
	nested_pages *pages;

private:
	void describe()
	{
		pages->put(vmcb::intercepts, intercept_vmrun | intercept_vmmcall);
		pages->put(vmcb::asid, uint32_t{1});
		pages->put_segment(vmcb::cs, 8, 0xa9b);
		for (const size_t data : {vmcb::es, vmcb::ss, vmcb::ds})
			pages->put_segment(data, 16, 0xc93);
		pages->put(vmcb::efer, uint64_t{system.efer});
		pages->put(vmcb::cr0, uint64_t{system.cr0});
		pages->put(vmcb::cr3, uint64_t{system.cr3});
		pages->put(vmcb::cr4, uint64_t{system.cr4});
		pages->put(vmcb::dr6, uint64_t{0xffff0ff0});
		pages->put(vmcb::dr7, uint64_t{0x400});
		pages->put(vmcb::rflags, uint64_t{2});
		pages->put(vmcb::rip, reinterpret_cast<uint64_t>(nested_guest));
		pages->put(vmcb::rsp, guest.vm.stack_top(0) - 2048);
	}

	kvm_sregs system = {};
};

void need_nested()
{
	if (kvm_vendor_module() != "kvm_amd")
		skip("this is about SVM");
	if (read_file("/sys/module/kvm_amd/parameters/nested") != "1\n")
		skip("kvm_amd has no nested guests");
}

/* Off all the time: its guest's counter is the CPU's. */
void leave_alone_when_off()
{
	ensure_corbel();
	need_nested();
	const unique_fd device = connect_device();
	nested_vm nested(device.get());
	recorded_vm &guest = nested.guest;

	guest.run_to_port();
	const uint64_t before = guest::read_tsc();
	guest.run_to_port();
	uint64_t low, code;
	std::memcpy(&low, nested.pages->vmcb + vmcb::rax, sizeof(low));
	std::memcpy(&code, nested.pages->vmcb + vmcb::exit_code, sizeof(code));
	CHECK_EQ(code, exit_vmmcall, "its guest's exit");
	CHECK(is_own_counter(guest.memory().handled[1] | low, before), "its guest's counter");
	CHECK_EQ(guest.log.area().nr_tsc, 0u, "reads answered");
}

/* On: ours outside, and inside of its guest not; then it is closed, and all is the CPU's. */
void refuse_to_answer()
{
	ensure_corbel();
	need_nested();
	const kvm_state held = read_kvm_state();
	const unique_fd device = connect_device();

	for (const bool off_inside : {false, true}) {
		nested_vm nested(device.get());
		recorded_vm &guest = nested.guest;

		guest.log.begin(CORBEL_REPLAY_RECORD);
		guest.run_to_port();
		CHECK_EQ(guest.memory().handled[0], guest.log.area().last, "the guest's own read");
		const uint32_t reason = guest.run();
		if (reason == KVM_EXIT_IO) {
			CHECK_EQ(guest.log.area().nr_tsc, 2u, "its guest's read is not ours");
			continue;
		}
		CHECK_EQ(reason, KVM_EXIT_INTERNAL_ERROR, "in its guest");
		CHECK_EQ(guest.cpu().exit().internal.suberror, 4u, "the reason's number");
		CHECK_EQ(guest.log.area().nr_tsc, 1u, "reads answered");
		comment("a read in its guest ends KVM_RUN with an internal error");
		if (off_inside)
			guest.log.area().mode = CORBEL_REPLAY_OFF;
		(void)guest.run();
	}
	wait_kvm_state(held);
}

constexpr test_case cases[] = {
	{"a guest's guest when off", leave_alone_when_off},
	{"a guest's guest when on", refuse_to_answer},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
