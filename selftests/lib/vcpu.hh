/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vCPU of a test VM and, once started, the thread that runs it.
 *
 * A started vCPU can be parked: its thread is then outside KVM_RUN and stays
 * there, so its state can be read and written with the vCPU ioctls. Parking
 * nests.
 */
#pragma once

#include "file.hh"
#include "guest.hh"
#include <corbel/kvm_abi.hh>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace corbel::selftest {

class vcpu {
public:
	/* The guest function `entry` is called with `memory`, on the stack below `stack_top`. */
	vcpu(int kvm, int vm, unsigned index, guest_cpu *memory);
	~vcpu();
	vcpu(const vcpu &) = delete;

	int fd() const { return descriptor.get(); }
	pid_t thread_id() const { return tid; }

	/* Where things are in guest memory, then everything else to 64-bit mode. */
	struct layout {
		uint64_t cr3, gdt, idt;
		uint16_t gdt_limit;
		uint64_t stack_top;
		bool local_apic; /* it has one of KVM's */
	};
	void set_up(const layout &places);
	void set_entry(void (*entry)(guest_cpu *), uint64_t stack_top);

	void start();
	void stop();
	void park();
	void unpark();
	bool started() const { return thread.joinable(); }

	/*
	 * Runs the guest in the caller's thread until it writes to a port, and
	 * answers the port. Not for started vCPUs.
	 */
	uint16_t run_here();
	/* One KVM_RUN in the caller's thread, whatever comes of it. */
	void step_once();
	/* Runs it in the caller's thread until something is up to user space: kvm_run.exit_reason. */
	uint32_t run_to_exit();
	/* What the last exit has to tell. */
	const kvm_run &exit() const { return *run; }

	kvm_regs registers() const;
	void set_registers(kvm_regs registers);

	/* Continues a vCPU that HLT stopped; parked or not started. */
	void make_runnable();

	kvm_lapic_state lapic() const;
	void set_lapic(const kvm_lapic_state &state);
	void set_msr(uint32_t number, uint64_t value);
	void set_apic_base(uint64_t value);
	uint64_t apic_base() const;

	/* Why the guest stopped by itself; empty while it has not. */
	std::string trouble();

	/* A line for who looks for the cause of a failure; needs nothing of the vCPU. */
	std::string state_text() const;

	guest_cpu *const memory;
	const unsigned index;

private:
	void loop();
	bool handle_exit();
	void give_up(const std::string &why);
	void set_cpuid(int kvm);

	unique_fd descriptor;
	kvm_run *run = nullptr;
	size_t run_size = 0;

	std::mutex lock;
	std::condition_variable changed;
	unsigned parks = 0;
	bool parked = false;
	bool stopping = false;
	std::string failed_because;
	std::atomic<pid_t> tid = 0;
	std::thread thread;
};

/* Bit `vector` of a register of 256 in a LAPIC's register page. */
inline constexpr unsigned lapic_isr = 0x100;
inline constexpr unsigned lapic_irr = 0x200;
bool lapic_bit(const kvm_lapic_state &state, unsigned base, unsigned vector);
void set_lapic_bit(kvm_lapic_state &state, unsigned base, unsigned vector, bool value);

inline constexpr uint64_t apic_base_enable = 1 << 11;
inline constexpr uint64_t apic_base_x2apic = 1 << 10;

/* ioctl on KVM that fails the case when KVM refuses. */
int kvm_call(int fd, unsigned long command, const char *name, uint64_t argument);
#define KVM_CALL(fd, command, argument)                                                            \
	::corbel::selftest::kvm_call(fd, command, #command, (uint64_t)(argument))

} // namespace corbel::selftest
