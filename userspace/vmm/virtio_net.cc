// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtio_net.hh"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::uint16_t class_ethernet = 0x0200;
/* <linux/virtio_net.h> is no C++. Its head of a frame says nothing but that it is in one piece. */
constexpr std::size_t head_bytes = 12, buffers_at = 10;
constexpr std::uint64_t feature_mac = 1 << 5;
constexpr auto net_channel = static_cast<std::uint8_t>(Channel::net);

} /* namespace */

NetDevice::NetDevice(const Mac &mac, std::unique_ptr<NetLink> link)
	: mac_(mac), link_(std::move(link))
{}

VirtioPci::Model NetDevice::model() const
{
	return {VIRTIO_ID_NET, class_ethernet, feature_mac, 2, mac_};
}

Result<void> NetDevice::transmit(const Chain &chain, Journal &journal)
{
	const auto size =
		chain.readable_bytes - std::min<std::uint64_t>(chain.readable_bytes, head_bytes);
	std::string frame(size <= NetLink::most ? size : 0, '\0');

	if (frame.size() < NetLink::least)
		return {};
	chain.read(head_bytes, std::as_writable_bytes(std::span(frame)));
	counts_.sent++;
	CORBEL_EXPECT(
		journal.agree(Kind::sent, 0, XXH3_64bits(frame.data(), frame.size()),
			      fmt::format("frame {} of {} bytes is sent", counts_.sent, size)));
	if (link_)
		link_->send(frame);
	return {};
}

bool NetDevice::waits(const VirtioPci &device, const GuestMemory &memory) const
{
	/* Looking may break a queue, which only exits may do to the one that there is. */
	auto queue = device.queue(receive_queue);

	return link_ && link_->waits() && device.runs() && queue.waiting(memory) > 0;
}

Result<void> NetDevice::receive(VirtioPci &device, GuestMemory &memory, Journal &journal)
{
	if (journal.mode() != Mode::replay) {
		while (waits(device, memory)) {
			const auto frame = link_->take();

			CORBEL_EXPECT(journal.give(Kind::data, net_channel, 0, frame));
			CORBEL_EXPECT(deliver(frame, device, memory, journal));
		}
		return {};
	}
	for (;;) {
		const auto next = CORBEL_EXPECT(journal.peek());

		if (kind_of(next) != Kind::data || info_of(next) != net_channel)
			return {};
		CORBEL_EXPECT(deliver(CORBEL_EXPECT(journal.take(Kind::data, NetLink::most)),
				      device, memory, journal));
	}
}

/* Into one request, which the driver makes large enough; one that is too small gets a part. */
Result<void> NetDevice::deliver(std::string_view frame, VirtioPci &device, GuestMemory &memory,
				const Journal &journal)
{
	auto &queue = device.queue(receive_queue);
	std::array<std::byte, head_bytes> head{};

	if (!device.runs() || queue.waiting(memory) == 0)
		return std::unexpected(
			journal.difference("the guest has no room for a frame that it received"));
	const auto chain = queue.take(memory);

	if (!chain) {
		device.need_reset();
		return {};
	}
	head[buffers_at] = std::byte{1};
	const auto written =
		chain->write(0, head) + chain->write(head_bytes, std::as_bytes(std::span(frame)));

	counts_.received++;
	queue.give(memory, *chain, static_cast<std::uint32_t>(written));
	if (queue.interrupts(memory))
		device.interrupt();
	return {};
}

} /* namespace corbel::vmm */
