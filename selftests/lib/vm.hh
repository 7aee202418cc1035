/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small VM for tests: N vCPUs in 64-bit mode, running what guest.hh describes with
 * the x2APIC on or, if told so, the xAPIC; and every way there is to send it an
 * interrupt.
 */
#pragma once

#include "vcpu.hh"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace corbel::selftest {

enum class trigger { edge, level };

/* Address of an MSI to one APIC; data of those that are not plain vectors. */
constexpr uint32_t msi_address(unsigned apic_id)
{
	return 0xfee00000 | apic_id << 12;
}
inline constexpr uint32_t msi_logical = 1 << 2;
inline constexpr uint32_t msi_redirection_hint = 1 << 3;
inline constexpr uint32_t msi_lowest_priority = 1 << 8;
inline constexpr uint32_t msi_nmi = 4 << 8;
inline constexpr uint32_t msi_init = 5 << 8;

/* How an xAPIC takes logical destinations: a bit each, or a cluster of up to four. */
enum class xapic_model { flat, cluster };

/* The tests have two vCPUs in a cluster. */
constexpr unsigned xapic_logical_id(xapic_model model, unsigned index)
{
	return model == xapic_model::flat ? 1 << index : index / 2 << 4 | 1 << index % 2;
}

/* Whose the interrupt controllers are: without KVM's there is no way to send an interrupt. */
enum class irqchip { of_kvm, none };

class guest_vm {
public:
	static constexpr unsigned nr_pins = 24;

	explicit guest_vm(unsigned vcpus = 2, unsigned max_vcpus = 0,
			  irqchip controllers = irqchip::of_kvm);
	~guest_vm();
	guest_vm(const guest_vm &) = delete;

	int fd() const { return vm.get(); }
	unsigned nr_vcpus() const { return cpus.size(); }
	vcpu &at(unsigned index) { return *cpus[index]; }
	guest_cpu &memory(unsigned index) { return *cpus[index]->memory; }
	uint64_t stack_top(unsigned index) const;

	/* For vCPUs that were never started. */
	void use_xapic(xapic_model model);

	/* Memory below 4 GiB that the guest sees at the same address; answers its slot. */
	unsigned add_memory(void *at, size_t bytes, uint32_t flags = 0);
	/* What KVM has logged of a slot of @pages with KVM_MEM_LOG_DIRTY_PAGES, and forgets. */
	std::vector<uint64_t> take_dirty_log(unsigned slot, uint64_t pages) const;

	/* One more vCPU, not started. */
	unsigned add_vcpu();

	/* Starts what is not started, each in `mode`, and waits for the guest. */
	void start(guest_mode mode = guest_mode::spin);
	void stop();

	void set_mode(unsigned index, guest_mode mode);
	void start_job(unsigned index, const guest_job &job);
	bool job_finished(unsigned index);
	void finish_job(unsigned index);

	/* wait_until() that ends early when a vCPU has stopped by itself. */
	void wait(std::string_view what, auto &&condition)
	{
		wait_checked(what, [&] { return condition(); });
	}

	/* KVM_SIGNAL_MSI, fixed, physical, to one vCPU; answers KVM's result. */
	int send_msi(unsigned index, unsigned vector);
	/* The same with any address (its low word) and data. */
	int send_raw_msi(uint32_t address, uint32_t data);

	/* An irqfd with an MSI route; made by add_irqfd(), fired by send_irqfd(). */
	void add_irqfd(unsigned index, unsigned first, unsigned last);
	void send_irqfd(unsigned index, unsigned vector);
	/* One with any address and data; fired by these two numbers. */
	void add_raw_irqfd(uint32_t address, uint32_t data, unsigned index, unsigned vector);

	/* IOAPIC pin -> (vCPU, vector), then KVM_IRQ_LINE on it. */
	void route_pin(unsigned pin, unsigned index, unsigned vector, trigger kind);
	/* The same, lowest priority among the vCPUs of a logical mask. */
	void route_pin_to_any(unsigned pin, unsigned mask, unsigned vector, trigger kind);
	/* Any redirection entry. */
	void write_redirection(unsigned pin, uint64_t bits);
	void set_line(unsigned pin, bool level);
	void pulse_line(unsigned pin);

	/*
	 * The PIC, wired to LINT0 of vCPU 0: lines 0-7 give vectors from `base`
	 * by ExtINT, past the local APIC's IRR. Auto-EOI.
	 */
	void enable_pic(unsigned base);

	uint64_t handled(unsigned index, unsigned vector);
	uint64_t handled_total();

private:
	void wait_awake(unsigned index, std::string_view what,
			const std::function<bool()> &condition);
	void wait_checked(std::string_view what, const std::function<bool()> &condition);
	void tell_state();
	void make_irqchip();
	void map_memory(unsigned max_vcpus);
	void write_tables();
	void write_gates(const char *vectors);
	void set_routes();

	unique_fd kvm;
	unique_fd vm;
	irqchip controllers;
	unsigned slots = 0;
	char *arena = nullptr;
	size_t arena_size = 0;
	std::vector<std::unique_ptr<vcpu>> cpus;
	std::vector<kvm_irq_routing_entry> routes;
	std::map<std::pair<unsigned, unsigned>, unique_fd> irqfds;
};

/* Parked for the life of the guard. */
class parked {
public:
	explicit parked(vcpu &cpu) : cpu(cpu) { cpu.park(); }
	~parked() { cpu.unpark(); }
	parked(const parked &) = delete;

private:
	vcpu &cpu;
};

} // namespace corbel::selftest
