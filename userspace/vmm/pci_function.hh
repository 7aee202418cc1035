/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pci_function.hh - the configuration space of a PCI function with at most one BAR, of ports:
 * its registers leave the guest by IN and OUT, for which KVM decodes no instruction.
 */
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

namespace corbel::vmm {

class PciFunction {
public:
	static constexpr std::uint16_t port_count = 256; /* the most that a BAR of ports has */

	struct Identity {
		std::uint16_t vendor, device, subsystem;
		std::uint16_t class_code; /* base class and subclass */
		std::uint8_t revision;
	};

	/* There is none, which reads as ones. */
	PciFunction() = default;
	explicit PciFunction(const Identity &identity);

	/* As firmware leaves it: decoded, with pin A wired to @irq. */
	void give_ports(std::uint16_t first, std::uint8_t irq);
	/* @rest: what follows the identifier and the pointer. Its place. */
	unsigned add_capability(std::uint8_t id, std::span<const std::uint8_t> rest);

	/* The guest can write all bits of these. */
	void allow(unsigned at, unsigned bytes);

	[[nodiscard]] bool present() const { return present_; }
	/* Whether @port is one of its BAR's now, and which. */
	[[nodiscard]] bool has(std::uint16_t port) const;
	[[nodiscard]] unsigned offset_of(std::uint16_t port) const { return port % port_count; }
	[[nodiscard]] bool may_interrupt() const;
	[[nodiscard]] bool may_use_memory() const;
	[[nodiscard]] std::uint8_t irq() const { return irq_; }
	void show_interrupt(bool pending);

	[[nodiscard]] std::uint8_t read(unsigned at) const;
	void write(unsigned at, std::uint8_t value);
	[[nodiscard]] std::uint32_t word(unsigned at) const;

private:
	void put(unsigned at, std::uint32_t value, unsigned bytes);

	std::array<std::uint8_t, 256> bytes_{}, writable_{}; /* a set bit can be written */
	std::uint8_t present_ = 0, irq_ = 0;
	std::uint8_t last_capability_ = 0, free_ = 0x40;
};

static_assert(std::has_unique_object_representations_v<PciFunction>);

} /* namespace corbel::vmm */
