// SPDX-License-Identifier: GPL-2.0-or-later
#include "vcpu.hh"
#include "file.hh"
#include "tap.hh"
#include "wait.hh"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <vector>

namespace corbel::selftest {

namespace {

constexpr int kick_signal = SIGUSR1;

void ignore_kick(int) {}

/* Without SA_RESTART: the signal must end KVM_RUN. */
void install_kick_handler()
{
	struct sigaction action = {};

	action.sa_handler = ignore_kick;
	sigaction(kick_signal, &action, nullptr);
}

} // namespace

int kvm_call(int fd, unsigned long command, const char *name, uint64_t argument)
{
	int result = call(fd, command, argument);

	CHECK(result >= 0, "{} answers {}", name, error_name(result));
	return result;
}

bool lapic_bit(const kvm_lapic_state &state, unsigned base, unsigned vector)
{
	uint32_t word;

	std::memcpy(&word, state.regs + base + vector / 32 * 16, sizeof(word));
	return word >> vector % 32 & 1;
}

void set_lapic_bit(kvm_lapic_state &state, unsigned base, unsigned vector, bool value)
{
	char *place = state.regs + base + vector / 32 * 16;
	uint32_t word;

	std::memcpy(&word, place, sizeof(word));
	word = (word & ~(1u << vector % 32)) | static_cast<uint32_t>(value) << vector % 32;
	std::memcpy(place, &word, sizeof(word));
}

vcpu::vcpu(int kvm, int vm, unsigned index, guest_cpu *memory)
	: memory(memory), index(index), descriptor(KVM_CALL(vm, KVM_CREATE_VCPU, index))
{
	install_kick_handler();
	run_size = KVM_CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *page = mmap(nullptr, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
	CHECK(page != MAP_FAILED, "mapping vCPU {}: {}", index, error_name(errno));
	run = static_cast<kvm_run *>(page);
	set_cpuid(kvm);
}

vcpu::~vcpu()
{
	stop();
	if (run)
		munmap(run, run_size);
}

void vcpu::set_cpuid(int kvm)
{
	constexpr unsigned entries = 256;
	std::vector<char> space(sizeof(kvm_cpuid2) + entries * sizeof(kvm_cpuid_entry2));
	auto *cpuid = reinterpret_cast<kvm_cpuid2 *>(space.data());

	cpuid->nent = entries;
	KVM_CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	for (unsigned i = 0; i < cpuid->nent; i++) {
		kvm_cpuid_entry2 &entry = cpuid->entries[i];

		if (entry.function == 1) {
			entry.ebx = (entry.ebx & 0x00ffffff) | index << 24;
			entry.ecx |=
				1 << 24; /* TSC deadline timer: KVM has it, but does not list it */
		}
		if (entry.function == 0xb)
			entry.edx = index;
	}
	KVM_CALL(fd(), KVM_SET_CPUID2, cpuid);
}

void vcpu::set_up(const layout &places)
{
	kvm_segment code = {}, data = {};
	kvm_sregs system = {};

	code = {.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
	data = {.limit = ~0u, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};

	KVM_CALL(fd(), KVM_GET_SREGS, &system);
	system.cs = code;
	system.ds = system.es = system.ss = system.fs = system.gs = data;
	system.gs.base = reinterpret_cast<uint64_t>(memory);
	system.gdt.base = places.gdt;
	system.gdt.limit = places.gdt_limit;
	system.idt.base = places.idt;
	system.idt.limit = 256 * 16 - 1;
	system.cr0 = 0x80000013; /* PG, ET, MP, PE */
	system.cr3 = places.cr3;
	system.cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT: compiled code may use SSE */
	system.efer = 0x500; /* LMA, LME */
	if (places.local_apic)
		system.apic_base |= apic_base_enable | apic_base_x2apic;
	KVM_CALL(fd(), KVM_SET_SREGS, &system);
	if (places.local_apic) {
		set_msr(msr::x2apic_svr, 0x1ff);
		set_msr(msr::x2apic_tpr, 0);
		set_msr(msr::x2apic_lvt_lint0, 0x10000);
	}

	/* The guest's clock is the host's, so that time stamps compare. */
	uint64_t offset = 0;
	kvm_device_attr attribute = {};
	attribute.group = KVM_VCPU_TSC_CTRL;
	attribute.attr = KVM_VCPU_TSC_OFFSET;
	attribute.addr = reinterpret_cast<uint64_t>(&offset);
	KVM_CALL(fd(), KVM_SET_DEVICE_ATTR, &attribute);

	set_entry(guest_main, places.stack_top);
	kvm_mp_state runnable = {KVM_MP_STATE_RUNNABLE};
	KVM_CALL(fd(), KVM_SET_MP_STATE, &runnable);
}

void vcpu::set_entry(void (*entry)(guest_cpu *), uint64_t stack_top)
{
	kvm_regs registers = {};

	registers.rip = reinterpret_cast<uint64_t>(entry);
	registers.rsp = stack_top - 8; /* as if called */
	registers.rdi = reinterpret_cast<uint64_t>(memory);
	registers.rflags = 2;
	KVM_CALL(fd(), KVM_SET_REGS, &registers);
}

void vcpu::start()
{
	stopping = false;
	thread = std::thread([this] { loop(); });
	wait_until("the vCPU's thread runs", [this] { return tid != 0; });
}

void vcpu::stop()
{
	if (!thread.joinable())
		return;
	park();
	{
		std::lock_guard guard(lock);
		stopping = true;
		changed.notify_all();
	}
	thread.join();
	parks--;
	tid = 0;
}

void vcpu::park()
{
	std::unique_lock guard(lock);

	parks++;
	if (!thread.joinable())
		return;
	run->immediate_exit = 1;
	changed.notify_all();
	while (!parked) {
		syscall(SYS_tgkill, getpid(), tid.load(), kick_signal);
		changed.wait_for(guard, std::chrono::milliseconds(100));
	}
}

void vcpu::unpark()
{
	std::lock_guard guard(lock);

	parks--;
	changed.notify_all();
}

void vcpu::give_up(const std::string &why)
{
	std::lock_guard guard(lock);

	failed_because = fmt::format("vCPU {}: {}", index, why);
	comment("{}", failed_because);
}

std::string vcpu::trouble()
{
	std::lock_guard guard(lock);

	return failed_because;
}

std::string vcpu::state_text() const
{
	std::string task = fmt::format("/proc/self/task/{}/", tid.load());
	std::string where = tid && file_exists(task + "stack") ? read_file(task + "stack") : "";

	std::ranges::replace(where, '\n', ' ');
	return fmt::format(
		"vCPU {}: mode {}, seen {}; {} loops, {} interrupts, the last {:#x}; job {}, "
		"finished {}; in the kernel: {}",
		index, static_cast<int>(memory->mode.load()),
		static_cast<int>(memory->mode_seen.load()), memory->loops.load(), memory->total,
		memory->last_vector, memory->job_number.load(), memory->job_finished.load(),
		where.empty() ? "no" : where);
}

/* True while the vCPU can go on. */
bool vcpu::handle_exit()
{
	if (run->exit_reason == KVM_EXIT_INTR)
		return true;
	if (run->exit_reason != KVM_EXIT_IO) {
		kvm_regs registers = {};

		call(fd(), KVM_GET_REGS, &registers);
		/* A triple fault resets the vCPU: what it did is seen on its stack. */
		auto *top = reinterpret_cast<const uint64_t *>(memory + 1) + 2048;
		for (unsigned i = 24; i; i -= 4)
			comment("stack -{:#x}: {:#x} {:#x} {:#x} {:#x}", i * 8, top[-int(i)],
				top[1 - int(i)], top[2 - int(i)], top[3 - int(i)]);
		give_up(fmt::format(
			"unexpected exit {}, suberror {}, rip {:#x}, rsp {:#x}; {} interrupts handled, the "
			"last {:#x}, {} loops",
			run->exit_reason, run->internal.suberror, registers.rip, registers.rsp,
			memory->total, memory->last_vector, memory->loops.load()));
		return false;
	}
	if (run->io.port == port_exception) {
		give_up(fmt::format("exception {} in the guest", memory->exception & 0xff));
		return false;
	}
	if (run->io.port == port_leave) {
		std::unique_lock guard(lock);

		changed.wait(guard, [this] {
			return parks || stopping || memory->mode.load() != guest_mode::leave;
		});
	}
	return true;
}

void vcpu::loop()
{
	bool alive = true;

	tid = gettid();
	for (;;) {
		{
			std::unique_lock guard(lock);

			while (!stopping && (parks || !alive)) {
				parked = true;
				changed.notify_all();
				changed.wait(guard);
			}
			parked = false;
			if (stopping) {
				parked = true;
				return;
			}
			run->immediate_exit = 0;
		}
		int result = call(fd(), KVM_RUN, 0);
		if (result == -EINTR || result == -EAGAIN)
			continue;
		if (result < 0) {
			give_up("KVM_RUN answers " + error_name(result));
			alive = false;
		} else {
			alive = handle_exit();
		}
	}
}

uint16_t vcpu::run_here()
{
	for (;;) {
		run->immediate_exit = 0;
		int result = call(fd(), KVM_RUN, 0);

		if (result == -EINTR || result == -EAGAIN)
			continue;
		CHECK(result == 0, "KVM_RUN answers {}", error_name(result));
		if (run->exit_reason == KVM_EXIT_IO && run->io.port != port_exception)
			return run->io.port;
		if (!handle_exit())
			throw failure(trouble());
	}
}

void vcpu::step_once()
{
	run->immediate_exit = 0;
	call(fd(), KVM_RUN, 0);
}

uint32_t vcpu::run_to_exit()
{
	for (;;) {
		run->immediate_exit = 0;
		const int result = call(fd(), KVM_RUN, 0);

		if (result == -EINTR || result == -EAGAIN)
			continue;
		CHECK(result == 0, "KVM_RUN answers {}", error_name(result));
		if (run->exit_reason != KVM_EXIT_INTR)
			return run->exit_reason;
	}
}

kvm_regs vcpu::registers() const
{
	kvm_regs registers = {};

	KVM_CALL(fd(), KVM_GET_REGS, &registers);
	return registers;
}

void vcpu::set_registers(kvm_regs registers)
{
	KVM_CALL(fd(), KVM_SET_REGS, &registers);
}

void vcpu::make_runnable()
{
	kvm_mp_state state = {};

	KVM_CALL(fd(), KVM_GET_MP_STATE, &state);
	if (state.mp_state != KVM_MP_STATE_HALTED)
		return;
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	KVM_CALL(fd(), KVM_SET_MP_STATE, &state);
}

kvm_lapic_state vcpu::lapic() const
{
	kvm_lapic_state state;

	KVM_CALL(fd(), KVM_GET_LAPIC, &state);
	return state;
}

void vcpu::set_lapic(const kvm_lapic_state &state)
{
	KVM_CALL(fd(), KVM_SET_LAPIC, &state);
}

void vcpu::set_msr(uint32_t number, uint64_t value)
{
	alignas(kvm_msrs) char space[sizeof(kvm_msrs) + sizeof(kvm_msr_entry)] = {};
	auto *argument = reinterpret_cast<kvm_msrs *>(space);

	argument->nmsrs = 1;
	auto *entry = reinterpret_cast<kvm_msr_entry *>(argument + 1);
	entry->index = number;
	entry->data = value;
	int done = KVM_CALL(fd(), KVM_SET_MSRS, argument);
	CHECK_EQ(done, 1, "setting MSR {:#x} of vCPU {}", number, index);
}

uint64_t vcpu::apic_base() const
{
	kvm_sregs system = {};

	KVM_CALL(fd(), KVM_GET_SREGS, &system);
	return system.apic_base;
}

void vcpu::set_apic_base(uint64_t value)
{
	kvm_sregs system = {};

	KVM_CALL(fd(), KVM_GET_SREGS, &system);
	system.apic_base = value;
	KVM_CALL(fd(), KVM_SET_SREGS, &system);
}

} // namespace corbel::selftest
