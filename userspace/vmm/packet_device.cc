// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet_device.hh"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

/* <linux/virtio_net.h> is no C++. Its head of a frame says nothing but that it is in one piece. */
constexpr PacketDevice::Type net_type{
	.id = VIRTIO_ID_NET,
	.class_code = 0x0200,
	.queues = 2,
	.features = 1 << 5, /* the card has an address */
	.config_bytes = std::tuple_size_v<Mac>,
	.channel = Channel::net,
	.head = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0},
	.head_bytes = 12,
	.least = NetLink::least,
	.most = NetLink::most,
	.packet = "frame",
};

/* A packet has its own head. The third queue is for events, of which there are none. */
constexpr PacketDevice::Type vsock_type{
	.id = VIRTIO_ID_VSOCK,
	.class_code = 0xff00,
	.queues = 3,
	.features = 0,
	.config_bytes = sizeof(std::uint64_t),
	.channel = Channel::vsock,
	.head = {},
	.head_bytes = 0,
	.least = VsockLink::least,
	.most = VsockLink::most,
	.packet = "packet of vsock",
};

} /* namespace */

PacketDevice net_device(const Mac &mac, std::unique_ptr<NetLink> link)
{
	PacketDevice::Config config{};

	std::ranges::copy(mac, config.begin());
	return {net_type, config, std::move(link)};
}

PacketDevice vsock_device(std::uint64_t cid, std::unique_ptr<VsockLink> link)
{
	return {vsock_type, std::bit_cast<PacketDevice::Config>(cid), std::move(link)};
}

PacketDevice::PacketDevice(const Type &type, const Config &config, std::unique_ptr<PacketLink> link)
	: type_(&type), config_(config), link_(std::move(link))
{}

VirtioPci::Model PacketDevice::model() const
{
	return {type_->id, type_->class_code, type_->features, type_->queues,
		std::span(config_).first(type_->config_bytes)};
}

std::uint8_t PacketDevice::channel() const
{
	return std::to_underlying(type_->channel);
}

Result<void> PacketDevice::transmit(const Chain &chain, Journal &journal)
{
	const auto size = chain.readable_bytes -
			  std::min<std::uint64_t>(chain.readable_bytes, type_->head_bytes);
	std::string packet(size <= type_->most ? size : 0, '\0');

	if (packet.size() < type_->least)
		return {};
	chain.read(type_->head_bytes, std::as_writable_bytes(std::span(packet)));
	counts_.sent++;
	CORBEL_EXPECT(journal.agree(
		Kind::sent, channel(), XXH3_64bits(packet.data(), packet.size()),
		fmt::format("{} {} of {} bytes is sent", type_->packet, counts_.sent, size)));
	if (link_)
		link_->send(packet);
	return {};
}

bool PacketDevice::waits(const VirtioPci &device, const GuestMemory &memory) const
{
	/* Looking may break a queue, which only exits may do to the one that there is. */
	auto queue = device.queue(receive_queue);

	return link_ && link_->waits() && device.runs() && queue.waiting(memory) > 0;
}

Result<void> PacketDevice::receive(VirtioPci &device, GuestMemory &memory, Journal &journal)
{
	auto &queue = device.queue(receive_queue);

	if (journal.mode() != Mode::replay) {
		while (waits(device, memory)) {
			const auto chain = queue.take(memory);
			const auto room = chain ? chain->writable_bytes : type_->most;
			const auto packet = link_->take(room - std::min(room, type_->head_bytes));

			CORBEL_EXPECT(journal.give(Kind::data, channel(), 0, packet));
			deliver(packet, chain, device, memory);
		}
		return {};
	}
	for (;;) {
		const auto next = CORBEL_EXPECT(journal.peek());

		if (kind_of(next) != Kind::data || info_of(next) != channel())
			return {};
		if (!device.runs() || queue.waiting(memory) == 0)
			return std::unexpected(journal.difference(fmt::format(
				"the guest has no room for a {} that it received", type_->packet)));
		const auto packet = CORBEL_EXPECT(journal.take(Kind::data, type_->most));

		deliver(packet, queue.take(memory), device, memory);
	}
}

/* Into one request, which the driver makes large enough; one that is too small gets a part. */
void PacketDevice::deliver(std::string_view packet, const std::optional<Chain> &chain,
			   VirtioPci &device, GuestMemory &memory)
{
	auto &queue = device.queue(receive_queue);
	const auto head = std::as_bytes(std::span(type_->head).first(type_->head_bytes));

	if (!chain) {
		device.need_reset();
		return;
	}
	const auto written = chain->write(0, head) +
			     chain->write(type_->head_bytes, std::as_bytes(std::span(packet)));

	counts_.received++;
	queue.give(memory, *chain, static_cast<std::uint32_t>(written));
	if (queue.interrupts(memory))
		device.interrupt();
}

} /* namespace corbel::vmm */
