/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio_net.hh - a network card of the guest's. Frames that come in are data of the recording,
 * of those that go out it has a digest. A replay has the card, and nobody behind it.
 */
#pragma once

#include "journal.hh"
#include "net_link.hh"
#include "virtio_pci.hh"

#include <cstdint>
#include <memory>

namespace corbel::vmm {

class NetDevice {
public:
	static constexpr unsigned receive_queue = 0, transmit_queue = 1;

	/* @link: null for a replay. */
	NetDevice(const Mac &mac, std::unique_ptr<NetLink> link);

	/* Valid for as long as this is. */
	[[nodiscard]] VirtioPci::Model model() const;
	[[nodiscard]] NetLink *link() const { return link_.get(); }

	/* What the guest sends. Nothing of the chain is written. */
	[[nodiscard]] Result<void> transmit(const Chain &chain, Journal &journal);
	/* Whether a frame waits that the guest has room for. A replay does not ask. */
	[[nodiscard]] bool waits(const VirtioPci &device, const GuestMemory &memory) const;
	/* All of those, or those that were recorded here. */
	[[nodiscard]] Result<void> receive(VirtioPci &device, GuestMemory &memory,
					   Journal &journal);

	[[nodiscard]] std::uint64_t sent() const { return counts_.sent; }
	[[nodiscard]] std::uint64_t received() const { return counts_.received; }
	/* What it knows of its guest. */
	[[nodiscard]] std::span<std::byte> state()
	{
		return std::as_writable_bytes(std::span(&counts_, 1));
	}

private:
	[[nodiscard]] Result<void> deliver(std::string_view frame, VirtioPci &device,
					   GuestMemory &memory, const Journal &journal);

	Mac mac_; /* which is all there is to know of it */
	std::unique_ptr<NetLink> link_;
	struct {
		std::uint64_t sent = 0, received = 0;
	} counts_;
};

} /* namespace corbel::vmm */
