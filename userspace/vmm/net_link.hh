/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * net_link.hh - where a guest's frames go and come from: a tap device, or a socket of datagrams,
 * a frame each, as QEMU's `-netdev dgram` has it. A thread takes what comes in; frames wait
 * for the guest, and behind so many of them in the kernel, which drops what is too much.
 */
#pragma once

#include "packet_link.hh"
#include "unix_socket.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace corbel::vmm {

using Mac = std::array<std::uint8_t, 6>;

class NetLink final : public PacketLink {
public:
	/* Of Ethernet, without its checksum. */
	static constexpr std::size_t least = 14, most = 1514;

	/* @text: tap=NAME, or socket=PATH,peer=PATH. */
	[[nodiscard]] static Result<std::unique_ptr<NetLink>> open(const std::string &text);
	~NetLink() override;

	/* Always the same for the same text. */
	[[nodiscard]] Mac mac() const { return mac_; }
	void start(std::function<void()> arrived) override;

	[[nodiscard]] bool waits() const override;
	[[nodiscard]] std::string take(std::size_t most) override;
	/* It is lost if there is nobody, or no room. */
	void send(std::string_view frame) override;

private:
	explicit NetLink(std::string_view text);

	void work();
	[[nodiscard]] int fd() const { return socket_ ? socket_->fd() : tap_.get(); }

	Mac mac_;
	ScopedFd tap_, stop_;
	std::optional<NamedSocket> socket_; /* instead of a tap */
	std::optional<sockaddr_un> peer_;
	std::function<void()> arrived_;
	mutable std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<std::string> waiting_;
	bool ends_ = false;
	std::thread thread_; /* the last, as it uses all of the above */
};

} /* namespace corbel::vmm */
