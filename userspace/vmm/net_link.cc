// SPDX-License-Identifier: GPL-2.0-or-later
#include "net_link.hh"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
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

bool set_path(sockaddr_un &address, const std::string &path)
{
	address.sun_family = AF_UNIX;
	if (path.empty() || path.size() >= sizeof(address.sun_path))
		return false;
	path.copy(address.sun_path, path.size());
	return true;
}

Result<ScopedFd> open_socket(const std::string &own, const std::string &peer)
{
	ScopedFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	sockaddr_un address{}, other{};

	if (!fd)
		return unusable("socket=" + own, errno);
	if (!set_path(address, own) || !set_path(other, peer))
		return unusable("socket=" + own, EINVAL,
				" It takes two paths: socket=PATH,peer=PATH.");
	if (::bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
		return unusable("socket=" + own, errno);
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
		link->fd_ = CORBEL_EXPECT(open_tap(text.substr(tap.size())));
	} else if (text.starts_with(socket) && middle != std::string::npos) {
		const auto own = text.substr(socket.size(), middle - socket.size());

		link->peer_path_ = text.substr(middle + peer.size());
		link->fd_ = CORBEL_EXPECT(open_socket(own, link->peer_path_));
		link->own_path_ = own;
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
	if (!own_path_.empty())
		::unlink(own_path_.c_str());
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
		std::array<pollfd, 2> polled{pollfd{fd_.get(), POLLIN, 0},
					     pollfd{stop_.get(), POLLIN, 0}};

		if ((::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) ||
		    polled[1].revents)
			return;
		/* NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): no lock is held here */
		const auto size = ::read(fd_.get(), frame.data(), frame.size());

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

std::string NetLink::take()
{
	const std::lock_guard lock(mutex_);
	auto frame = std::move(waiting_.front());

	waiting_.pop_front();
	changed_.notify_all();
	return frame;
}

void NetLink::send(std::string_view frame) const
{
	if (own_path_.empty()) {
		(void)!::write(fd_.get(), frame.data(), frame.size());
		return;
	}
	sockaddr_un peer{};

	if (set_path(peer, peer_path_))
		(void)::sendto(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL,
			       reinterpret_cast<const sockaddr *>(&peer), sizeof(peer));
}

} /* namespace corbel::vmm */
