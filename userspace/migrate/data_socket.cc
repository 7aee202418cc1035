// SPDX-License-Identifier: GPL-2.0-or-later
#include "data_socket.hh"

#include "../qemu/unix_socket.hh"

#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string.h>

#include <fmt/format.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

namespace corbel::migrate {

namespace {

using qemu::Deadline;

constexpr std::size_t greeting_size = sizeof(Session) + 1;

std::unexpected<Error> trouble(const char *what, int number)
{
	return failure(number, fmt::format("The connection for the memory of a VM: {}: {}.", what,
					   describe_errno(number)));
}

Result<void> set_blocking(int fd)
{
	const int flags = ::fcntl(fd, F_GETFL);

	if (flags < 0 || ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return trouble("fcntl", errno);
	return {};
}

Result<void> set_key(int fd, int direction, DataKeys::Direction key)
{
	tls12_crypto_info_aes_gcm_256 info{};
	int failed = 0;

	info.info.version = TLS_1_3_VERSION;
	info.info.cipher_type = TLS_CIPHER_AES_GCM_256;
	std::copy_n(key.begin(), sizeof(info.key), info.key);
	std::copy_n(key.begin() + sizeof(info.key), sizeof(info.salt), info.salt);
	std::copy_n(key.begin() + sizeof(info.key) + sizeof(info.salt), sizeof(info.iv), info.iv);
	if (::setsockopt(fd, SOL_TLS, direction, &info, sizeof(info)) != 0)
		failed = errno;
	::explicit_bzero(&info, sizeof(info));
	if (failed)
		return trouble("the kernel's TLS", failed);
	return {};
}

/* Just these bytes, and none of what follows. */
Result<void> read_all(const ScopedFd &fd, std::span<std::uint8_t> bytes, Deadline deadline)
{
	while (!bytes.empty()) {
		const auto got = ::recv(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);

		if (got == 0)
			return trouble("it has ended", ECONNRESET);
		if (got > 0) {
			bytes = bytes.subspan(static_cast<std::size_t>(got));
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return trouble("it is broken", errno);
		if (!qemu::wait_for(fd, POLLIN, deadline))
			return trouble("nothing comes", ETIMEDOUT);
	}
	return {};
}

} /* namespace */

Result<Session> session_of(const std::string &uuid)
{
	Session session{};
	std::size_t digits = 0;

	for (const char c : uuid) {
		const auto value = c >= '0' && c <= '9'	  ? c - '0'
				   : c >= 'a' && c <= 'f' ? c - 'a' + 10
							  : -1;
		if (c == '-')
			continue;
		if (value < 0 || digits >= 2 * session.size())
			return failure(EINVAL, "The session of a migration is a uuid.");
		session[digits / 2] = static_cast<std::uint8_t>(session[digits / 2] << 4 | value);
		digits++;
	}
	if (digits != 2 * session.size())
		return failure(EINVAL, "The session of a migration is a uuid.");
	return session;
}

/* ---- keys -------------------------------------------------------------------------- */

Result<DataKeys> DataKeys::make()
{
	DataKeys keys;

	if (::getrandom(keys.bytes_.data(), size, 0) != static_cast<ssize_t>(size))
		return trouble("no random numbers for keys", errno);
	return keys;
}

Result<DataKeys> DataKeys::of(std::string_view bytes)
{
	DataKeys keys;

	if (bytes.size() != size)
		return failure(EINVAL, "The destination gave no keys for the memory of the VM.");
	std::copy_n(bytes.begin(), size, keys.bytes_.begin());
	return keys;
}

DataKeys::DataKeys(DataKeys &&other) noexcept : bytes_(other.bytes_)
{
	::explicit_bzero(other.bytes_.data(), size);
}

DataKeys::~DataKeys()
{
	::explicit_bzero(bytes_.data(), size);
}

std::string_view DataKeys::bytes() const
{
	return {reinterpret_cast<const char *>(bytes_.data()), size};
}

DataKeys::Direction DataKeys::part(unsigned number) const
{
	return Direction(bytes_.data() + number * direction_size, direction_size);
}

DataKeys::Direction DataKeys::to_destination(unsigned stream) const
{
	return part(2 * stream);
}

DataKeys::Direction DataKeys::to_source(unsigned stream) const
{
	return part(2 * stream + 1);
}

/* ---- connections ------------------------------------------------------------------- */

bool kernel_has_tls()
{
	const ScopedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	/* One that is not connected is refused only then. */
	return ::setsockopt(fd.get(), IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ||
	       errno == ENOTCONN;
}

std::unexpected<Error> no_kernel_tls()
{
	return failure(EPROTONOSUPPORT,
		       "The kernel has no TLS of its own, which encrypts the memory of a VM on its "
		       "way: `modprobe tls` on both hosts, or --plain where nobody else can see or "
		       "change what goes over that network.");
}

Result<void> encrypt(int fd, DataKeys::Direction send, DataKeys::Direction receive)
{
	if (::setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) != 0)
		return errno == ENOENT ? no_kernel_tls() : trouble("the kernel's TLS", errno);
	CORBEL_EXPECT(set_key(fd, TLS_TX, send));
	return set_key(fd, TLS_RX, receive);
}

Result<DataSockets> connect_data(const trust::Address &address, const Session &session,
				 unsigned streams, const DataKeys *keys,
				 std::chrono::milliseconds limit)
{
	DataSockets sockets;

	for (unsigned stream = 0; stream < streams; stream++) {
		auto fd = CORBEL_EXPECT(trust::connect_to(address, limit));
		std::array<std::uint8_t, greeting_size> greeting{};

		std::ranges::copy(session, greeting.begin());
		greeting.back() = static_cast<std::uint8_t>(stream);
		CORBEL_EXPECT(set_blocking(fd.get()));
		if (::send(fd.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL) !=
		    static_cast<ssize_t>(greeting.size()))
			return trouble("it takes nothing", errno);
		if (keys)
			CORBEL_EXPECT(encrypt(fd.get(), keys->to_destination(stream),
					      keys->to_source(stream)));
		(stream == 0 ? sockets.demand : sockets.push) = std::move(fd);
	}
	return sockets;
}

Result<DataSockets> accept_data(const ScopedFd &listener, const Session &session, unsigned streams,
				const DataKeys *keys, std::chrono::milliseconds limit)
{
	const Deadline deadline(limit);
	DataSockets sockets;

	for (unsigned found = 0; found < streams;) {
		std::array<std::uint8_t, greeting_size> greeting{};

		if (!qemu::wait_for(listener, POLLIN, deadline))
			return trouble("the source does not connect", ETIMEDOUT);
		ScopedFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
		if (!fd)
			continue;
		/* Who says nothing does not keep the source waiting for long. */
		const Deadline soon(
			std::min<std::chrono::milliseconds>(std::chrono::seconds(2), limit));
		if (!read_all(fd, greeting, soon))
			continue;
		const unsigned stream = greeting.back();
		auto &place = stream == 0 ? sockets.demand : sockets.push;
		if (!std::equal(session.begin(), session.end(), greeting.begin()) ||
		    stream >= streams || place)
			continue;
		trust::tune(fd.get());
		if (keys)
			CORBEL_EXPECT(encrypt(fd.get(), keys->to_source(stream),
					      keys->to_destination(stream)));
		place = std::move(fd);
		found++;
	}
	return sockets;
}

} /* namespace corbel::migrate */
