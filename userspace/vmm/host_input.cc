// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_input.hh"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace corbel::vmm {

namespace {

constexpr std::size_t most_waiting = 65536;

} /* namespace */

HostInput::HostInput(ScopedFd fd, std::function<void()> arrived)
	: fd_(std::move(fd)), stop_(::eventfd(0, EFD_CLOEXEC)), arrived_(std::move(arrived))
{
	if (fd_ && stop_)
		thread_ = std::thread([this] { work(); });
}

HostInput::~HostInput()
{
	if (!thread_.joinable())
		return;
	{
		const std::lock_guard lock(mutex_);

		ends_ = true;
	}
	::eventfd_write(stop_.get(), 1);
	changed_.notify_all();
	thread_.join();
}

void HostInput::work()
{
	std::array<char, 4096> bytes;

	for (;;) {
		std::array<pollfd, 2> polled{pollfd{fd_.get(), POLLIN, 0},
					     pollfd{stop_.get(), POLLIN, 0}};

		if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
			return;
		if (polled[1].revents)
			return;
		if (!polled[0].revents)
			continue;
		/* NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): no lock is held here */
		const auto size = ::read(fd_.get(), bytes.data(), bytes.size());

		if (size <= 0)
			return;
		type({bytes.data(), static_cast<std::size_t>(size)});
		/* The guest takes what it has room for; whoever types waits for it. */
		std::unique_lock lock(mutex_);

		changed_.wait(lock, [&] { return ends_ || waiting_.size() < most_waiting; });
	}
}

void HostInput::type(std::string_view bytes)
{
	const std::lock_guard lock(mutex_);

	waiting_ += bytes;
	changed_.notify_all();
	arrived_();
}

bool HostInput::has_room() const
{
	const std::lock_guard lock(mutex_);

	return waiting_.size() < most_waiting;
}

bool HostInput::waits() const
{
	const std::lock_guard lock(mutex_);

	return !waiting_.empty();
}

std::string HostInput::take(std::size_t most)
{
	const std::lock_guard lock(mutex_);
	auto taken = waiting_.substr(0, most);

	waiting_.erase(0, taken.size());
	changed_.notify_all();
	return taken;
}

void HostInput::sleep(std::chrono::nanoseconds span, bool listens)
{
	std::unique_lock lock(mutex_);

	changed_.wait_for(lock, span, [&] { return woken_ || (listens && !waiting_.empty()); });
	woken_ = false;
}

void HostInput::wake()
{
	const std::lock_guard lock(mutex_);

	woken_ = true;
	changed_.notify_all();
}

} /* namespace corbel::vmm */
