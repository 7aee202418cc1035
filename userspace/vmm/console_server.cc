// SPDX-License-Identifier: GPL-2.0-or-later
#include "console_server.hh"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace corbel::vmm {

namespace {

/* How long who types waits at most for room that there is again. */
constexpr int look_again_ms = 50;
/* And how often it is looked whether who is there has seen all of it, at the end. */
constexpr int last_looks = 20;

void keep_end(std::string &text, std::size_t most)
{
	if (text.size() > most)
		text.erase(0, text.size() - most);
}

} /* namespace */

Result<std::unique_ptr<ConsoleServer>> ConsoleServer::create(const std::string &path,
							     HostInput &input)
{
	auto socket = CORBEL_EXPECT(NamedSocket::create(path, SOCK_STREAM, "the console"));

	return std::unique_ptr<ConsoleServer>(new ConsoleServer(std::move(socket), input));
}

ConsoleServer::ConsoleServer(NamedSocket socket, HostInput &input)
	: socket_(std::move(socket)),
	  input_(input),
	  wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
	  thread_([this] { work(); })
{}

/* Who is there has seen all of it. */
ConsoleServer::~ConsoleServer()
{
	{
		const std::lock_guard lock(mutex_);

		ends_ = true;
	}
	::eventfd_write(wake_.get(), 1);
	thread_.join();
}

bool ConsoleServer::is_attended()
{
	const std::lock_guard lock(mutex_);

	return attached_;
}

void ConsoleServer::print(std::string_view bytes)
{
	const std::lock_guard lock(mutex_);

	history_ += bytes;
	keep_end(history_, history);
	if (!attached_)
		return;
	waiting_ += bytes;
	keep_end(waiting_, most_waiting);
	::eventfd_write(wake_.get(), 1);
}

void ConsoleServer::work()
{
	while (take_turn())
		;
}

bool ConsoleServer::take_turn()
{
	const bool reads = client_ && input_.has_room();
	bool writes = false, waits = client_ && !reads;

	{
		const std::lock_guard lock(mutex_);

		if (ends_ && (!client_ || waiting_.empty() || looks_++ == last_looks))
			return false;
		writes = !waiting_.empty();
		waits |= ends_;
	}
	std::array<pollfd, 3> polled{
		pollfd{wake_.get(), POLLIN, 0},
		pollfd{client_ ? -1 : socket_.fd(), POLLIN, 0},
		pollfd{client_.get(),
		       static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0},
	};
	const int ready = ::poll(polled.data(), polled.size(), waits ? look_again_ms : -1);
	eventfd_t woken = 0;

	if (ready < 0)
		return errno == EINTR;
	(void)::eventfd_read(wake_.get(), &woken);
	if (polled[1].revents)
		accept();
	if (polled[2].revents & POLLIN)
		read_input();
	else if (polled[2].revents & (POLLHUP | POLLERR))
		client_ = ScopedFd();
	if (client_ && polled[2].revents & POLLOUT)
		write_output();
	if (!client_) {
		const std::lock_guard lock(mutex_);

		attached_ = false;
		waiting_.clear();
	}
	return true;
}

void ConsoleServer::accept()
{
	client_ = ScopedFd(::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (!client_)
		return;
	const std::lock_guard lock(mutex_);

	attached_ = true;
	waiting_ = history_;
}

void ConsoleServer::read_input()
{
	std::array<char, 4096> bytes;
	const auto got = ::read(client_.get(), bytes.data(), bytes.size());

	if (got > 0)
		input_.type({bytes.data(), static_cast<std::size_t>(got)});
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		client_ = ScopedFd();
}

void ConsoleServer::write_output()
{
	const std::lock_guard lock(mutex_);
	const auto sent = ::send(client_.get(), waiting_.data(), waiting_.size(),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent > 0)
		waiting_.erase(0, static_cast<std::size_t>(sent));
	else if (sent < 0 && errno != EAGAIN && errno != EINTR)
		client_ = ScopedFd();
}

} /* namespace corbel::vmm */
