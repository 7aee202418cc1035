// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci_function.hh"

#include <linux/pci_regs.h>

#include <algorithm>

namespace corbel::vmm {

PciFunction::PciFunction(const Identity &identity) : present_(1)
{
	put(PCI_VENDOR_ID, identity.vendor, 2);
	put(PCI_DEVICE_ID, identity.device, 2);
	put(PCI_REVISION_ID, identity.revision, 1);
	put(PCI_CLASS_DEVICE, identity.class_code, 2);
	put(PCI_SUBSYSTEM_VENDOR_ID, identity.vendor, 2);
	put(PCI_SUBSYSTEM_ID, identity.subsystem, 2);
	writable_[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
	writable_[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
	allow(PCI_CACHE_LINE_SIZE, 2);
}

void PciFunction::give_ports(std::uint16_t first, std::uint8_t irq)
{
	irq_ = irq;
	put(PCI_COMMAND, PCI_COMMAND_IO, 1);
	put(PCI_BASE_ADDRESS_0, first | PCI_BASE_ADDRESS_SPACE_IO, 4);
	allow(PCI_BASE_ADDRESS_0 + 1, 3);
	put(PCI_INTERRUPT_LINE, irq, 1);
	put(PCI_INTERRUPT_PIN, 1, 1);
	allow(PCI_INTERRUPT_LINE, 1);
}

unsigned PciFunction::add_capability(std::uint8_t id, std::span<const std::uint8_t> rest)
{
	const unsigned at = free_;

	put(last_capability_ ? last_capability_ + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, at, 1);
	put(PCI_STATUS, PCI_STATUS_CAP_LIST, 1);
	put(at + PCI_CAP_LIST_ID, id, 1);
	std::ranges::copy(rest, bytes_.begin() + at + 2);
	last_capability_ = free_;
	free_ = static_cast<std::uint8_t>((at + 2 + rest.size() + 3) & ~3U);
	return at;
}

void PciFunction::allow(unsigned at, unsigned bytes)
{
	std::fill_n(writable_.begin() + at, bytes, 0xff);
}

bool PciFunction::has(std::uint16_t port) const
{
	return bytes_[PCI_COMMAND] & PCI_COMMAND_IO &&
	       (word(PCI_BASE_ADDRESS_0) & ~(port_count - 1U)) == (port & ~(port_count - 1U));
}

bool PciFunction::may_interrupt() const
{
	return !(bytes_[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8);
}

bool PciFunction::may_use_memory() const
{
	return bytes_[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

void PciFunction::show_interrupt(bool pending)
{
	auto &status = bytes_[PCI_STATUS];

	status = static_cast<std::uint8_t>(pending ? status | PCI_STATUS_INTERRUPT
						   : status & ~PCI_STATUS_INTERRUPT);
}

std::uint8_t PciFunction::read(unsigned at) const
{
	return present_ ? bytes_[at] : 0xff;
}

void PciFunction::write(unsigned at, std::uint8_t value)
{
	const auto mask = writable_[at];

	bytes_[at] = static_cast<std::uint8_t>((bytes_[at] & ~mask) | (value & mask));
}

std::uint32_t PciFunction::word(unsigned at) const
{
	return bytes_[at] | bytes_[at + 1] << 8 | bytes_[at + 2] << 16 |
	       static_cast<std::uint32_t>(bytes_[at + 3]) << 24;
}

void PciFunction::put(unsigned at, std::uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		bytes_[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

} /* namespace corbel::vmm */
