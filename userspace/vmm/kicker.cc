// SPDX-License-Identifier: GPL-2.0-or-later
#include "kicker.hh"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace corbel::vmm {

namespace {

/* The signal comes to the thread whose vCPU it is. */
thread_local std::atomic<kvm_run *> kicked;

/*
 * A signal that comes just before KVM_RUN would not end it, but the flag does.
 */
void on_signal(int)
{
	if (auto *const area = kicked.load(std::memory_order_relaxed))
		*const_cast<volatile __u8 *>(&area->immediate_exit) = 1;
}

} /* namespace */

Result<std::unique_ptr<Kicker>> Kicker::create(kvm_run &area)
{
	std::unique_ptr<Kicker> kicker(new Kicker);
	struct sigaction action{};

	kicker->thread_ = static_cast<pid_t>(::syscall(SYS_gettid));
	kicked = &area;
	action.sa_handler = on_signal;
	if (::sigaction(SIGUSR1, &action, nullptr) != 0)
		return failure(errno, "A signal cannot be caught: " + describe_errno(errno));
	return kicker;
}

Kicker::~Kicker()
{
	if (has_timer_)
		::timer_delete(timer_);
	kicked = nullptr;
}

void Kicker::kick() const
{
	::syscall(SYS_tgkill, ::getpid(), thread_, SIGUSR1);
}

Result<void> Kicker::kick_every(std::chrono::nanoseconds period)
{
	constexpr long second = 1000000000;
	sigevent event{};
	itimerspec spec{};

	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = SIGUSR1;
	event._sigev_un._tid = thread_;
	spec.it_interval = spec.it_value = {period.count() / second, period.count() % second};
	if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0)
		return failure(errno, "There is no timer: " + describe_errno(errno));
	has_timer_ = true;
	if (::timer_settime(timer_, 0, &spec, nullptr) != 0)
		return failure(errno, "A timer cannot be set: " + describe_errno(errno));
	return {};
}

} /* namespace corbel::vmm */
