/* SPDX-License-Identifier: GPL-2.0-or-later */
/* end_watch.hh - has what runs end in order when somebody asks for it by a signal. */
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

namespace corbel::vmm {

class EndWatch {
public:
	/* First of all, so that every thread has them blocked. */
	static void block_signals()
	{
		const auto signals = all();

		::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
	}

	/* @end is called once, on a thread of its own. */
	explicit EndWatch(std::function<void()> end)
		: thread_([end = std::move(end), this] {
			  const auto signals = all();
			  int signal = 0;

			  if (::sigwait(&signals, &signal) == 0 && !done_)
				  end();
		  })
	{}
	~EndWatch()
	{
		done_ = true;
		::pthread_kill(thread_.native_handle(), over);
		thread_.join();
	}
	EndWatch(const EndWatch &) = delete;
	EndWatch &operator=(const EndWatch &) = delete;

private:
	/* Ends who waits for the others. */
	static constexpr int over = SIGUSR2;

	static sigset_t all()
	{
		sigset_t signals;

		sigemptyset(&signals);
		for (const int signal : {SIGINT, SIGTERM, SIGHUP, over})
			sigaddset(&signals, signal);
		return signals;
	}

	std::atomic<bool> done_ = false;
	std::thread thread_;
};

} /* namespace corbel::vmm */
