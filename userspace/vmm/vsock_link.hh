/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vsock_link.hh - the host's end of a guest's vsock (virtio 1.2, section 5.10): Unix sockets. Who
 * connects to PATH and says `CONNECT PORT` and a line feed is answered `OK PORT` once the guest
 * has accepted, and is connected to it. Where the guest connects to port N of the host, it is connected
 * to the socket PATH_N.
 *
 * One thread does all of it; connections, and what is kept for each, are bounded, whatever the guest says.
 */
#pragma once

#include "packet_link.hh"
#include "unix_socket.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct virtio_vsock_hdr;

namespace corbel::vmm {

class VsockLink final : public PacketLink {
public:
	/* Of a packet: its head, and what a driver sends at once. */
	static constexpr std::size_t least = 44, most = least + 65536;
	static constexpr std::size_t most_to_guest = 4096;
	/* What the guest may have sent that the host has not taken. */
	static constexpr std::uint32_t window = 256 << 10;
	static constexpr std::size_t most_connections = 1024;

	/* @text: PATH, or PATH,cid=N: of 3 and up, 3 if it is not said. */
	[[nodiscard]] static Result<std::unique_ptr<VsockLink>> open(const std::string &text);
	~VsockLink() override;

	[[nodiscard]] std::uint64_t cid() const { return cid_; }

	void start(std::function<void()> arrived) override;
	[[nodiscard]] bool waits() const override;
	/* Data is in pieces as large as the guest's buffers are. */
	[[nodiscard]] std::string take(std::size_t most) override;
	/* Waits for the thread, if that is far behind. */
	void send(std::string_view packet) override;

private:
	struct Connection;

	VsockLink(std::uint64_t cid, NamedSocket listener);

	void work();
	[[nodiscard]] bool take_turn();
	void accept_one();
	void hear_greeting(Connection &connection);
	void obey(std::string_view packet);
	void open_to_host(const virtio_vsock_hdr &head);
	void welcome(Connection &connection);
	void note_shutdown(Connection &connection, std::uint32_t flags);
	void take_data(Connection &connection, std::string_view bytes);
	void write_out(Connection &connection);
	void read_in(Connection &connection);
	void say(Connection &connection, std::uint16_t op, std::string_view bytes = {},
		 std::uint32_t flags = 0);
	void refuse(const virtio_vsock_hdr &head);
	void reset(Connection &connection);
	void hand_over(const virtio_vsock_hdr &head, std::string_view bytes);
	void forget_ended();
	[[nodiscard]] Connection *find(const virtio_vsock_hdr &head);

	std::uint64_t cid_;
	NamedSocket listener_;
	ScopedFd wake_;
	std::function<void()> arrived_;

	/* ---- of the thread alone */
	std::vector<std::unique_ptr<Connection>> connections_;
	std::uint32_t next_port_ = 1U << 30;

	mutable std::mutex mutex_; /* the rest */
	std::condition_variable changed_;
	std::deque<std::string> to_guest_, from_guest_;
	bool ends_ = false;
	std::thread thread_; /* the last, as it uses all of the above */
};

} /* namespace corbel::vmm */
