/* SPDX-License-Identifier: GPL-2.0-or-later */
/* backends.hh - what the devices of the PCI bus have behind them, outside of the guest. */
#pragma once

#include "board.hh"
#include "packet_device.hh"
#include "virtio_blk.hh"
#include "virtio_rng.hh"

#include <optional>

namespace corbel::vmm {

struct Backends {
	std::optional<BlockDevice> disk;
	std::optional<PacketDevice> net, vsock;

	/* What a recording has, with nobody behind it. */
	void add_packet_devices(const std::optional<Mac> &mac,
				const std::optional<std::uint64_t> &cid)
	{
		if (mac)
			net = net_device(*mac, nullptr);
		if (cid)
			vsock = vsock_device(*cid, nullptr);
	}

	void plug_into(Board &board) const
	{
		board.pci().plug(Slot::entropy, entropy_model());
		if (disk)
			board.pci().plug(Slot::disk, disk->model());
		if (net)
			board.pci().plug(Slot::net, net->model());
		if (vsock)
			board.pci().plug(Slot::vsock, vsock->model());
	}

	/* A request of the device in the slot; how many bytes of it were written. */
	[[nodiscard]] Result<std::uint32_t> serve(Slot slot, const Chain &chain, Journal &journal)
	{
		switch (slot) {
		case Slot::disk:
			return disk->serve(chain, journal);
		case Slot::net:
			CORBEL_EXPECT(net->transmit(chain, journal));
			return 0;
		case Slot::vsock:
			CORBEL_EXPECT(vsock->transmit(chain, journal));
			return 0;
		default:
			return serve_entropy(chain, journal);
		}
	}
	/* What comes from outside waits for the guest. */
	[[nodiscard]] bool wait(Board &board, const GuestMemory &memory) const
	{
		return (net && net->waits(board.pci().device(Slot::net), memory)) ||
		       (vsock && vsock->waits(board.pci().device(Slot::vsock), memory));
	}
	[[nodiscard]] Result<void> receive(Board &board, GuestMemory &memory, Journal &journal)
	{
		if (net)
			CORBEL_EXPECT(net->receive(board.pci().device(Slot::net), memory, journal));
		if (vsock)
			CORBEL_EXPECT(
				vsock->receive(board.pci().device(Slot::vsock), memory, journal));
		return {};
	}
};

} /* namespace corbel::vmm */
