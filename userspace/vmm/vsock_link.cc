// SPDX-License-Identifier: GPL-2.0-or-later
#include "vsock_link.hh"

#include <libcorbel/number.hh>

#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

constexpr std::size_t most_from_guest = 1024; /* packets that the thread has not seen */
/* Packets that wait for the guest: behind so many there is no more data, or nothing at all. */
constexpr std::size_t most_data = 256, most_waiting = 8192;
constexpr std::size_t longest_greeting = 64;
constexpr std::uint64_t first_cid = VMADDR_CID_HOST + 1, last_cid = VMADDR_CID_ANY - 1U;

virtio_vsock_hdr head_of(std::string_view packet)
{
	virtio_vsock_hdr head;

	static_assert(sizeof(head) == VsockLink::least);
	std::memcpy(&head, packet.data(), sizeof(head));
	return head;
}

/* Its head says how much follows. */
std::string with_length(std::string packet)
{
	auto head = head_of(packet);

	head.len = static_cast<std::uint32_t>(packet.size() - sizeof(head));
	std::memcpy(packet.data(), &head, sizeof(head));
	return packet;
}

} /* namespace */

struct VsockLink::Connection {
	enum class State : std::uint8_t { greeting, opening, open, ended };

	ScopedFd fd;
	State state = State::greeting;
	std::uint32_t guest_port = 0, host_port = 0;
	std::string greeting; /* what the host's program has said so far */
	std::string to_host; /* what it has not taken yet */
	std::uint32_t written = 0, told = 0; /* of the guest's bytes, and of which it knows */
	std::uint32_t room = 0, taken = 0, sent = 0; /* the guest's, as it says; ours to it */
	bool guest_sends = true, guest_receives = true, host_sends = true;

	[[nodiscard]] std::uint32_t credit() const
	{
		const auto on_the_way = sent - taken;

		return on_the_way < room ? room - on_the_way : 0;
	}
	[[nodiscard]] bool reads(bool crowded) const
	{
		return state == State::greeting || (state == State::open && host_sends &&
						    guest_receives && credit() > 0 && !crowded);
	}
	/* That its program has gone is of no interest before all it has sent was read. */
	[[nodiscard]] pollfd watched(bool crowded) const
	{
		const auto events = static_cast<short>((reads(crowded) ? POLLIN : 0) |
						       (to_host.empty() ? 0 : POLLOUT));
		const bool is_done = state == State::open && !host_sends;

		return {events || is_done ? fd.get() : -1, events, 0};
	}
};

VsockLink::VsockLink(std::uint64_t cid, NamedSocket listener)
	: cid_(cid), listener_(std::move(listener)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{}

Result<std::unique_ptr<VsockLink>> VsockLink::open(const std::string &text)
{
	constexpr std::string_view option = ",cid=";
	const auto at = text.rfind(option);
	const auto cid = at == std::string::npos
				 ? first_cid
				 : number_of<std::uint64_t>(
					   std::string_view(text).substr(at + option.size()));

	if (!cid || *cid < first_cid || *cid > last_cid)
		return failure(EINVAL, fmt::format("{} is no vsock: PATH is, and PATH,cid=N, of "
						   "{} to {}.",
						   text, first_cid, last_cid));
	auto listener =
		CORBEL_EXPECT(NamedSocket::create(text.substr(0, at), SOCK_STREAM, "vsock"));

	return std::unique_ptr<VsockLink>(new VsockLink(*cid, std::move(listener)));
}

VsockLink::~VsockLink()
{
	if (!thread_.joinable())
		return;
	{
		const std::lock_guard lock(mutex_);

		ends_ = true;
	}
	::eventfd_write(wake_.get(), 1);
	changed_.notify_all();
	thread_.join();
}

/* ---- between the guest's thread and this ------------------------------------------- */

void VsockLink::start(std::function<void()> arrived)
{
	arrived_ = std::move(arrived);
	thread_ = std::thread([this] { work(); });
}

bool VsockLink::waits() const
{
	const std::lock_guard lock(mutex_);

	return !to_guest_.empty();
}

std::string VsockLink::take(std::size_t most)
{
	const std::lock_guard lock(mutex_);
	auto &first = to_guest_.front();

	if (first.size() > most && most > least) {
		auto piece = with_length(first.substr(0, most));

		first.erase(least, most - least);
		first = with_length(std::move(first));
		return piece;
	}
	auto packet = std::move(first);

	to_guest_.pop_front();
	if (to_guest_.size() == most_data / 2)
		::eventfd_write(wake_.get(), 1);
	return packet;
}

void VsockLink::send(std::string_view packet)
{
	std::unique_lock lock(mutex_);

	changed_.wait(lock, [&] { return ends_ || from_guest_.size() < most_from_guest; });
	from_guest_.emplace_back(packet);
	lock.unlock();
	::eventfd_write(wake_.get(), 1);
}

void VsockLink::hand_over(const virtio_vsock_hdr &head, std::string_view bytes)
{
	std::string packet(sizeof(head) + bytes.size(), '\0');

	std::memcpy(packet.data(), &head, sizeof(head));
	bytes.copy(packet.data() + sizeof(head), bytes.size());
	{
		const std::lock_guard lock(mutex_);

		if (to_guest_.size() >= most_waiting)
			return;
		to_guest_.push_back(std::move(packet));
	}
	arrived_();
}

/* ---- the thread -------------------------------------------------------------------- */

void VsockLink::work()
{
	while (take_turn())
		forget_ended();
}

bool VsockLink::take_turn()
{
	const bool accepts = connections_.size() < most_connections;
	std::vector<pollfd> polled{{wake_.get(), POLLIN, 0},
				   {accepts ? listener_.fd() : -1, POLLIN, 0}};
	bool crowded = false;

	{
		const std::lock_guard lock(mutex_);

		crowded = to_guest_.size() >= most_data;
	}
	for (const auto &connection : connections_)
		polled.push_back(connection->watched(crowded));
	if (::poll(polled.data(), polled.size(), -1) < 0)
		return errno == EINTR;
	std::deque<std::string> packets;
	eventfd_t woken = 0;

	(void)::eventfd_read(wake_.get(), &woken);
	{
		const std::lock_guard lock(mutex_);

		if (ends_)
			return false;
		packets.swap(from_guest_);
	}
	changed_.notify_all();
	/* Those that were polled: what the packets add comes behind them. */
	for (std::size_t i = 2; i < polled.size(); i++) {
		auto &connection = *connections_[i - 2];

		if (polled[i].revents & POLLOUT)
			write_out(connection);
		if (connection.state == Connection::State::ended)
			continue;
		if (polled[i].revents & POLLIN)
			connection.state == Connection::State::greeting ? hear_greeting(connection)
									: read_in(connection);
		else if (polled[i].revents & (POLLERR | POLLHUP))
			reset(connection);
	}
	for (const auto &packet : packets)
		obey(packet);
	if (polled[1].revents)
		accept_one();
	return true;
}

void VsockLink::forget_ended()
{
	std::erase_if(connections_, [](const auto &connection) {
		return connection->state == Connection::State::ended;
	});
}

/* ---- the host's programs ----------------------------------------------------------- */

void VsockLink::accept_one()
{
	ScopedFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));

	if (!fd)
		return;
	auto connection = std::make_unique<Connection>();

	connection->fd = std::move(fd);
	connection->host_port = next_port_;
	/* The lower half is for those that listen. */
	next_port_ = (next_port_ + 1) | 1U << 30;
	connections_.push_back(std::move(connection));
}

