// SPDX-License-Identifier: GPL-2.0-or-later
#include "look_pool.hh"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace corbel::metrics {

namespace {

constexpr std::chrono::milliseconds last_wait{500};

} /* namespace */

struct LookPool::State {
	struct Worker {
		Clock::time_point since{}; /* when its work began */
		bool busy = false;
		bool given_up = false;
	};

	std::mutex lock;
	std::condition_variable filled, left;
	std::deque<std::function<void()>> queue;
	std::list<Worker> workers;
	bool ending = false;

	[[nodiscard]] std::size_t stuck() const
	{
		return static_cast<std::size_t>(
			std::ranges::count(workers, true, &Worker::given_up));
	}
};

LookPool::LookPool(unsigned threads, std::chrono::milliseconds patience)
	: state_(std::make_shared<State>()), threads_(threads), patience_(patience)
{
	tend();
}

LookPool::~LookPool()
{
	std::unique_lock guard(state_->lock);

	state_->ending = true;
	state_->queue.clear();
	state_->filled.notify_all();
	state_->left.wait_for(guard, last_wait, [&] { return state_->workers.empty(); });
}

void LookPool::submit(std::function<void()> work)
{
	const std::lock_guard guard(state_->lock);

	state_->queue.push_back(std::move(work));
	state_->filled.notify_one();
}

void LookPool::tend()
{
	const auto now = Clock::now();
	const std::lock_guard guard(state_->lock);

	for (auto &worker : state_->workers)
		if (worker.busy && now - worker.since > patience_)
			worker.given_up = true;
	for (auto there = state_->workers.size() - state_->stuck(); there < threads_; there++)
		try {
			state_->workers.emplace_back();
			std::thread([state = state_] { serve(state); }).detach();
		} catch (const std::system_error &) {
			state_->workers.pop_back();
			return; /* The next time there may be room for it. */
		}
}

std::size_t LookPool::stuck() const
{
	const std::lock_guard guard(state_->lock);

	return state_->stuck();
}

/* Takes any entry of the list that nobody has: who serves is told by its place alone. */
void LookPool::serve(const std::shared_ptr<State> &state)
{
	std::unique_lock guard(state->lock);
	const auto self = std::ranges::find_if(state->workers, [](const auto &worker) {
		return worker.since == Clock::time_point();
	});

	self->since = Clock::now();
	while (!state->ending && !self->given_up) {
		if (state->queue.empty()) {
			state->filled.wait(guard);
			continue;
		}
		auto work = std::move(state->queue.front());
		state->queue.pop_front();
		self->since = Clock::now();
		self->busy = true;
		guard.unlock();
		work();
		work = {};
		guard.lock();
		self->busy = false;
	}
	state->workers.erase(self);
	state->left.notify_all();
}

} /* namespace corbel::metrics */
