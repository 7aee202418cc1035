// SPDX-License-Identifier: GPL-2.0-or-later
#include "net_link.hh"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::size_t most_waiting = 256;

std::unexpected<Error> unusable(std::string_view what, int error, std::string_view hint = {})
{
	return failure(error, fmt::format("The network {} cannot be used: {}.{}", what,
					  describe_errno(error), hint));
}

Result<ScopedFd> open_tap(const std::string &name)
{
	ScopedFd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	ifreq request{};

	if (!fd)
		return unusable("tap=" + name, errno, " /dev/net/tun is of the module tun.");
	if (name.empty() || name.size() >= sizeof(request.ifr_name))
		return unusable("tap=" + name, EINVAL);
	name.copy(request.ifr_name, name.size());
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (::ioctl(fd.get(), TUNSETIFF, &request) != 0)
		return unusable("tap=" + name, errno);
	return fd;
}

} /* namespace */

NetLink::NetLink(std::string_view text) : stop_(::eventfd(0, EFD_CLOEXEC))
{
	const auto sum = XXH3_64bits(text.data(), text.size());

	/* Of those that QEMU gives to guests. */
	mac_ = {0x52, 0x54, 0};
	for (unsigned i = 3; i < mac_.size(); i++)
		mac_[i] = static_cast<std::uint8_t>(sum >> 8 * i);
}

Result<std::unique_ptr<NetLink>> NetLink::open(const std::string &text)
{
	constexpr std::string_view tap = "tap=", socket = "socket=", peer = ",peer=";
	const auto middle = text.find(peer);
	std::unique_ptr<NetLink> link(new NetLink(text));

	if (text.starts_with(tap)) {
		link->tap_ = CORBEL_EXPECT(open_tap(text.substr(tap.size())));
	} else if (text.starts_with(socket) && middle != std::string::npos) {
		const auto own = text.substr(socket.size(), middle - socket.size());

		link->peer_ = unix_address(text.substr(middle + peer.size()));
		if (!link->peer_)
			return unusable(text, EINVAL,
					" It takes two paths: socket=PATH,peer=PATH.");
		link->socket_.emplace(
			CORBEL_EXPECT(NamedSocket::create(own, SOCK_DGRAM, "the network")));
	} else {
		return failure(EINVAL, fmt::format("{} is no network: tap=NAME is, and "
						   "socket=PATH,peer=PATH.",
						   text));
	}
	return link;
}

NetLink::~NetLink()
{
	if (thread_.joinable()) {
		{
			const std::lock_guard lock(mutex_);

			ends_ = true;
		}
		::eventfd_write(stop_.get(), 1);
		changed_.notify_all();
		thread_.join();
	}
}

void NetLink::start(std::function<void()> arrived)
{
	arrived_ = std::move(arrived);
	thread_ = std::thread([this] { work(); });
}

void NetLink::work()
{
	/* One byte more, by which frames that are too long are told. */
	std::array<char, most + 1> frame;

	for (;;) {
		std::array<pollfd, 2> polled{pollfd{fd(), POLLIN, 0},
					     pollfd{stop_.get(), POLLIN, 0}};

		if ((::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) ||
		    polled[1].revents)
			return;
		/* NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): no lock is held here */
		const auto size = ::read(fd(), frame.data(), frame.size());

		if (size < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (size < static_cast<ssize_t>(least) || size > static_cast<ssize_t>(most))
			continue;
		std::unique_lock lock(mutex_);

		changed_.wait(lock, [&] { return ends_ || waiting_.size() < most_waiting; });
		if (ends_)
			return;
		waiting_.emplace_back(frame.data(), static_cast<std::size_t>(size));
		lock.unlock();
		arrived_();
	}
}

bool NetLink::waits() const
{
	const std::lock_guard lock(mutex_);

	return !waiting_.empty();
}

std::string NetLink::take(std::size_t /*most*/)
{
	const std::lock_guard lock(mutex_);
	auto frame = std::move(waiting_.front());

	waiting_.pop_front();
	changed_.notify_all();
	return frame;
}

void NetLink::send(std::string_view frame)
{
	if (peer_)
		(void)::sendto(fd(), frame.data(), frame.size(), MSG_NOSIGNAL,
			       reinterpret_cast<const sockaddr *>(&*peer_), sizeof(*peer_));
	else
		(void)!::write(fd(), frame.data(), frame.size());
}

} /* namespace corbel::vmm */
