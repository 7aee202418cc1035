// SPDX-License-Identifier: GPL-2.0-or-later
/* guest_vm: the ways to send an interrupt. */
#include "tap.hh"
#include "vm.hh"

#include <cstring>
#include <sys/eventfd.h>

namespace corbel::selftest {

void guest_vm::set_routes()
{
	std::vector<char> space(sizeof(kvm_irq_routing) + routes.size() * sizeof(routes[0]));
	auto *table = reinterpret_cast<kvm_irq_routing *>(space.data());

	table->nr = routes.size();
	std::memcpy(table->entries, routes.data(), routes.size() * sizeof(routes[0]));
	KVM_CALL(fd(), KVM_SET_GSI_ROUTING, table);
}

int guest_vm::send_raw_msi(uint32_t address, uint32_t data)
{
	kvm_msi message = {};

	message.address_lo = address;
	message.data = data;
	return call(fd(), KVM_SIGNAL_MSI, &message);
}

int guest_vm::send_msi(unsigned index, unsigned vector)
{
	return send_raw_msi(msi_address(index), vector);
}

void guest_vm::add_irqfd(unsigned index, unsigned first, unsigned last)
{
	unsigned gsi = nr_pins;

	for (const kvm_irq_routing_entry &route : routes)
		gsi = std::max(gsi, route.gsi + 1);

	std::vector<kvm_irqfd> wanted;
	for (unsigned vector = first; vector <= last; vector++, gsi++) {
		unique_fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
		kvm_irq_routing_entry route = {};
		kvm_irqfd assign = {};

		CHECK(event, "eventfd: {}", error_name(errno));
		route.gsi = gsi;
		route.type = KVM_IRQ_ROUTING_MSI;
		route.u.msi.address_lo = msi_address(index);
		route.u.msi.data = vector;
		routes.push_back(route);
		assign.fd = event.get();
		assign.gsi = gsi;
		wanted.push_back(assign);
		irqfds[{index, vector}] = std::move(event);
	}
	set_routes();
	for (kvm_irqfd &assign : wanted)
		KVM_CALL(fd(), KVM_IRQFD, &assign);
}

void guest_vm::add_raw_irqfd(uint32_t address, uint32_t data, unsigned index, unsigned vector)
{
	add_irqfd(index, vector, vector);
	routes.back().u.msi.address_lo = address;
	routes.back().u.msi.data = data;
	set_routes();
}

void guest_vm::send_irqfd(unsigned index, unsigned vector)
{
	auto found = irqfds.find({index, vector});

	CHECK(found != irqfds.end(), "no irqfd for vCPU {} vector {:#x}", index, vector);
	CHECK(eventfd_write(found->second.get(), 1) == 0, "writing the irqfd: {}",
	      error_name(errno));
}

void guest_vm::write_redirection(unsigned pin, uint64_t bits)
{
	kvm_irqchip chip = {};

	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	KVM_CALL(fd(), KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[pin].bits = bits;
	KVM_CALL(fd(), KVM_SET_IRQCHIP, &chip);
}

void guest_vm::route_pin(unsigned pin, unsigned index, unsigned vector, trigger kind)
{
	write_redirection(pin, vector | (kind == trigger::level ? 1 << 15 : 0) |
				       static_cast<uint64_t>(index) << 56);
}

void guest_vm::route_pin_to_any(unsigned pin, unsigned mask, unsigned vector, trigger kind)
{
	constexpr uint64_t lowest_priority = 1 << 8, logical = 1 << 11;

	write_redirection(pin, vector | lowest_priority | logical |
				       (kind == trigger::level ? 1 << 15 : 0) |
				       static_cast<uint64_t>(mask) << 56);
}

void guest_vm::set_line(unsigned pin, bool level)
{
	kvm_irq_level line = {};

	line.irq = pin;
	line.level = level;
	KVM_CALL(fd(), KVM_IRQ_LINE, &line);
}

void guest_vm::pulse_line(unsigned pin)
{
	set_line(pin, true);
	set_line(pin, false);
}

void guest_vm::enable_pic(unsigned base)
{
	kvm_irqchip chip = {};

	std::erase_if(routes, [](const kvm_irq_routing_entry &route) { return route.gsi < 8; });
	for (unsigned pin = 0; pin < 8; pin++) {
		kvm_irq_routing_entry route = {};

		route.gsi = pin;
		route.type = KVM_IRQ_ROUTING_IRQCHIP;
		route.u.irqchip.irqchip = KVM_IRQCHIP_PIC_MASTER;
		route.u.irqchip.pin = pin;
		routes.push_back(route);
	}
	set_routes();

	chip.chip_id = KVM_IRQCHIP_PIC_MASTER;
	KVM_CALL(fd(), KVM_GET_IRQCHIP, &chip);
	chip.chip.pic.irq_base = base;
	chip.chip.pic.imr = 0;
	chip.chip.pic.auto_eoi = 1;
	chip.chip.pic.init4 = 1;
	KVM_CALL(fd(), KVM_SET_IRQCHIP, &chip);
	at(0).set_msr(msr::x2apic_lvt_lint0, 0x700);
}

} // namespace corbel::selftest
