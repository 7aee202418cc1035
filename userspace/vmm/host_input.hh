/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_input.hh - what is typed at the guest's console, kept until the guest has room for it.
 * A thread reads it; the thread of the vCPU takes it, or sleeps until there is some.
 */
#pragma once

#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace corbel::vmm {

class HostInput {
public:
	/* @fd: read to its end; none: there is no input. @arrived is called on the thread. */
	HostInput(ScopedFd fd, std::function<void()> arrived);
	~HostInput();
	HostInput(const HostInput &) = delete;
	HostInput &operator=(const HostInput &) = delete;

	/* As if it had been read from the descriptor. Who types asks first whether there is room. */
	void type(std::string_view bytes);
	[[nodiscard]] bool has_room() const;

	[[nodiscard]] bool waits() const;
	[[nodiscard]] std::string take(std::size_t most);
	/* For so long, or until wake() or, if the guest @listens, until there is input. */
	void sleep(std::chrono::nanoseconds span, bool listens);
	void wake();

private:
	void work();

	ScopedFd fd_, stop_;
	std::function<void()> arrived_;
	mutable std::mutex mutex_;
	std::condition_variable changed_;
	std::string waiting_;
	bool woken_ = false, ends_ = false;
	std::thread thread_; /* the last, as it uses all of the above */
};

} /* namespace corbel::vmm */
