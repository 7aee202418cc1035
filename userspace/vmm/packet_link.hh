/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet_link.hh - where the packets of a device go to and come from, outside of the guest. */
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace corbel::vmm {

class PacketLink {
public:
	PacketLink() = default;
	virtual ~PacketLink() = default;
	PacketLink(const PacketLink &) = delete;
	PacketLink &operator=(const PacketLink &) = delete;

	/* @arrived is called on a thread of the link's whenever a packet waits. Once. */
	virtual void start(std::function<void()> arrived) = 0;
	[[nodiscard]] virtual bool waits() const = 0;
	/* One that waits, or so much of it, if it can be sent in pieces. */
	[[nodiscard]] virtual std::string take(std::size_t most) = 0;
	virtual void send(std::string_view packet) = 0;
};

} /* namespace corbel::vmm */
