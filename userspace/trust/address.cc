// SPDX-License-Identifier: GPL-2.0-or-later
#include "address.hh"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

using Clock = std::chrono::steady_clock;
using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

constexpr std::size_t longest_host = 253; /* of a name, says DNS */
constexpr int backlog = 128;

bool is_ipv6(const std::string &host)
{
	in6_addr ignored{};

	return ::inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &ignored) == 1;
}

bool is_host(std::string_view host)
{
	const auto allowed = [](char c) {
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		       c == '.' || c == '-' || c == '_';
	};

	return !host.empty() && host.size() <= longest_host && host.front() != '-' &&
	       std::ranges::all_of(host, allowed);
}

/* All behind a % is the name of an interface: fe80::1%eth0. */
bool is_scoped_ipv6(std::string_view host)
{
	const auto percent = host.find('%');

	return is_ipv6(std::string(host)) &&
	       (percent == std::string_view::npos || is_host(host.substr(percent + 1)));
}

Result<Found> resolve(const Address &address, int flags)
{
	addrinfo hints{};
	addrinfo *found = nullptr;
	const auto port = fmt::format("{}", address.port);

	hints.ai_flags = flags | AI_NUMERICSERV;
	hints.ai_socktype = SOCK_STREAM;
	const int error = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
	if (error == 0)
		return Found(found, &::freeaddrinfo);
	return failure(error == EAI_SYSTEM ? errno : EHOSTUNREACH,
		       fmt::format("{} is not known ({}): see that it is written right, and that "
				   "the resolver of this host knows it.",
				   address.host, ::gai_strerror(error)));
}

/* 0, or why it did not connect. */
int wait_connected(int fd, Clock::time_point until)
{
	for (;;) {
		const auto left =
			std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
		pollfd wanted{.fd = fd, .events = POLLOUT, .revents = 0};
		const int ready =
			left.count() > 0 ? ::poll(&wanted, 1, static_cast<int>(left.count())) : 0;
		int error = 0;
		socklen_t size = sizeof(error);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? errno : ETIMEDOUT;
		return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
	}
}

Address address_of(const sockaddr_storage &storage, socklen_t size)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "0";
	Address address;

	(void)::getnameinfo(reinterpret_cast<const sockaddr *>(&storage), size, host, sizeof(host),
			    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	address.host = host;
	/* How IPv4 looks to a socket for both. */
	if (address.host.starts_with("::ffff:") && address.host.contains('.'))
		address.host.erase(0, 7);
	const std::string_view digits(port);
	(void)std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
	return address;
}

} /* namespace */

std::string text_of(const Address &address)
{
	if (address.host.contains(':'))
		return fmt::format("[{}]:{}", address.host, address.port);
	return fmt::format("{}:{}", address.host, address.port);
}

Result<Address> address_of(std::string_view text)
{
	Address address;
	const auto wrong = failure(EINVAL, "An address is written 10.0.0.1:7464, [fe80::1]:7464 or "
					   "name:7464, with a port from 1 to 65535");
	const auto colon = text.rfind(':');

	if (colon == std::string_view::npos)
		return wrong;
	auto host = text.substr(0, colon);
	const auto digits = text.substr(colon + 1);
	const auto [end, error] =
		std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
	if (error != std::errc() || end != digits.data() + digits.size() || address.port == 0)
		return wrong;
	const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
	if (bracketed)
		host = host.substr(1, host.size() - 2);
	if (bracketed ? !is_scoped_ipv6(host) : !is_host(host))
		return wrong;
	address.host = host;
	return address;
}

Result<ScopedFd> connect_to(const Address &address, std::chrono::milliseconds limit)
{
	const auto until = Clock::now() + limit;
	const auto found = CORBEL_EXPECT(resolve(address, 0));
	int error = EHOSTUNREACH;

	for (const auto *one = found.get(); one; one = one->ai_next) {
		ScopedFd fd(::socket(one->ai_family,
				     one->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
				     one->ai_protocol));
		if (!fd) {
			error = errno;
			continue;
		}
		error = ::connect(fd.get(), one->ai_addr, one->ai_addrlen) ? errno : 0;
		if (error == EINPROGRESS)
			error = wait_connected(fd.get(), until);
		if (error == 0) {
			tune(fd.get());
			return fd;
		}
	}
	return failure(error,
		       fmt::format("{} cannot be reached ({}): see that Corbel's daemon runs "
				   "there and that no firewall is in between.",
				   text_of(address), describe_errno(error)));
}

Result<ScopedFd> listen_at(const Address &address)
{
	const auto found = CORBEL_EXPECT(resolve(address, AI_PASSIVE));
	const int one = 1;
	ScopedFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    ::bind(fd.get(), found->ai_addr, found->ai_addrlen) || ::listen(fd.get(), backlog)) {
		const int error = errno;
		return failure(error,
			       fmt::format("Nobody can connect to {} ({}): see with `ss -ltnp` "
					   "who has it, and that it is an address of this host.",
					   text_of(address), describe_errno(error)));
	}
	return fd;
}

Result<Address> address_here(int fd)
{
	sockaddr_storage storage{};
	socklen_t size = sizeof(storage);

	if (::getsockname(fd, reinterpret_cast<sockaddr *>(&storage), &size))
		return failure(errno, fmt::format("The address of a socket is not known ({}).",
						  describe_errno(errno)));
	return address_of(storage, size);
}

Address address_there(int fd)
{
	sockaddr_storage storage{};
	socklen_t size = sizeof(storage);

	if (::getpeername(fd, reinterpret_cast<sockaddr *>(&storage), &size))
		return {.host = "?", .port = 0};
	return address_of(storage, size);
}

/* None of these matters enough to refuse a connection without it. */
void tune(int fd)
{
	const auto set = [fd](int level, int option, int value) {
		(void)::setsockopt(fd, level, option, &value, sizeof(value));
	};

	set(IPPROTO_TCP, TCP_NODELAY, 1);
	set(SOL_SOCKET, SO_KEEPALIVE, 1);
	set(IPPROTO_TCP, TCP_KEEPIDLE, 20);
	set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
	set(IPPROTO_TCP, TCP_KEEPCNT, 4);
	set(IPPROTO_TCP, TCP_USER_TIMEOUT, 40000); /* ms, for bytes that nobody acknowledges */
}

} /* namespace corbel::trust */