/* Byte by byte, as what follows the line is for the guest. */
void VsockLink::hear_greeting(Connection &connection)
{
	constexpr std::string_view word = "CONNECT ";
	char byte = 0;

	while (!connection.greeting.ends_with('\n')) {
		const auto got = ::read(connection.fd.get(), &byte, 1);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0 || connection.greeting.size() >= longest_greeting) {
			connection.state = Connection::State::ended;
			return;
		}
		connection.greeting += byte;
	}
	connection.greeting.pop_back();
	const auto port =
		connection.greeting.starts_with(word)
			? number_of<std::uint32_t>(
				  std::string_view(connection.greeting).substr(word.size()))
			: std::nullopt;

	if (!port) {
		connection.state = Connection::State::ended;
		return;
	}
	connection.guest_port = *port;
	connection.state = Connection::State::opening;
	say(connection, VIRTIO_VSOCK_OP_REQUEST);
}

void VsockLink::open_to_host(const virtio_vsock_hdr &head)
{
	const auto address = unix_address(fmt::format("{}_{}", listener_.path(), head.dst_port));
	auto fd = unix_socket(SOCK_STREAM);

	if (!address || !fd || connections_.size() >= most_connections ||
	    ::connect(fd.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof(*address)) !=
		    0) {
		refuse(head);
		return;
	}
	auto connection = std::make_unique<Connection>();

	connection->fd = std::move(fd);
	connection->guest_port = head.src_port;
	connection->host_port = head.dst_port;
	connection->room = head.buf_alloc;
	connection->taken = head.fwd_cnt;
	connection->state = Connection::State::open;
	say(*connection, VIRTIO_VSOCK_OP_RESPONSE);
	connections_.push_back(std::move(connection));
}

void VsockLink::read_in(Connection &connection)
{
	std::array<char, most_to_guest> bytes;
	const auto got = ::read(connection.fd.get(), bytes.data(),
				std::min<std::size_t>(bytes.size(), connection.credit()));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0) {
		reset(connection);
		return;
	}
	if (got == 0) {
		connection.host_sends = false;
		say(connection, VIRTIO_VSOCK_OP_SHUTDOWN, {}, VIRTIO_VSOCK_SHUTDOWN_SEND);
		return;
	}
	connection.sent += static_cast<std::uint32_t>(got);
	say(connection, VIRTIO_VSOCK_OP_RW, {bytes.data(), static_cast<std::size_t>(got)});
}

