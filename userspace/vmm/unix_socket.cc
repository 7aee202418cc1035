// SPDX-License-Identifier: GPL-2.0-or-later
#include "unix_socket.hh"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

constexpr int most_that_wait = 64;

} /* namespace */

std::optional<sockaddr_un> unix_address(const std::string &path)
{
	sockaddr_un address{};

	address.sun_family = AF_UNIX;
	if (path.empty() || path.size() >= sizeof(address.sun_path))
		return std::nullopt;
	path.copy(address.sun_path, path.size());
	return address;
}

ScopedFd unix_socket(int type)
{
	return ScopedFd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

Result<NamedSocket> NamedSocket::create(const std::string &path, int type, std::string_view what)
{
	const auto unusable = [&](int error, std::string_view hint = {}) {
		return failure(error, fmt::format("The socket {} cannot be used for {}: {}.{}",
						  path, what, describe_errno(error), hint));
	};
	const auto address = unix_address(path);
	auto fd = unix_socket(type);

	if (!address)
		return unusable(path.empty() ? EINVAL : ENAMETOOLONG);
	if (!fd)
		return unusable(errno);
	if (::bind(fd.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof(*address)) != 0)
		return unusable(errno, errno == EADDRINUSE
					       ? " Remove it, if nobody uses it any more."
					       : "");
	NamedSocket named(std::move(fd), path);

	if (type == SOCK_STREAM && ::listen(named.fd(), most_that_wait) != 0)
		return unusable(errno);
	return named;
}

NamedSocket::~NamedSocket()
{
	if (!path_.empty())
		::unlink(path_.c_str());
}

NamedSocket::NamedSocket(NamedSocket &&other) noexcept
	: fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {}))
{}

} /* namespace corbel::vmm */
