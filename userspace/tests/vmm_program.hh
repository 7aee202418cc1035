/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmm_program.hh - a program of the host's at the other end of a socket: for tests. */
#pragma once

#include <vmm/unix_socket.hh>

#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace corbel::test {

inline ScopedFd stream_socket()
{
	ScopedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (!fd)
		throw std::runtime_error("there is no socket");
	return fd;
}

inline ScopedFd connect_to(const std::string &path)
{
	auto fd = stream_socket();
	const auto address = vmm::unix_address(path).value();

	if (::connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
		throw std::runtime_error("nobody is at " + path);
	return fd;
}

/* So many bytes, or what there is before the end. */
inline std::string hear(const ScopedFd &fd, std::size_t bytes)
{
	std::string heard(bytes, '\0');
	std::size_t at = 0;

	while (at < bytes) {
		const auto got = ::read(fd.get(), heard.data() + at, bytes - at);

		if (got <= 0)
			break;
		at += static_cast<std::size_t>(got);
	}
	heard.resize(at);
	return heard;
}

} /* namespace corbel::test */
