/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet_device.hh - devices by which packets come and go: a network card, and vsock. Packets that
 * come in are data of the recording, of those that go out it has a digest. A replay has the
 * device, and nobody behind it.
 */
#pragma once

#include "journal.hh"
#include "net_link.hh"
#include "packet_link.hh"
#include "virtio_pci.hh"
#include "vsock_link.hh"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace corbel::vmm {

class PacketDevice {
public:
	static constexpr unsigned receive_queue = 0, transmit_queue = 1;

	struct Type {
		std::uint16_t id; /* <linux/virtio_ids.h> */
		std::uint16_t class_code;
		std::uint16_t queues;
		std::uint64_t features;
		std::size_t config_bytes;
		Channel channel;
		/* What stands before each packet; of those that are sent it is passed over. */
		std::array<std::uint8_t, 12> head;
		std::size_t head_bytes;
		std::size_t least, most; /* bytes of a packet; others are not sent */
		std::string_view packet; /* for errors */
	};
	using Config = std::array<std::uint8_t, 8>;

	/* @link: null for a replay. @type is kept. */
	PacketDevice(const Type &type, const Config &config, std::unique_ptr<PacketLink> link);

	/* Valid for as long as this is, and is not moved. */
	[[nodiscard]] VirtioPci::Model model() const;
	[[nodiscard]] PacketLink *link() const { return link_.get(); }

	/* What the guest sends. Nothing of the chain is written. */
	[[nodiscard]] Result<void> transmit(const Chain &chain, Journal &journal);
	/* Whether a packet waits that the guest has room for. A replay does not ask. */
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
	/* Into @chain, which is of the receive queue; none: that is broken. */
	void deliver(std::string_view packet, const std::optional<Chain> &chain, VirtioPci &device,
		     GuestMemory &memory);
	[[nodiscard]] std::uint8_t channel() const;

	const Type *type_;
	Config config_;
	std::unique_ptr<PacketLink> link_;
	struct {
		std::uint64_t sent = 0, received = 0;
	} counts_;
};

[[nodiscard]] PacketDevice net_device(const Mac &mac, std::unique_ptr<NetLink> link);
[[nodiscard]] PacketDevice vsock_device(std::uint64_t cid, std::unique_ptr<VsockLink> link);

} /* namespace corbel::vmm */
