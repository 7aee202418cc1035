/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pci_bus.hh - the one PCI bus: a host bridge, found by configuration mechanism 1, and virtio
 * devices, each in a slot of its own that never changes.
 */
#pragma once

#include "virtio_pci.hh"

#include <array>
#include <cstdint>
#include <type_traits>

namespace corbel::vmm {

enum class Slot : std::uint8_t { entropy, disk, net, vsock };

inline constexpr std::array all_slots{Slot::entropy, Slot::disk, Slot::net, Slot::vsock};

class PciBus {
public:
	PciBus();

	/* In the place of what was there. */
	void plug(Slot slot, const VirtioPci::Model &model);
	[[nodiscard]] VirtioPci &device(Slot slot);

	/* Those of configuration, and those that BARs are at. */
	[[nodiscard]] bool has(std::uint16_t port) const;
	[[nodiscard]] std::uint32_t in(std::uint16_t port, unsigned size);
	void out(std::uint16_t port, unsigned size, std::uint32_t value);

	/* Which of the lines 0 to 15 are wired to it, and which of those are high. */
	[[nodiscard]] static std::uint16_t wired();
	[[nodiscard]] std::uint16_t lines() const;

private:
	[[nodiscard]] VirtioPci *addressed();
	[[nodiscard]] VirtioPci *at_port(std::uint16_t port);

	PciFunction bridge_;
	std::uint32_t address_ = 0;
	std::array<VirtioPci, all_slots.size()> devices_{};
};

static_assert(std::is_trivially_copyable_v<PciBus> &&
	      std::has_unique_object_representations_v<PciBus>);

} /* namespace corbel::vmm */
