// SPDX-License-Identifier: GPL-2.0-or-later
//
// The host's end of a guest's vsock: a driver is played to it packet by packet, and programs of the
// host by sockets.
#include "result.hh"
#include "temporary_folder.hh"
#include "vmm_program.hh"
#include "wait_until.hh"

#include <vmm/vsock_link.hh>

#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::must;
using corbel::test::TemporaryFolder;

constexpr std::uint64_t cid = 3;
constexpr std::uint32_t guest_port = 1234, host_port = 77;

struct Packet {
	virtio_vsock_hdr head{};
	std::string bytes;
};

/* A program of the host's. */
class Program {
public:
	explicit Program(ScopedFd fd) : fd_(std::move(fd)) {}

	void say(std::string_view text) const
	{
		ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
			  static_cast<ssize_t>(text.size()));
	}
	[[nodiscard]] std::string hear(std::size_t bytes) const
	{
		return corbel::test::hear(fd_, bytes);
	}
	[[nodiscard]] bool is_at_end() const { return hear(1).empty(); }
	void say_no_more() const { ::shutdown(fd_.get(), SHUT_WR); }

private:
	ScopedFd fd_;
};

struct vmm_vsock : testing::Test {
	vmm_vsock() : path((folder.path() / "vsock").string()), link(must(VsockLink::open(path)))
	{
		link->start([] {});
	}

	/* ---- the guest */
	void send(std::uint16_t op, std::string_view bytes = {}, std::uint32_t flags = 0)
	{
		sending.op = op;
		sending.flags = flags;
		sending.len = static_cast<std::uint32_t>(bytes.size());
		send(sending, bytes);
	}
	void send(const virtio_vsock_hdr &head, std::string_view bytes = {})
	{
		std::string packet(reinterpret_cast<const char *>(&head), sizeof(head));

		link->send(packet += bytes);
	}
	Packet receive()
	{
		Packet packet;

		if (!test::wait_until([&] { return link->waits(); })) {
			ADD_FAILURE() << "nothing comes";
			return packet;
		}
		const auto whole = link->take(most);

		std::memcpy(&packet.head, whole.data(), sizeof(packet.head));
		packet.bytes = whole.substr(sizeof(packet.head));
		EXPECT_EQ(packet.head.len, packet.bytes.size());
		return packet;
	}
	void expect(std::uint16_t op) { EXPECT_EQ(receive().head.op, op); }

	/* ---- the host */
	[[nodiscard]] Program connect() const { return Program(test::connect_to(path)); }
	[[nodiscard]] ScopedFd listen() const
	{
		auto fd = test::stream_socket();
		const auto address = unix_address(path + "_77").value();

		EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr *>(&address),
				 sizeof(address)),
			  0);
		EXPECT_EQ(::listen(fd.get(), 8), 0);
		return fd;
	}
	static Program accept(const ScopedFd &listener)
	{
		return Program(ScopedFd(::accept(listener.get(), nullptr, nullptr)));
	}
	/* From the guest. */
	Program opened(const ScopedFd &listener)
	{
		send(VIRTIO_VSOCK_OP_REQUEST);
		expect(VIRTIO_VSOCK_OP_RESPONSE);
		return accept(listener);
	}

	std::size_t most = VsockLink::most; /* that a buffer of the guest has room for */
	TemporaryFolder folder;
	std::string path;
	std::unique_ptr<VsockLink> link;
	virtio_vsock_hdr sending = [] {
		virtio_vsock_hdr head{};

		head.src_cid = cid;
		head.dst_cid = VMADDR_CID_HOST;
		head.src_port = guest_port;
		head.dst_port = host_port;
		head.type = VIRTIO_VSOCK_TYPE_STREAM;
		head.buf_alloc = 65536;
		return head;
	}();
};

TEST_F(vmm_vsock, connects_the_guest_to_who_listens)
{
	const auto listener = listen();
	const auto program = opened(listener);

	send(VIRTIO_VSOCK_OP_RW, "from the guest");
	EXPECT_EQ(program.hear(14), "from the guest");
	program.say("from the host");
	const auto packet = receive();
	EXPECT_EQ(packet.head.op, VIRTIO_VSOCK_OP_RW);
	EXPECT_EQ(packet.bytes, "from the host");
	EXPECT_EQ(packet.head.src_cid, VMADDR_CID_HOST);
	EXPECT_EQ(packet.head.dst_cid, cid);
	EXPECT_EQ(packet.head.src_port, host_port);
	EXPECT_EQ(packet.head.dst_port, guest_port);
	EXPECT_EQ(packet.head.fwd_cnt, 14U);
}

TEST_F(vmm_vsock, connects_who_asks_for_it_to_the_guest)
{
	const auto program = connect();

	program.say("CONNECT 9\nand more");
	const auto request = receive();
	EXPECT_EQ(request.head.op, VIRTIO_VSOCK_OP_REQUEST);
	EXPECT_EQ(request.head.dst_port, 9U);
	sending.src_port = 9;
	sending.dst_port = request.head.src_port;
	send(VIRTIO_VSOCK_OP_RESPONSE);
	const auto answer = "OK " + std::to_string(request.head.src_port) + "\n";
	EXPECT_EQ(program.hear(answer.size()), answer);
	EXPECT_EQ(receive().bytes, "and more");
	/* Two are two. */
	const auto other = connect();
	other.say("CONNECT 9\n");
	EXPECT_NE(receive().head.src_port, request.head.src_port);
}

