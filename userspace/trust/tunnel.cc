// SPDX-License-Identifier: GPL-2.0-or-later
#include "tunnel.hh"

#include "channel.hh"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

using Steady = std::chrono::steady_clock;

/* What epoll gives back: a channel's number and which of its sockets; 0: to wake up. */
constexpr std::uint64_t plain_bit = 1;

std::unexpected<Error> no_tunnel(int number)
{
	return failure(number, fmt::format("A connection between hosts cannot be carried ({}): see "
					   "the limits of open files with `ulimit -n`.",
					   describe_errno(number)));
}

/* Edges: a channel does all it can in its turns, so only what is new matters. */
bool watch(int epoll, int fd, std::uint64_t data)
{
	epoll_event event{};

	event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	event.data.u64 = data;
	return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

} /* namespace */

Tunnels::Tunnels(TunnelOptions options)
	: options_(std::move(options)),
	  epoll_(::epoll_create1(EPOLL_CLOEXEC)),
	  wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{}

Result<std::unique_ptr<Tunnels>> Tunnels::start(TunnelOptions options)
{
	std::unique_ptr<Tunnels> tunnels(new Tunnels(std::move(options)));
	epoll_event event{};

	event.events = EPOLLIN;
	if (!tunnels->epoll_ || !tunnels->wake_ ||
	    ::epoll_ctl(tunnels->epoll_.get(), EPOLL_CTL_ADD, tunnels->wake_.get(), &event))
		return no_tunnel(errno);
	try {
		tunnels->thread_ = std::thread(&Tunnels::run, tunnels.get());
	} catch (const std::system_error &error) {
		return no_tunnel(error.code().value());
	}
	return tunnels;
}

Tunnels::~Tunnels()
{
	if (!thread_.joinable())
		return;
	{
		const std::lock_guard guard(lock_);
		ending_ = true;
	}
	wake();
	thread_.join();
}

Result<ScopedFd> Tunnels::carry(Connection connection)
{
	int ends[2];

	if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return no_tunnel(errno);
	ScopedFd mine(ends[0]), theirs(ends[1]);
	const int tls_fd = connection.fd(), plain_fd = mine.get();
	auto channel =
		std::make_unique<Channel>(std::move(connection), std::move(mine), options_.buffer);
	{
		const std::lock_guard guard(lock_);
		const auto number = next_++;

		/* An event before the thread has it is no loss: it begins with a turn. */
		if (!watch(epoll_.get(), tls_fd, number << 1) ||
		    !watch(epoll_.get(), plain_fd, (number << 1) | plain_bit))
			return no_tunnel(errno);
		fresh_.emplace(number, std::move(channel));
		count_++;
	}
	wake();
	return theirs;
}

void Tunnels::drop(const HostId &host)
{
	std::unique_lock guard(lock_);

	dropped_.push_back(host);
	const auto mine = ++drops_ordered_;
	wake();
	done_.wait(guard, [&] { return drops_done_ >= mine; });
}

void Tunnels::wake() const
{
	const std::uint64_t one = 1;

	/* Full means that it is awake already. */
	(void)!::write(wake_.get(), &one, sizeof(one));
}

/* ---- the thread -------------------------------------------------------------------- */

void Tunnels::run()
{
	::pthread_setname_np(::pthread_self(), "corbel-tunnels");
	while (take_orders()) {
		give_turns();
		end_overdue();
		wait_for_events();
	}
	while (!channels_.empty())
		end(channels_.begin()->first, "Corbel's daemon on this host ends.");
}

void Tunnels::wait_for_events()
{
	std::array<epoll_event, 64> events{};
	int timeout = -1;

	for (const auto &[number, until] : lingering_) {
		const auto left =
			std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
		const auto wait = std::clamp<std::int64_t>(left.count(), 0, 60000);
		timeout = timeout < 0 ? static_cast<int>(wait)
				      : std::min(timeout, static_cast<int>(wait));
	}
	if (!ready_.empty())
		timeout = 0;
	const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
	for (int i = 0; i < count; i++) {
		const auto &event = events[static_cast<std::size_t>(i)];
		const auto number = event.data.u64 >> 1;
		const auto found = channels_.find(number);

		if (event.data.u64 == 0) {
			std::uint64_t ignored = 0;
			(void)!::read(wake_.get(), &ignored, sizeof(ignored));
			continue;
		}
		if (found == channels_.end())
			continue;
		/* Of the local socket: closed, not only shut down for writing. */
		if ((event.data.u64 & plain_bit) && (event.events & EPOLLHUP))
			found->second->note_gone();
		ready_.insert(number);
	}
}

bool Tunnels::take_orders()
{
	std::vector<HostId> dropped;
	std::uint64_t ordered = 0;
	{
		const std::lock_guard guard(lock_);

		for (auto &[number, channel] : fresh_) {
			channels_.emplace(number, std::move(channel));
			ready_.insert(number);
		}
		fresh_.clear();
		dropped.swap(dropped_);
		ordered = drops_ordered_;
		if (ending_)
			return false;
	}
	std::vector<Number> ended;
	for (const auto &[number, channel] : channels_)
		if (std::ranges::find(dropped, channel->peer().host.id) != dropped.end())
			ended.push_back(number);
	for (const auto number : ended)
		end(number, "This host does not trust it any more.");
	{
		const std::lock_guard guard(lock_);
		drops_done_ = ordered;
	}
	done_.notify_all();
	return true;
}

void Tunnels::give_turns()
{
	const auto turns = std::exchange(ready_, {});

	for (const auto number : turns) {
		auto &channel = *channels_.at(number);

		switch (channel.turn()) {
		case Channel::Turn::has_more:
			ready_.insert(number);
			break;
		case Channel::Turn::waits:
			break;
		case Channel::Turn::ended:
			end(number, channel.why());
			continue;
		}
		if (!channel.is_gone())
			continue;
		if (channel.has_sent())
			lingering_.erase(number);
		lingering_.emplace(number, Steady::now() + options_.linger);
	}
}

/* Nobody is there any more to whom it would matter. */
void Tunnels::end_overdue()
{
	std::vector<Number> ended;

	for (const auto &[number, until] : lingering_)
		if (Steady::now() >= until)
			ended.push_back(number);
	for (const auto number : ended)
		end(number, "The other host neither took bytes nor ended the connection in time.");
}

void Tunnels::end(Number number, const std::string &why)
{
	const auto found = channels_.find(number);
	const auto peer = found->second->peer();
	const std::string said = why; /* it may be the channel's */

	channels_.erase(found);
	ready_.erase(number);
	lingering_.erase(number);
	if (options_.ended)
		options_.ended(peer, said);
	/* Whoever waits for none to be left finds that all were told of. */
	count_--;
}

} /* namespace corbel::trust */
