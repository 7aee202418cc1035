// SPDX-License-Identifier: GPL-2.0-or-later
#include "acceptor.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

constexpr int pause_ms = 100; /* when there is no fd for a connection */

std::unexpected<Error> no_acceptor(int number)
{
	return failure(number, fmt::format("Hosts cannot be let in ({}): see the limits of this "
					   "process with `ulimit -a`.",
					   describe_errno(number)));
}

} /* namespace */

/* A connection that is counted, and that the end of the acceptor also ends. */
class Acceptor::Guest {
public:
	Guest(Acceptor &acceptor, int fd, std::string address)
		: acceptor_(acceptor),
		  address_(std::move(address)),
		  duplicate_(::fcntl(fd, F_DUPFD_CLOEXEC, 0))
	{
		const std::lock_guard guard(acceptor_.lock_);

		place_ = acceptor_.under_way_.insert(acceptor_.under_way_.end(), duplicate_.get());
		is_one_too_many_ =
			++acceptor_.of_address_[address_] > acceptor_.options_.per_address;
		if (acceptor_.ended_ || !duplicate_)
			::shutdown(fd, SHUT_RDWR);
	}
	Guest(const Guest &) = delete;
	~Guest()
	{
		const std::lock_guard guard(acceptor_.lock_);

		acceptor_.under_way_.erase(place_);
		if (--acceptor_.of_address_[address_] == 0)
			acceptor_.of_address_.erase(address_);
	}

	[[nodiscard]] bool is_one_too_many() const { return is_one_too_many_; }

private:
	Acceptor &acceptor_;
	std::string address_;
	ScopedFd duplicate_; /* a number that nobody else gets meanwhile */
	std::list<int>::iterator place_;
	bool is_one_too_many_;
};

Acceptor::Acceptor(ScopedFd listener, AcceptorOptions options)
	: listener_(std::move(listener)),
	  options_(std::move(options)),
	  ending_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{}

Result<std::unique_ptr<Acceptor>> Acceptor::start(ScopedFd listener, AcceptorOptions options)
{
	std::unique_ptr<Acceptor> acceptor(new Acceptor(std::move(listener), std::move(options)));

	if (!acceptor->ending_)
		return no_acceptor(errno);
	try {
		while (acceptor->threads_.size() < acceptor->options_.at_once)
			acceptor->threads_.emplace_back(&Acceptor::run, acceptor.get());
	} catch (const std::system_error &error) {
		return no_acceptor(error.code().value());
	}
	return acceptor;
}

Acceptor::~Acceptor()
{
	const std::uint64_t one = 1;

	(void)!::write(ending_.get(), &one, sizeof(one));
	{
		const std::lock_guard guard(lock_);

		ended_ = true;
		for (const int fd : under_way_)
			::shutdown(fd, SHUT_RDWR);
	}
	for (auto &thread : threads_)
		thread.join();
}

void Acceptor::run()
{
	::pthread_setname_np(::pthread_self(), "corbel-acceptor");
	for (;;) {
		pollfd wanted[2] = {{.fd = ending_.get(), .events = POLLIN, .revents = 0},
				    {.fd = listener_.get(), .events = POLLIN, .revents = 0}};

		(void)::poll(wanted, 2, -1);
		if (wanted[0].revents)
			return;
		if (auto fd = next())
			serve(std::move(fd));
	}
}

ScopedFd Acceptor::next()
{
	ScopedFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));

	if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* It stays in the queue, so poll() would return at once. */
		pollfd wanted{.fd = ending_.get(), .events = POLLIN, .revents = 0};

		(void)::poll(&wanted, 1, pause_ms);
	}
	return fd;
}

void Acceptor::serve(ScopedFd fd)
{
	const auto address = address_there(fd.get()).host;
	const auto identity = options_.identity();
	const auto shaken = [&]() -> Handshake {
		const Guest guest(*this, fd.get(), address);

		if (guest.is_one_too_many())
			return Contact{.remote = address, .now = identity->now()}.refuse(
				Reason::too_many,
				fmt::format(
					"{} has {} connections on which it does not say who it "
					"is: see what it runs; more of them are closed at once.",
					address, options_.per_address));
		tune(fd.get());
		return accept_host(
			std::move(fd), *identity,
			{.lookup = options_.lookup,
			 .pairing_open = options_.pairing_open && options_.pairing_open(),
			 .limit = options_.limit});
	};
	auto connection = shaken();

	if (connection)
		options_.accepted(*std::move(connection));
	else if (options_.refused)
		options_.refused(connection.error());
}

} /* namespace corbel::trust */
