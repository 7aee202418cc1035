// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci_bus.hh"

#include <algorithm>
#include <utility>

namespace corbel::vmm {

namespace {

constexpr std::uint16_t address_port = 0xcf8, data_port = 0xcfc;
constexpr std::uint32_t enabled = 0x80000000;
constexpr std::uint16_t first_bar = 0xc000;

/*
 * Where a slot's interrupt goes: the second 8259A's lines would cost two more exits each. There is
 * no keyboard.
 */
constexpr std::array<std::uint8_t, all_slots.size()> irqs{6, 5, 3, 1};

constexpr bool is_configuration(std::uint16_t port)
{
	return (port & ~3) == address_port || (port & ~3) == data_port;
}

} /* namespace */

/* Red Hat's bridge, which needs no driver and for which kernels have no workarounds. */
PciBus::PciBus() : bridge_({0x1b36, 0x0008, 0x1100, 0x0600, 0}) {}

void PciBus::plug(Slot slot, const VirtioPci::Model &model)
{
	const auto number = std::to_underlying(slot);

	devices_[number] = VirtioPci(
		model, static_cast<std::uint16_t>(first_bar + number * PciFunction::port_count),
		irqs[number]);
}

VirtioPci &PciBus::device(Slot slot)
{
	return devices_[std::to_underlying(slot)];
}

/* Of bus 0; the bridge is device 0, and the slots follow. */
VirtioPci *PciBus::addressed()
{
	const auto number = address_ >> 11 & 31;

	if (!(address_ & enabled) || address_ & 0xff0700 || number == 0 || number > devices_.size())
		return nullptr;
	return &devices_[number - 1];
}

VirtioPci *PciBus::at_port(std::uint16_t port)
{
	const auto found = std::ranges::find_if(
		devices_, [&](const auto &device) { return device.function().has(port); });

	return found == devices_.end() ? nullptr : &*found;
}

bool PciBus::has(std::uint16_t port) const
{
	return is_configuration(port) || std::ranges::any_of(devices_, [&](const auto &device) {
		       return device.function().has(port);
	       });
}

std::uint32_t PciBus::in(std::uint16_t port, unsigned size)
{
	constexpr std::uint32_t nothing = 0xffffffff;

	if (!is_configuration(port))
		return at_port(port)->in(at_port(port)->function().offset_of(port), size);
	if ((port & ~3) == address_port)
		return port == address_port && size == 4 ? address_ : nothing;
	const auto at = (address_ & 0xfc) + (port & 3);

	if (at % 4 + size > 4)
		return nothing;
	if (auto *const device = addressed())
		return device->function().present() ? device->configuration(at, size) : nothing;
	if ((address_ & ~0xffU) != enabled)
		return nothing;
	return bridge_.word(at & ~3U) >> at % 4 * 8;
}

void PciBus::out(std::uint16_t port, unsigned size, std::uint32_t value)
{
	if (!is_configuration(port)) {
		at_port(port)->out(at_port(port)->function().offset_of(port), size, value);
		return;
	}
	if ((port & ~3) == address_port) {
		if (port == address_port && size == 4)
			address_ = value & ~0x7f000003U;
		return;
	}
	const auto at = (address_ & 0xfc) + (port & 3);

	if (at % 4 + size > 4)
		return;
	if (auto *const device = addressed())
		device->configure(at, size, value);
	else if ((address_ & ~0xffU) == enabled)
		for (unsigned i = 0; i < size; i++)
			bridge_.write(at + i, static_cast<std::uint8_t>(value >> 8 * i));
}

std::uint16_t PciBus::wired()
{
	std::uint16_t lines = 0;

	for (const auto irq : irqs)
		lines |= static_cast<std::uint16_t>(1U << irq);
	return lines;
}

std::uint16_t PciBus::lines() const
{
	std::uint16_t lines = 0;

	for (const auto &device : devices_)
		if (device.line())
			lines |= static_cast<std::uint16_t>(1U << device.function().irq());
	return lines;
}

} /* namespace corbel::vmm */