TEST_F(vmm_vsock, tells_the_host_that_nobody_listens_in_the_guest)
{
	const auto program = connect();

	program.say("CONNECT 9\n");
	const auto request = receive();
	sending.src_port = 9;
	sending.dst_port = request.head.src_port;
	send(VIRTIO_VSOCK_OP_RST);
	EXPECT_TRUE(program.is_at_end());
}

TEST_F(vmm_vsock, takes_no_other_greeting)
{
	for (const char *text :
	     {"connect 9\n", "CONNECT\n", "CONNECT x\n", "CONNECT 9 \n", "CONNECT 4294967296\n",
	      "\n", "CONNECT 00000000000000000000000000000000000000000000000000000009\n"}) {
		const auto program = connect();

		program.say(text);
		EXPECT_TRUE(program.is_at_end()) << text;
	}
	const auto silent = connect();
	silent.say_no_more();
	EXPECT_TRUE(silent.is_at_end());
	EXPECT_FALSE(link->waits());
}

TEST_F(vmm_vsock, refuses_where_nobody_listens)
{
	send(VIRTIO_VSOCK_OP_REQUEST);
	const auto packet = receive();
	EXPECT_EQ(packet.head.op, VIRTIO_VSOCK_OP_RST);
	EXPECT_EQ(packet.head.src_port, host_port);
	EXPECT_EQ(packet.head.dst_port, guest_port);
}

TEST_F(vmm_vsock, refuses_what_makes_no_sense)
{
	const auto listener = listen();
	const auto change = [&](auto &&change) {
		auto head = sending;

		head.op = VIRTIO_VSOCK_OP_REQUEST;
		change(head);
		send(head);
		expect(VIRTIO_VSOCK_OP_RST);
	};

	change([](auto &head) { head.src_cid = cid + 1; });
	change([](auto &head) { head.dst_cid = 5; });
	change([](auto &head) { head.type = VIRTIO_VSOCK_TYPE_SEQPACKET; });
	change([](auto &head) { head.len = 1; });
	change([](auto &head) { head.op = VIRTIO_VSOCK_OP_RW; });
	change([](auto &head) { head.op = 99; });
	auto head = sending;
	head.op = VIRTIO_VSOCK_OP_RST;
	send(head); /* is not answered, or two would never end */
	const auto program = opened(listener);
	change([](auto &head) { head.op = VIRTIO_VSOCK_OP_REQUEST; });
	EXPECT_TRUE(program.is_at_end());
	const auto other = opened(listener);
	change([](auto &head) { head.op = 99; });
	EXPECT_TRUE(other.is_at_end());
}

