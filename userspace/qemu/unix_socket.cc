// SPDX-License-Identifier: GPL-2.0-or-later
#include "unix_socket.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

using namespace std::chrono_literals;

std::unexpected<Error> no_connection(int number, const std::filesystem::path &path)
{
	return failure(number, fmt::format("Nothing can be connected to at {}: {}.", path.string(),
					   number == ETIMEDOUT ? "nobody takes the connection"
							       : describe_errno(number)));
}

} /* namespace */

int Deadline::left_ms() const
{
	const auto left = std::chrono::ceil<std::chrono::milliseconds>(
		end_ - std::chrono::steady_clock::now());

	return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3600 * 1000));
}

Result<ScopedFd> connect_unix(const std::filesystem::path &path, Deadline deadline)
{
	/* A name has room for 107 bytes; below a folder's descriptor every one is short. */
	const ScopedFd folder(::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
	const auto name =
		fmt::format("/proc/self/fd/{}/{}", folder.get(), path.filename().string());
	sockaddr_un address{};

	if (!folder)
		return no_connection(errno, path);
	if (name.size() >= sizeof(address.sun_path))
		return no_connection(ENAMETOOLONG, path);
	address.sun_family = AF_UNIX;
	std::memcpy(address.sun_path, name.data(), name.size());

	ScopedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (!socket)
		return no_connection(errno, path);
	while (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address),
			 sizeof(address)) != 0) {
		/* EAGAIN: too many wait already, which no poll(2) tells the end of. */
		if (errno != EAGAIN && errno != EINTR)
			return no_connection(errno, path);
		if (deadline.passed())
			return no_connection(ETIMEDOUT, path);
		::poll(nullptr, 0, std::min(deadline.left_ms(), 10));
	}
	return socket;
}

pid_t peer_of(const ScopedFd &socket)
{
	ucred peer{};
	socklen_t size = sizeof(peer);

	return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid
										      : 0;
}

bool wait_for(const ScopedFd &socket, short events, Deadline deadline)
{
	for (;;) {
		pollfd poll{.fd = socket.get(), .events = events, .revents = 0};

		if (::poll(&poll, 1, deadline.left_ms()) > 0)
			return true;
		if (deadline.passed())
			return false;
	}
}

} /* namespace corbel::qemu */
