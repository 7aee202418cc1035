// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/channel.hh>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace corbel::agent {

namespace {

std::unexpected<Error> gone()
{
	return failure(EPIPE, "The other side closed the connection.");
}

std::unexpected<Error> too_late(std::string_view what)
{
	return failure(ETIMEDOUT,
		       "The other side " + std::string(what) + " within the time limit.");
}

} /* namespace */

Channel::Channel(ScopedFd fd) : fd_(std::move(fd))
{
	::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

bool Channel::wait(short events, Clock::time_point until) const
{
	static_assert(input == POLLIN);

	for (;;) {
		using namespace std::chrono;
		pollfd polled{fd_.get(), events, 0};
		const auto left = until <= Clock::now() ? nanoseconds(0) : until - Clock::now();
		const auto rounded = std::min<std::int64_t>(ceil<milliseconds>(left).count(),
							    std::int64_t{1} << 30);
		const int ready =
			::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(rounded, 0)));

		if (ready > 0)
			return true;
		if (ready == 0 && Clock::now() >= until)
			return false;
	}
}

Result<void> Channel::send(std::string_view bytes, Clock::time_point until)
{
	while (!bytes.empty()) {
		const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);

		if (sent >= 0)
			bytes.remove_prefix(static_cast<std::size_t>(sent));
		else if (errno == EAGAIN && !wait(POLLOUT, until))
			return too_late("takes nothing");
		else if (errno != EAGAIN && errno != EINTR)
			return gone();
		if (Clock::now() >= until && !bytes.empty())
			return too_late("did not take a message");
	}
	return {};
}

Result<std::string> Channel::receive_bytes(std::size_t size, Clock::time_point until)
{
	std::string bytes(size, '\0');
	std::size_t have = 0;

	while (have < size) {
		const auto got = ::recv(fd_.get(), bytes.data() + have, size - have, 0);

		if (got == 0)
			return gone();
		if (got > 0)
			have += static_cast<std::size_t>(got);
		else if (errno == EAGAIN && !wait(POLLIN, until))
			return too_late(have ? "did not finish a message" : "did not answer");
		else if (errno != EAGAIN && errno != EINTR)
			return gone();
		/* One byte at a time must not make the time longer. */
		if (have < size && Clock::now() >= until)
			return too_late("did not finish a message");
	}
	return bytes;
}

Result<Received> Channel::receive(Clock::time_point until)
{
	const auto head =
		CORBEL_EXPECT(decode_head(CORBEL_EXPECT(receive_bytes(head_size, until))));

	return Received{head, CORBEL_EXPECT(receive_bytes(head.size, until))};
}

} /* namespace corbel::agent */