void VsockLink::write_out(Connection &connection)
{
	auto &bytes = connection.to_host;

	while (!bytes.empty()) {
		const auto done = ::send(connection.fd.get(), bytes.data(), bytes.size(),
					 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (done < 0) {
			reset(connection);
			return;
		}
		bytes.erase(0, static_cast<std::size_t>(done));
		connection.written += static_cast<std::uint32_t>(done);
	}
	if (connection.written - connection.told >= window / 2)
		say(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	if (!bytes.empty() || connection.guest_sends)
		return;
	::shutdown(connection.fd.get(), SHUT_WR);
	/* Nothing goes either way any more, which the guest waits to hear. */
	if (!connection.guest_receives || !connection.host_sends)
		reset(connection);
}

/* ---- the guest --------------------------------------------------------------------- */

VsockLink::Connection *VsockLink::find(const virtio_vsock_hdr &head)
{
	const auto is_it = [&](const auto &connection) {
		return connection->guest_port == head.src_port &&
		       connection->host_port == head.dst_port &&
		       (connection->state == Connection::State::open ||
			connection->state == Connection::State::opening);
	};
	const auto found = std::ranges::find_if(connections_, is_it);

	return found == connections_.end() ? nullptr : found->get();
}

void VsockLink::obey(std::string_view packet)
{
	const auto head = head_of(packet);
	const auto bytes = packet.substr(sizeof(head));

	if (head.dst_cid != VMADDR_CID_HOST || head.src_cid != cid_ ||
	    head.type != VIRTIO_VSOCK_TYPE_STREAM || head.len > bytes.size()) {
		refuse(head);
		return;
	}
	auto *const connection = find(head);

	if (!connection) {
		head.op == VIRTIO_VSOCK_OP_REQUEST ? open_to_host(head) : refuse(head);
		return;
	}
	const bool opens = connection->state == Connection::State::opening;
	const bool answers = head.op == VIRTIO_VSOCK_OP_RESPONSE;

	connection->room = head.buf_alloc;
	connection->taken = head.fwd_cnt;
	if (head.op == VIRTIO_VSOCK_OP_RST)
		connection->state = Connection::State::ended;
	else if (opens && answers)
		welcome(*connection);
	else if (!opens && head.op == VIRTIO_VSOCK_OP_RW)
		take_data(*connection, bytes.substr(0, head.len));
	else if (!opens && head.op == VIRTIO_VSOCK_OP_SHUTDOWN)
		note_shutdown(*connection, head.flags);
	else if (!opens && head.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		say(*connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	else if (opens || head.op != VIRTIO_VSOCK_OP_CREDIT_UPDATE)
		reset(*connection);
}

/* The host's program is told that the guest has taken its connection. */
void VsockLink::welcome(Connection &connection)
{
	const auto answer = fmt::format("OK {}\n", connection.host_port);

	connection.state = Connection::State::open;
	if (::send(connection.fd.get(), answer.data(), answer.size(),
		   MSG_NOSIGNAL | MSG_DONTWAIT) != static_cast<ssize_t>(answer.size()))
		reset(connection);
}

void VsockLink::take_data(Connection &connection, std::string_view bytes)
{
	if (!connection.guest_sends || connection.to_host.size() + bytes.size() > window) {
		reset(connection);
		return;
	}
	connection.to_host += bytes;
	write_out(connection);
}

void VsockLink::note_shutdown(Connection &connection, std::uint32_t flags)
{
	connection.guest_receives =
		connection.guest_receives && !(flags & VIRTIO_VSOCK_SHUTDOWN_RCV);
	if (!connection.guest_receives)
		::shutdown(connection.fd.get(), SHUT_RD);
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND) {
		connection.guest_sends = false;
		write_out(connection);
	}
}

void VsockLink::say(Connection &connection, std::uint16_t op, std::string_view bytes,
		    std::uint32_t flags)
{
	virtio_vsock_hdr head{};

	head.src_cid = VMADDR_CID_HOST;
	head.dst_cid = cid_;
	head.src_port = connection.host_port;
	head.dst_port = connection.guest_port;
	head.len = static_cast<std::uint32_t>(bytes.size());
	head.type = VIRTIO_VSOCK_TYPE_STREAM;
	head.op = op;
	head.flags = flags;
	head.buf_alloc = window;
	head.fwd_cnt = connection.written;
	connection.told = connection.written;
	hand_over(head, bytes);
}

/* As the guest speaks of it. */
void VsockLink::refuse(const virtio_vsock_hdr &asked)
{
	virtio_vsock_hdr head{};

	head.src_cid = asked.dst_cid;
	head.dst_cid = asked.src_cid;
	head.src_port = asked.dst_port;
	head.dst_port = asked.src_port;
	head.type = asked.type;
	head.op = VIRTIO_VSOCK_OP_RST;
	if (asked.op != VIRTIO_VSOCK_OP_RST)
		hand_over(head, {});
}

void VsockLink::reset(Connection &connection)
{
	const bool known = connection.state == Connection::State::open ||
			   connection.state == Connection::State::opening;

	connection.state = Connection::State::ended;
	if (known)
		say(connection, VIRTIO_VSOCK_OP_RST, {}, 0);
}

} /* namespace corbel::vmm */
