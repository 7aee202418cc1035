// SPDX-License-Identifier: GPL-2.0-or-later
#include "wakeup.hh"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <optional>

namespace corbel::cli {

namespace {

std::optional<Wakeup> read_signal(int fd)
{
	signalfd_siginfo info{};

	if (::read(fd, &info, sizeof(info)) != sizeof(info))
		return std::nullopt;
	switch (info.ssi_signo) {
	case SIGWINCH:
		return Wakeup::resized;
	case SIGTSTP:
		return Wakeup::suspend;
	default:
		return Wakeup::quit;
	}
}

timespec time_until(Waiter::Clock::time_point moment)
{
	using namespace std::chrono;
	auto left = std::max(nanoseconds(moment - Waiter::Clock::now()), nanoseconds(0));
	auto whole = duration_cast<seconds>(left);

	return {whole.count(), (left - whole).count()};
}

/* Held back it would arrive all the same; under nohup(1) it must not. */
bool is_ignored(int number)
{
	struct sigaction action{};

	return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

} /* namespace */

Result<Waiter> Waiter::make(bool keys)
{
	sigset_t set;

	sigemptyset(&set);
	for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP})
		if (number != SIGHUP || !is_ignored(number))
			sigaddset(&set, number);
	if (int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr))
		return failure(error,
			       "Signals cannot be held back: " + describe_errno(error) + ".");

	ScopedFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
	if (!signals)
		return failure(errno, "Signals cannot be read: " + describe_errno(errno) + ".");
	return Waiter(std::move(signals), keys);
}

Wakeup Waiter::wait_until(Clock::time_point moment, int watched)
{
	return wait_until(moment, std::span<const int>(&watched, 1));
}

Wakeup Waiter::wait_until(Clock::time_point moment, std::span<const int> watched)
{
	for (;;) {
		std::vector<pollfd> polled{
			{signals_.get(), POLLIN, 0},
			{keys_ ? STDIN_FILENO : -1, POLLIN, 0},
		};

		for (int fd : watched)
			polled.push_back({fd, POLLIN, 0});
		ready_.assign(watched.size(), false);
		auto left = time_until(moment);
		int ready = ::ppoll(polled.data(), polled.size(), &left, nullptr);

		if (ready == 0)
			return Wakeup::time;
		if (ready < 0)
			continue; /* EINTR; the rest cannot happen with these arguments */
		if (polled[0].revents) {
			if (auto wakeup = read_signal(signals_.get()))
				return *wakeup;
		}
		if (polled[1].revents) {
			char key = 0;

			/* End of file: nobody is there to type any more. */
			if (::read(STDIN_FILENO, &key, 1) != 1)
				keys_ = false;
			else if (key == 'q' || key == 'Q')
				return Wakeup::quit;
		}
		bool any = false;
		for (std::size_t i = 0; i < watched.size(); i++)
			any |= ready_[i] = polled[2 + i].revents != 0;
		if (any)
			return Wakeup::ready;
	}
}

} /* namespace corbel::cli */
