// SPDX-License-Identifier: GPL-2.0-or-later
#include "channel.hh"

#include "openssl.hh"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

/* About a millisecond of TLS. */
constexpr std::size_t most_per_turn = std::size_t{1} << 20;

bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

bool is_hung_up(int fd)
{
	pollfd wanted{.fd = fd, .events = 0, .revents = 0};

	return ::poll(&wanted, 1, 0) > 0 && (wanted.revents & POLLHUP);
}

} /* namespace */

char *Passage::space()
{
	if (begin_ && !room()) {
		std::copy(bytes_.data() + begin_, bytes_.data() + end_, bytes_.data());
		end_ -= begin_;
		begin_ = 0;
	}
	return bytes_.data() + end_;
}

void Passage::take(std::size_t count)
{
	begin_ += count;
	if (empty())
		begin_ = end_ = 0;
}

Channel::Turn Channel::turn()
{
	moved_ = 0;
	sent_ = false;
	while (!has_ended()) {
		/* Each of them: a side that waits must not keep the other one from moving. */
		bool progress = read_plain();
		progress |= write_tls();
		progress |= close_tls();
		progress |= read_tls();
		progress |= write_plain();
		progress |= close_plain();

		if (!progress && !has_ended())
			return Turn::waits;
		if (moved_ >= most_per_turn && !has_ended())
			return Turn::has_more;
	}
	return Turn::ended;
}

bool Channel::has_ended() const
{
	return broken_ || (tls_closed_ && tls_ended_ && (plain_closed_ || gone_));
}

/* ---- from the local socket to TLS -------------------------------------------------- */

bool Channel::read_plain()
{
	auto *space = up_.space();

	if (broken_ || plain_ended_ || !up_.room())
		return false;
	const auto got = ::recv(plain_.get(), space, up_.room(), MSG_DONTWAIT);
	if (got < 0 && would_block(errno))
		return errno == EINTR;
	/* A local end that closes with bytes unread is a reset, and as good as an end. */
	if (got <= 0) {
		/* Its event may have come before this channel was waited for. */
		gone_ = gone_ || is_hung_up(plain_.get());
		return plain_ended_ = true;
	}
	up_.put(static_cast<std::size_t>(got));
	return true;
}

bool Channel::write_tls()
{
	std::size_t done = 0;

	if (broken_ || up_.empty())
		return false;
	ERR_clear_error();
	const int code = SSL_write_ex(connection_.ssl(), up_.data(), up_.size(), &done);
	if (code != 1)
		return !try_again(code, "written to");
	up_.take(done);
	moved_ += done;
	sent_ = true;
	return true;
}

bool Channel::close_tls()
{
	if (broken_ || tls_closed_ || !plain_ended_ || !up_.empty())
		return false;
	ERR_clear_error();
	const int code = SSL_shutdown(connection_.ssl());
	if (code < 0)
		return !try_again(code, "closed to");
	return tls_closed_ = true;
}

/* ---- from TLS to the local socket -------------------------------------------------- */

bool Channel::read_tls()
{
	std::size_t done = 0;

	if (gone_)
		down_.take(down_.size());
	auto *space = down_.space();
	if (broken_ || tls_ended_ || !down_.room())
		return false;
	ERR_clear_error();
	const int code = SSL_read_ex(connection_.ssl(), space, down_.room(), &done);
	if (code == 1) {
		down_.put(done);
		moved_ += done;
		return true;
	}
	if (SSL_get_error(connection_.ssl(), code) == SSL_ERROR_ZERO_RETURN)
		return tls_ended_ = true;
	return !try_again(code, "read from");
}

bool Channel::write_plain()
{
	if (broken_ || gone_ || down_.empty())
		return false;
	const auto put =
		::send(plain_.get(), down_.data(), down_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && would_block(errno))
		return errno == EINTR;
	if (put < 0)
		return gone_ = true;
	down_.take(static_cast<std::size_t>(put));
	return true;
}

bool Channel::close_plain()
{
	if (broken_ || plain_closed_ || !tls_ended_ || !down_.empty())
		return false;
	::shutdown(plain_.get(), SHUT_WR);
	return plain_closed_ = true;
}

/* ---- errors ------------------------------------------------------------------------ */

bool Channel::try_again(int code, const char *what)
{
	const int number = errno;
	const int error = SSL_get_error(connection_.ssl(), code);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return true;
	if (error == SSL_ERROR_SYSCALL) {
		fail(what, describe_errno(number).c_str());
		return false;
	}
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	fail(what, reason ? reason : "no reason given");
	return false;
}

void Channel::fail(const char *what, const char *reason)
{
	broken_ = true;
	why_ = fmt::format(
		"The connection with host '{}' at {} cannot be {} ({}): see whether that "
		"host still runs, and the network.",
		peer().host.name, peer().remote, what, reason);
}

} /* namespace corbel::trust */