TEST_F(vmm_vsock, sends_no_more_than_the_guest_has_room_for)
{
	const auto listener = listen();

	sending.buf_alloc = 10000;
	const auto program = opened(listener);
	program.say(std::string(20000, 'x'));
	std::size_t got = 0;
	while (got < 10000)
		got += receive().bytes.size();
	EXPECT_EQ(got, 10000U);
	/* Nothing follows: what is sent for this is an answer to it. */
	send(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	sending.fwd_cnt = 10000;
	send(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	while (got < 20000)
		got += receive().bytes.size();
	EXPECT_EQ(got, 20000U);
}

TEST_F(vmm_vsock, tells_the_guest_that_it_has_room_again)
{
	const auto listener = listen();
	const auto program = opened(listener);
	const std::string piece(VsockLink::window / 4, 'x');

	for (int i = 0; i < 4; i++)
		send(VIRTIO_VSOCK_OP_RW, piece);
	EXPECT_EQ(program.hear(VsockLink::window).size(), VsockLink::window);
	const auto packet = receive();
	EXPECT_EQ(packet.head.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	EXPECT_GE(packet.head.fwd_cnt, VsockLink::window / 2);
}

TEST_F(vmm_vsock, ends_a_connection_whose_guest_sends_more_than_there_is_room_for)
{
	const auto listener = listen();
	const auto program = opened(listener);

	for (int i = 0; i < 64; i++)
		send(VIRTIO_VSOCK_OP_RW, std::string(65536, 'x'));
	for (auto packet = receive(); packet.head.op != VIRTIO_VSOCK_OP_RST; packet = receive())
		ASSERT_EQ(packet.head.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

TEST_F(vmm_vsock, sends_as_much_as_a_buffer_has_room_for)
{
	const auto listener = listen();
	const auto program = opened(listener);

	program.say("abcdefgh");
	most = VsockLink::least + 3;
	EXPECT_EQ(receive().bytes, "abc");
	EXPECT_EQ(receive().bytes, "def");
	EXPECT_EQ(receive().bytes, "gh");
	/* Into one that has none for data nothing fits. */
	program.say("abc");
	most = VsockLink::least;
	EXPECT_EQ(receive().bytes, "abc");
}

/* More than either end has room for at once. */
TEST_F(vmm_vsock, carries_much_both_ways)
{
	const auto listener = listen();

	sending.buf_alloc = VsockLink::window;
	const auto program = opened(listener);
	std::string data(600000, '\0'), got, back;
	std::mt19937 random(2);

	for (char &byte : data)
		byte = static_cast<char>(random());
	std::thread host([&] {
		program.say(data);
		program.say_no_more();
		back = program.hear(data.size());
	});
	for (auto packet = receive(); packet.head.op == VIRTIO_VSOCK_OP_RW; packet = receive()) {
		got += packet.bytes;
		if (got.size() - sending.fwd_cnt > VsockLink::window / 2) {
			sending.fwd_cnt = static_cast<std::uint32_t>(got.size());
			send(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		}
	}
	EXPECT_EQ(got.size(), data.size());
	EXPECT_TRUE(got == data);
	for (std::uint32_t at = 0, room = VsockLink::window, taken = 0; at < got.size();) {
		while (at - taken + 65536 > room)
			taken = receive().head.fwd_cnt;
		const auto piece = got.substr(at, 65536);

		send(VIRTIO_VSOCK_OP_RW, piece);
		at += static_cast<std::uint32_t>(piece.size());
	}
	host.join();
	EXPECT_EQ(back.size(), data.size());
	EXPECT_TRUE(back == data);
}

TEST_F(vmm_vsock, ends_each_way_by_itself)
{
	const auto listener = listen();
	const auto program = opened(listener);

	program.say("last words");
	program.say_no_more();
	EXPECT_EQ(receive().bytes, "last words");
	const auto packet = receive();
	EXPECT_EQ(packet.head.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	EXPECT_EQ(packet.head.flags, std::uint32_t{VIRTIO_VSOCK_SHUTDOWN_SEND});
	send(VIRTIO_VSOCK_OP_RW, "an answer");
	send(VIRTIO_VSOCK_OP_SHUTDOWN, {}, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
	EXPECT_EQ(program.hear(100), "an answer");
	expect(VIRTIO_VSOCK_OP_RST);
}

TEST_F(vmm_vsock, loses_nothing_of_who_leaves)
{
	const auto listener = listen();

	sending.buf_alloc = 4096;
	{
		const auto program = opened(listener);

		program.say(std::string(50000, 'x'));
	}
	for (std::uint32_t got = 0; got < 50000;) {
		const auto packet = receive();

		ASSERT_EQ(packet.head.op, VIRTIO_VSOCK_OP_RW);
		got += packet.head.len;
		sending.fwd_cnt = got;
		send(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	}
	expect(VIRTIO_VSOCK_OP_SHUTDOWN);
	expect(VIRTIO_VSOCK_OP_RST);
}

TEST_F(vmm_vsock, tells_a_program_that_the_guest_has_gone)
{
	const auto listener = listen();
	const auto program = opened(listener);

	send(VIRTIO_VSOCK_OP_RST);
	EXPECT_TRUE(program.is_at_end());
}

TEST_F(vmm_vsock, withstands_any_guest)
{
	const auto listener = listen();
	std::mt19937 random(1);
	const auto any = [&](auto... values) {
		const std::array choice{static_cast<std::uint32_t>(values)...};

		return choice[random() % choice.size()];
	};

	for (int i = 0; i < 20000; i++) {
		auto head = sending;

		head.op = static_cast<std::uint16_t>(random() % 9);
		head.src_port = any(guest_port, guest_port + 1, 0, ~0U);
		head.dst_port = any(host_port, host_port, 1U << 30, ~0U);
		head.flags = random() % 4;
		head.buf_alloc = any(0, 1, 65536, ~0U);
		head.fwd_cnt = any(0, 1, ~0U, random());
		head.len = any(0, 3, 4, ~0U);
		send(head, "abc");
		if (link->waits() && i % 3 == 0)
			(void)link->take(most);
	}
	while (link->waits())
		(void)link->take(most);
	/* And works still. */
	sending.src_port = 4;
	sending.op = VIRTIO_VSOCK_OP_REQUEST;
	send(sending);
	for (auto packet = receive(); packet.head.dst_port != 4; packet = receive())
		;
}

TEST_F(vmm_vsock, leaves_no_socket_behind_and_takes_none_that_is_used)
{
	EXPECT_EQ(error_of(VsockLink::open(path)), EADDRINUSE);
	link.reset();
	EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(vmm_vsock, that_is_none_is_refused)
{
	EXPECT_EQ(must(VsockLink::open(path + "2,cid=77"))->cid(), 77U);
	for (const char *text : {"", ",cid=3", "/tmp/x,cid=2", "/tmp/x,cid=", "/tmp/x,cid=x",
				 "/tmp/x,cid=4294967295", "/there/is/no/such/folder"})
		EXPECT_NE(error_of(VsockLink::open(text)), 0) << text;
	EXPECT_EQ(error_of(VsockLink::open(std::string(200, 'x'))), ENAMETOOLONG);
}

} /* namespace */
