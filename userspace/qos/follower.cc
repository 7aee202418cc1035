// SPDX-License-Identifier: GPL-2.0-or-later
#include "follower.hh"

#include <condition_variable>
#include <mutex>

namespace corbel::workloads {

Follower::Follower(Luns &luns, Objects &objects, Warn warn, std::chrono::milliseconds period)
	: luns_(luns),
	  objects_(objects),
	  warn_(std::move(warn)),
	  watch_(period, [this](const std::string &path) { objects_.look(path, warn_); }),
	  tender_([this, period](const std::stop_token &stop) {
		  std::mutex lock;
		  std::condition_variable_any never;
		  std::unique_lock guard(lock);

		  do
			  tend();
		  while (!never.wait_for(guard, stop, period,
					 [&] { return stop.stop_requested(); }));
	  })
{}

/* Targets first: an object that one has forgotten can have no ranges. */
void Follower::tend()
{
	const auto paths = objects_.paths();

	luns_.tend(warn_);
	for (auto it = watched_.begin(); it != watched_.end();) {
		if (!paths.contains(*it)) {
			watch_.remove(*it);
			it = watched_.erase(it);
		} else {
			it++;
		}
	}
	for (const auto &[path, format] : paths)
		/* One that is not there yet is tried again the next time. */
		if (!watched_.contains(path) && watch_.add(path, format)) {
			watched_.insert(path);
			/* It may have changed since it was attached. */
			objects_.look(path, warn_);
		}
	objects_.look_again(warn_);
}

} /* namespace corbel::workloads */
